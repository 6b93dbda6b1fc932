/** A picture of 16 × 16 pixels, cut into 4 × 4 patches that light up by their weight. */

import { h, penOf } from "../../../../../service/softkv_service/web/shared/element.js";
import { percent } from "../../../../../service/softkv_service/web/shared/numbers.js";

export const SIDE = 16;
const ACROSS = 4;
const SHOWN = 10;

/** The picture alone, pixel by pixel. @param {number[][]} picture 0 paper, 1 ink */
export function painted(picture) {
  const canvas = h("canvas.pixels", { width: SIDE, height: SIDE, "aria-hidden": "true" });
  paint(canvas, picture);
  return canvas;
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {number[][]} picture
 */
function paint(canvas, picture) {
  const pen = penOf(canvas);
  pen.clearRect(0, 0, SIDE, SIDE);
  pen.fillStyle = "#000";
  picture.forEach((row, y) =>
    row.forEach((ink, x) => {
      pen.globalAlpha = Math.min(1, Math.max(0, ink));
      pen.fillRect(x, y, 1, 1);
    }),
  );
  pen.globalAlpha = 1;
}

/**
 * @param {import("../parts.js").Say} say
 * @param {{patch: (patch: number) => void, pixel: (y: number, x: number) => void}} pressed
 */
export function patches(say, pressed) {
  const canvas = painted([]);
  const cells = Array.from({ length: ACROSS * ACROSS }, (_, at) =>
    h("button.patch", { type: "button", onclick: () => pressed.patch(at) }, h("span.number", {})),
  );
  const dots = Array.from({ length: SIDE * SIDE }, (_, at) =>
    h("button.dot", {
      type: "button",
      tabIndex: at ? -1 : 0,
      "aria-label": say("pixel", { row: Math.floor(at / SIDE) + 1, column: (at % SIDE) + 1 }),
      onclick: () => pressed.pixel(Math.floor(at / SIDE), at % SIDE),
      onkeydown: (event) => walk(event, at),
    }),
  );
  const grid = h("div.patch-grid", {}, cells);
  const pad = h("div.pad", { hidden: true }, dots);
  const element = h("div.patches", {}, canvas, grid, pad);

  /**
   * @param {KeyboardEvent} event
   * @param {number} at
   */
  function walk(event, at) {
    const by = { ArrowUp: -SIDE, ArrowDown: SIDE, ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const next = by && !event.altKey && !event.ctrlKey && !event.metaKey ? dots[at + by] : null;
    if (!next) return;
    event.preventDefault();
    dots[at].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  /**
   * @param {number[][]} picture
   * @param {?number[]} weights of each patch
   * @param {number} chosen the patch that looks, or −1
   * @param {boolean} isDrawing
   */
  function show(picture, weights, chosen, isDrawing) {
    paint(canvas, picture);
    pad.hidden = !isDrawing;
    grid.hidden = isDrawing;
    const most = Math.max(...(weights ?? [1]));
    cells.forEach((cell, at) => {
      const weight = weights?.[at] ?? 0;
      cell.style.setProperty("--share", String(weights ? weight / most : 0));
      cell.dataset.weight = weights ? String(weight) : "";
      cell.setAttribute("aria-pressed", String(at === chosen));
      cell.setAttribute("aria-label", say("patch", { patch: at + 1, row: Math.floor(at / ACROSS) + 1, column: (at % ACROSS) + 1, weight: percent(weight) }));
      /** @type {Element} */ (cell.firstElementChild).textContent = weights && weight * 100 >= SHOWN / 2 ? percent(weight) : "";
    });
  }

  return { element, show };
}
