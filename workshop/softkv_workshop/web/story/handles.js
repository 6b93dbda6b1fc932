/** Dragging values from row to row. */

import { fill, h } from "../../../../service/softkv_service/web/shared/element.js";

/** So many pixels make a drag of a click. */
const SLACK = 4;

/** @typedef {import("../../../../service/softkv_service/web/shared/threads.js").Box} Box */

/**
 * Buttons that drag values, one over each. A value is dragged on to another row; or picked up by a click or a key, and put
 * down at another row by a second one, or edited by a second one at its own row. Arrows go from row to row, and take a picked-up value along.
 */
export class Handles {
  #on;
  /** @type {HTMLButtonElement[]} */
  #buttons = [];
  /** @type {Box[]} */
  #boxes = [];
  #picked = -1;
  #over = -1;
  #way = { x: 0, y: 0 };
  /** @type {?{row: number, x: number, y: number, isDrag: boolean}} */
  #drag = null;

  /**
   * @param {import("../../../../service/softkv_service/web/shared/words.js").Say} say
   * @param {{held: (row: number, x: number, y: number) => void, put: (row: number, over: number, x: number, y: number) => void, edit: (row: number) => void}} on told how far, in pixels, a value was dragged; 0 without a drag
   */
  constructor(say, on) {
    this.#on = on;
    this.element = h("div.handles", { role: "group", "aria-label": say("handles") });
  }

  /**
   * @param {Box[]} boxes
   * @param {(row: number) => string} name
   */
  place(boxes, name) {
    this.#boxes = boxes;
    if (this.#buttons.length !== boxes.length) {
      this.#buttons = boxes.map((_, row) => this.#handle(row));
      fill(this.element, this.#buttons);
    }
    for (const [row, button] of this.#buttons.entries()) {
      const { x, y, width, height } = boxes[row];
      for (const [property, number] of Object.entries({ left: x, top: y, width, height })) button.style.setProperty(property, `${number}px`);
      button.setAttribute("aria-label", name(row));
    }
  }

  /** @param {number} row */
  #handle(row) {
    const button = /** @type {HTMLButtonElement} */ (h("button", { type: "button", tabIndex: row ? -1 : 0, "aria-pressed": "false" }));
    button.addEventListener("pointerdown", (event) => {
      button.setPointerCapture(event.pointerId);
      this.#drag = { row, x: event.clientX, y: event.clientY, isDrag: false };
    });
    button.addEventListener("pointermove", (event) => this.#dragged(event));
    button.addEventListener("pointerup", () => this.#dropped());
    button.addEventListener("pointercancel", () => this.#cancelled());
    button.addEventListener("click", () => this.#clicked(row));
    button.addEventListener("keydown", (event) => this.#key(row, event));
    return button;
  }

  /** @param {PointerEvent} event */
  #dragged(event) {
    if (!this.#drag) return;
    const { row } = this.#drag;
    const [x, y] = [event.clientX - this.#drag.x, event.clientY - this.#drag.y];
    if (!this.#drag.isDrag && Math.hypot(x, y) < SLACK) return;
    this.#drag.isDrag = true;
    this.#pick(-1);
    const middle = this.#boxes[row].y + this.#boxes[row].height / 2 + y;
    const apart = this.#boxes.map((box) => Math.abs(box.y + box.height / 2 - middle));
    this.#hover(apart.indexOf(Math.min(...apart)));
    this.#way = { x, y };
    this.#on.held(row, x, y);
  }

  #dropped() {
    if (!this.#drag?.isDrag) return;
    const { row } = this.#drag;
    const over = this.#over;
    this.#hover(-1);
    this.#on.put(row, over, this.#way.x, this.#way.y);
  }

  #cancelled() {
    if (this.#drag) this.#on.put(this.#drag.row, this.#drag.row, 0, 0);
    this.#drag = null;
    this.#hover(-1);
  }

  /** A drag ends with a click event, which does not count. @param {number} row */
  #clicked(row) {
    const wasDrag = this.#drag?.isDrag ?? false;
    this.#drag = null;
    if (wasDrag) return;
    if (this.#picked < 0) this.#pick(row);
    else {
      const picked = this.#picked;
      this.#pick(-1);
      if (picked === row) this.#on.edit(row);
      else this.#on.put(picked, row, 0, 0);
    }
  }

  /**
   * @param {number} row
   * @param {KeyboardEvent} event
   */
  #key(row, event) {
    if (event.key === "Escape") this.#pick(-1);
    const to = { ArrowUp: row - 1, ArrowDown: row + 1, Home: 0, End: this.#buttons.length - 1 }[event.key];
    if (to === undefined || !this.#buttons[to]) return;
    event.preventDefault();
    event.stopPropagation();
    for (const [i, button] of this.#buttons.entries()) button.tabIndex = i === to ? 0 : -1;
    this.#buttons[to].focus();
    if (this.#picked !== row || to === row) return;
    this.#on.put(row, to, 0, 0);
    this.#pick(to);
  }

  /** @param {number} row */
  #pick(row) {
    this.#picked = row;
    for (const [i, button] of this.#buttons.entries()) button.setAttribute("aria-pressed", String(i === row));
    this.element.classList.toggle("picking", row >= 0);
  }

  /** @param {number} row */
  #hover(row) {
    this.#over = row;
    for (const [i, button] of this.#buttons.entries()) button.classList.toggle("over", i === row);
  }
}
