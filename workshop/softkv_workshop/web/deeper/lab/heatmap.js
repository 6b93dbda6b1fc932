/** Weights of n queries over n keys as a square of squares; one points at it, or walks over it with the arrow keys. */

import { fill, h, penOf } from "../../../../../service/softkv_service/web/shared/element.js";
import { percent } from "../../../../../service/softkv_service/web/shared/numbers.js";

const CELL = 24;
/** @type {Record<string, number[] | undefined>} */
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/** @param {import("../parts.js").Say} say */
export function heatmap(say) {
  const canvas = h("canvas.heat", { tabIndex: 0, role: "img" });
  const told = h("p.small.alignment-said", { id: "heat-said", role: "status" });
  const [down, across] = [h("ol.heat-names.query", { "aria-hidden": "true" }), h("ol.heat-names.key.across", { "aria-hidden": "true" })];
  const element = h("div.heat-map", {}, across, down, canvas);
  /** @type {?Parameters<typeof show>[0]} */
  let last = null;
  /** @type {?number[]} */
  let place = null;

  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    const box = canvas.getBoundingClientRect();
    const n = last.weights.length;
    const at = (/** @type {number} */ part, /** @type {number} */ whole) => Math.min(n - 1, Math.max(0, Math.floor((part / whole) * n)));
    point([at(event.clientY - box.top, box.height), at(event.clientX - box.left, box.width)]);
  });
  canvas.addEventListener("keydown", (event) => {
    const by = STEPS[event.key];
    if (!by || !last || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const n = last.weights.length;
    const [i, j] = place ?? [0, 0];
    point([Math.min(n - 1, Math.max(0, i + by[0])), Math.min(n - 1, Math.max(0, j + by[1]))]);
  });

  /** @param {number[]} now */
  function point(now) {
    if (!last) return;
    place = now;
    const [i, j] = place;
    fill(told, say.rich("cell", { query: last.pairs[i][0], key: last.pairs[j][1], weight: percent(last.weights[i][j]) }));
    paint();
  }

  /** @param {{pairs: string[][], weights: number[][], isOut: (it: number) => boolean}} what */
  function show(what) {
    if (last?.pairs.join() !== what.pairs.join()) {
      place = null;
      const names = (/** @type {number} */ side) => what.pairs.map((pair, i) => h("li", {}, h("bdi", {}, what.isOut(i) ? `○ ${pair[side]}` : pair[side])));
      for (const [side, list] of [down, across].entries()) fill(list, names(side));
    }
    last = what;
    const right = rightIn(what.weights);
    canvas.setAttribute("aria-label", say("chart", { n: what.weights.length, right: right.filter(Boolean).length }));
    if (place && what.weights[place[0]]) point(place);
    else fill(told, say("point"));
    paint();
  }

  function paint() {
    if (!last) return;
    const { weights } = last;
    const n = weights.length;
    canvas.width = canvas.height = n * CELL;
    element.style.setProperty("--n", String(n));
    const ink = penOf(canvas);
    const style = getComputedStyle(canvas);
    const [dark, ring] = [style.color, style.getPropertyValue("--ink")];
    ink.clearRect(0, 0, n * CELL, n * CELL);
    weights.forEach((row, i) =>
      row.forEach((weight, j) => {
        ink.globalAlpha = weight;
        ink.fillStyle = dark;
        ink.fillRect(j * CELL + 1, i * CELL + 1, CELL - 2, CELL - 2);
      }),
    );
    ink.globalAlpha = 1;
    if (!place) return;
    ink.strokeStyle = ring;
    ink.lineWidth = 2;
    ink.strokeRect(place[1] * CELL + 1, place[0] * CELL + 1, CELL - 2, CELL - 2);
  }

  return { element, told, show };
}

/**
 * For each query, whether its largest weight is on its own key.
 * @param {number[][]} weights [n, n]
 * @returns {boolean[]}
 */
export function rightIn(weights) {
  return weights.map((row, i) => row.indexOf(Math.max(...row)) === i);
}
