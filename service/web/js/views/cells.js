/** A picture of 8 × 8 cells between −1 and 1; its cells may be turned by hand. */

import { h } from "../element.js";
import { say } from "../words.js";

const SIDE = 8;

/**
 * @param {number[]} numbers 64 of them
 * @param {((it: number) => void) | null} turn told the cell that is clicked; null: only a picture
 * @param {string} label
 */
export function cells(numbers, turn, label) {
  const parts = numbers.map((_, i) =>
    turn ? h("button.cell-of", { type: "button", tabIndex: i ? -1 : 0, onclick: () => turn(i), onkeydown: (event) => walk(event, i) }) : h("span.cell-of", {}),
  );
  const element = h(`div.cells`, turn ? { role: "group", "aria-label": label } : { role: "img", "aria-label": label }, parts);

  /** @param {KeyboardEvent} event @param {number} i */
  function walk(event, i) {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: SIDE, ArrowUp: -SIDE }[event.key];
    if (!step || !parts[i + step]) return;
    event.preventDefault();
    parts[i].tabIndex = -1;
    parts[i + step].tabIndex = 0;
    parts[i + step].focus();
  }

  /** @param {number[]} now */
  function draw(now) {
    now.forEach((number, i) => {
      parts[i].style.setProperty("--ink-share", String(Math.max(0, Math.min(1, (number + 1) / 2))));
      if (turn) parts[i].setAttribute("aria-label", say(number > 0 ? "cells.ink" : "cells.paper", { row: Math.floor(i / SIDE) + 1, column: (i % SIDE) + 1 }));
    });
  }

  draw(numbers);
  return { element, draw };
}
