/** A picture on the page: its pixels, and the patch that is asked about. */

import { h, penOf } from "../../../../../service/softkv_service/web/shared/element.js";
import { LEVELS, SIDE } from "./picture.js";

/** Levels of a pixel that nothing looks at, of one that is looked at most. */
const DIM = 0.3;
const LIT = [255, 90, 200];

/**
 * @param {string} name for screen readers
 * @param {Node[]} caption
 */
export function panel(name, caption) {
  const canvas = h("canvas", { width: SIDE, height: SIDE, role: "img", "aria-label": name });
  const mark = h("span.patch-mark", { hidden: true });
  const frame = h("div.pixels", {}, canvas, mark);
  const element = h("figure.panel", {}, frame, h("figcaption", {}, caption));
  const context = penOf(canvas, { willReadFrequently: true });

  /**
   * @param {ArrayLike<number>} levels [SIDE, SIDE, 3]
   * @param {number} [from] of the first pixel that is drawn
   * @param {number} [to]
   */
  function draw(levels, from = 0, to = SIDE * SIDE) {
    const image = context.getImageData(0, 0, SIDE, SIDE);
    for (let at = from; at < to; at++) {
      for (let colour = 0; colour < 3; colour++) image.data[4 * at + colour] = levels[3 * at + colour];
      image.data[4 * at + 3] = LEVELS;
    }
    context.putImageData(image, 0, 0);
  }

  /**
   * The picture dark, and bright where the weight is, measured by the largest but that of the patch itself.
   *
   * @param {ArrayLike<number>} levels
   * @param {number[]} weights
   * @param {number} itself
   */
  function shine(levels, weights, itself) {
    const most = Math.max(Number.MIN_VALUE, ...weights.filter((_, i) => i !== itself));
    const lit = Float64Array.from(levels, (level, i) => {
      const share = Math.sqrt(Math.min(1, weights[Math.floor(i / 3)] / most));
      return (1 - share) * DIM * level + share * LIT[i % 3];
    });
    draw(lit);
  }

  /** Mark a patch. @param {number} at */
  function point(at) {
    mark.hidden = false;
    mark.style.setProperty("--x", String((at % SIDE) / SIDE));
    mark.style.setProperty("--y", String(Math.floor(at / SIDE) / SIDE));
  }

  function clear() {
    context.clearRect(0, 0, SIDE, SIDE);
  }

  return { element, canvas, draw, shine, point, clear };
}
