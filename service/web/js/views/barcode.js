/** A vector as a strip of cells: the sign by the side of the middle line, the size by the length. */

import { h } from "../element.js";

let known = { theme: null, colour: "" };

/** The colour of values in this theme; asked of the style sheet once. */
function ink() {
  const { theme } = document.documentElement.dataset;
  if (known.theme !== theme) known = { theme, colour: getComputedStyle(document.documentElement).getPropertyValue("--value") };
  return known.colour;
}

/**
 * @param {number} cells how many of the vector's first components are drawn
 * @param {number} width pixels a cell
 */
export function barcode(cells, width, height = 28) {
  const element = h("canvas.barcode", { width: cells * width, height, role: "img", "aria-hidden": "true" });
  const pen = element.getContext("2d");

  function draw(vector) {
    pen.clearRect(0, 0, element.width, height);
    if (!vector) return;
    const shown = Array.from(vector).slice(0, cells);
    const largest = Math.max(...shown.map(Math.abs), 1e-9);
    pen.fillStyle = ink();
    pen.globalAlpha = 0.35;
    pen.fillRect(0, height / 2, element.width, 0.5);
    pen.globalAlpha = 1;
    shown.forEach((component, i) => {
      const length = (component / largest) * (height / 2 - 1);
      pen.fillRect(i * width, length > 0 ? height / 2 - length : height / 2, width - 1, Math.abs(length));
    });
  }

  return { element, draw };
}
