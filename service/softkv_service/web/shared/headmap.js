/** A map of all heads of a model, a row for each layer: a small picture of each head's weights, and a cursor to drag. */

import { h } from "./element.js";

/** A pattern that a head's weight may follow. @typedef {"before" | "next" | "self" | "start" | "end" | "word" | "alike"} Pattern */

/** The minimum share of a head's weight that makes a pattern. */
const MOST = 0.45;
/** The colour of the small pictures, which can be seen on light and on dark. */
const COLOUR = [176, 66, 142];

export class HeadMap {
  #choose;
  /** @type {HTMLButtonElement[][]} */
  #buttons;
  #rows = 0;
  #columns = 0;

  /**
   * @param {import("./words.js").Say} say
   * @param {number} layers
   * @param {number} heads
   * @param {(layer: number, head: number) => void} choose from 0
   * @param {(layer: number, head: number) => string} place the name of a head
   */
  constructor(say, layers, heads, choose, place) {
    this.#choose = choose;
    [this.#rows, this.#columns] = [layers, heads];
    this.#buttons = Array.from({ length: layers }, (_, i) =>
      Array.from({ length: heads }, (__, j) => {
        const button = h("button", { type: "button", "aria-label": place(i, j), tabIndex: -1, onclick: () => choose(i, j) }, h("canvas", {}));
        button.dataset.place = `${i},${j}`;
        return /** @type {HTMLButtonElement} */ (button);
      }),
    );
    this.element = h("div.head-map", { role: "group", "aria-label": say("map") }, ...this.#buttons.flat());
    this.element.style.setProperty("--heads", String(heads));
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.element.addEventListener("pointerdown", (event) => this.#drag(event));
  }

  /**
   * Whether it is of a model with these numbers of layers and heads.
   * @param {number} layers
   * @param {number} heads
   */
  fits(layers, heads) {
    return this.#rows === layers && this.#columns === heads;
  }

  /**
   * Draw all heads.
   * @param {ArrayLike<number>[][]} attention
   * @param {number} n
   * @param {(layer: number, head: number) => string} [tell] what a head does
   */
  take(attention, n, tell) {
    for (const [i, row] of this.#buttons.entries()) {
      for (const [j, button] of row.entries()) {
        if (tell) button.setAttribute("aria-label", (button.title = tell(i, j)));
        const canvas = /** @type {HTMLCanvasElement} */ (button.firstChild);
        [canvas.width, canvas.height] = [n, n];
        const pen = canvas.getContext("2d");
        if (!pen) continue;
        const pixels = pen.createImageData(n, n);
        const weights = attention[i][j];
        for (let at = 0; at < n * n; at++) pixels.data.set([...COLOUR, Math.round(255 * Math.min(1, weights[at] * 1.2))], at * 4);
        pen.putImageData(pixels, 0, 0);
      }
    }
  }

  /**
   * Tint the heads by how much each moved an answer.
   * @param {{layer: number, head: number, moved: number}[]} left empty for no tint
   */
  tint(left) {
    for (const button of this.#buttons.flat()) button.style.removeProperty("--moved");
    const most = Math.max(...left.map(({ moved }) => moved));
    for (const { layer, head, moved } of left) this.#buttons[layer][head].style.setProperty("--moved", `${Math.round((100 * moved) / most)}%`);
  }

  /**
   * Move the cursor to a head.
   * @param {number} layer
   * @param {number} head
   */
  show(layer, head) {
    for (const [i, row] of this.#buttons.entries()) {
      for (const [j, button] of row.entries()) {
        const isHere = i === layer && j === head;
        button.tabIndex = isHere ? 0 : -1;
        if ((button.getAttribute("aria-pressed") === "true") !== isHere) button.setAttribute("aria-pressed", String(isHere));
        else if (!button.hasAttribute("aria-pressed")) button.setAttribute("aria-pressed", "false");
      }
    }
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const place = placeOf(event.target);
    const by = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
    if (!place || !by) return;
    event.preventDefault();
    event.stopPropagation();
    const layer = Math.max(0, Math.min(this.#rows - 1, place[0] + by[0]));
    const head = Math.max(0, Math.min(this.#columns - 1, place[1] + by[1]));
    this.#choose(layer, head);
    this.#buttons[layer][head].focus();
  }

  /** @param {PointerEvent} event */
  #drag(event) {
    if (!placeOf(event.target)) return;
    event.preventDefault();
    const moved = (/** @type {PointerEvent} */ now) => {
      const root = /** @type {Document | ShadowRoot} */ (this.element.getRootNode()); // of a widget, a shadow
      const place = placeOf(root.elementFromPoint(now.clientX, now.clientY));
      if (place) this.#choose(place[0], place[1]);
    };
    const ended = () => {
      this.element.classList.remove("held");
      window.removeEventListener("pointermove", moved);
      window.removeEventListener("pointerup", ended);
      window.removeEventListener("pointercancel", ended);
    };
    this.element.classList.add("held");
    moved(event);
    const [layer, head] = /** @type {number[]} */ (placeOf(event.target));
    this.#buttons[layer][head].focus({ preventScroll: true });
    window.addEventListener("pointermove", moved);
    window.addEventListener("pointerup", ended);
    window.addEventListener("pointercancel", ended);
  }
}

/**
 * @param {?EventTarget} target
 * @returns {?number[]}
 */
function placeOf(target) {
  const button = target instanceof Element ? target.closest("[data-place]") : null;
  return button ? (button.getAttribute("data-place") ?? "").split(",").map(Number) : null;
}

/**
 * The pattern that has the largest share of a head's weight, on average over the words of a sentence.
 *
 * @param {ArrayLike<number>} weights [n, n]
 * @param {number} n
 * @param {string[]} texts of the words, some of which may stand twice
 * @returns {{pattern: Pattern, share: number, word: string, isMixed: boolean}} `word`: the one inside the sentence that is looked at
 *   most; `isMixed`: the share is too small to speak of one
 */
export function patternOf(weights, n, texts) {
  const mean = (/** @type {(i: number) => number} */ to) => {
    let [sum, count] = [0, 0];
    for (let i = 0; i < n; i++) {
      const j = to(i);
      if (j < 0 || j >= n) continue;
      sum += weights[i * n + j];
      count++;
    }
    return count ? sum / count : 0;
  };
  const columns = Array.from({ length: n }, (_, j) => mean(() => j));
  const inside = columns.slice(1, -1);
  const most = Math.max(0, ...inside);
  /** @type {[Pattern, number][]} */
  const shares = [
    ["before", mean((i) => i - 1)],
    ["next", mean((i) => i + 1)],
    ["self", mean((i) => i)],
    ["start", columns[0]],
    ["end", columns[n - 1]],
    ["word", most],
    ["alike", mean((i) => texts.findIndex((text, j) => j !== i && text === texts[i]))],
  ];
  const [pattern, share] = shares.reduce((best, one) => (one[1] > best[1] ? one : best));
  return { pattern, share, word: texts[inside.indexOf(most) + 1], isMixed: share < MOST };
}
