/** The heads of a layer as small pictures of their weights; one is chosen. */

import { h } from "../element.js";
import { say } from "../words.js";

const SIDE = 44;

/** @param {function(number): void} choose */
export function thumbnails(choose) {
  const element = h("div.heads-of", { role: "group", "aria-label": say("encoder.head") });
  let pictures = [];

  function show(attention, chosen) {
    if (pictures.length !== attention.length) {
      pictures = attention.map((_, i) => {
        const canvas = h("canvas", { width: SIDE, height: SIDE });
        return { canvas, button: h("button.thumbnail", { type: "button", "aria-label": say("encoder.head.of", { head: i + 1 }), onclick: () => choose(i) }, canvas) };
      });
      element.replaceChildren(...pictures.map((picture) => picture.button));
    }
    pictures.forEach(({ canvas, button }, i) => {
      button.setAttribute("aria-pressed", String(i === chosen));
      paint(canvas, attention[i]);
    });
  }

  return { element, show };
}

/** Rows are queries, columns keys, ink is weight. */
function paint(canvas, weights) {
  const pen = canvas.getContext("2d");
  const n = weights.length;
  const cell = SIDE / n;
  pen.clearRect(0, 0, SIDE, SIDE);
  pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--weight");
  weights.forEach((row, i) => row.forEach((weight, j) => {
    pen.globalAlpha = Math.sqrt(weight);
    pen.fillRect(j * cell, i * cell, Math.ceil(cell), Math.ceil(cell));
  }));
}
