/**
 * The words of a sentence twice, and a thread from each word on the left to each on the right, as thick as the weight
 * with which the left one attends to it. The threads of a word leave it as one bundle, as in `threads.js`.
 */

import { percent } from "./numbers.js";
import { s, set } from "./svg.js";

/** Shares of the height of a row: the bundle of the chosen word, and of the others. */
const BUNDLE = 0.9;
const OTHERS = 0.5;
/** A thread is drawn at least so thick, in pixels; of other words only threads of such a weight are drawn. */
const HAIR = 0.75;
const LEAST = 0.02;
/** The height of a row, in rem; if the rows do not fit, the picture grows. */
const TALLEST = 3;
const LOWEST = 1.2;
/** The end of a share beside the words on the right, in rem. */
const FAR = 12;
/** The least weight that is written as a number. */
const TOLD = 0.05;
const MARKS = ["[CLS]", "[SEP]"];

export class Lines {
  #choose;
  /** @type {string[]} */
  #tokens = [];
  /** @type {ArrayLike<number>} */
  #weights = [];
  #word = 0;
  #hovered = -1;
  #size = { width: 0, height: 0 };
  #threads = s("g.threads-of");
  #left = s("g.from", { role: "radiogroup" });
  #right = s("g.to");
  /** @type {SVGGElement[]} */
  #groups = [];
  /** @type {SVGPathElement[][]} */
  #paths = [];
  /** @type {SVGGElement[]} */
  #words = [];
  /** @type {SVGTextElement[]} */
  #shares = [];
  #places = { pitch: 0, from: 0, to: 0 };

  /**
   * @param {import("./words.js").Say} say
   * @param {(word: number) => void} choose the reader wants to see the row of a word
   */
  constructor(say, choose) {
    this.#choose = choose;
    this.element = s("svg.lines", { role: "group", "aria-label": say("lines") }, this.#threads, this.#left, this.#right);
    this.#left.setAttribute("aria-label", say("words"));
    this.#left.addEventListener("pointermove", (event) => this.#hover(wordOf(event.target)));
    this.#left.addEventListener("pointerleave", () => this.#hover(-1));
    this.#left.addEventListener("click", (event) => {
      const word = wordOf(event.target);
      if (word >= 0) this.#choose(word);
    });
    this.#left.addEventListener("keydown", (event) => {
      const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
      if (by === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      const word = Math.max(0, Math.min(this.#tokens.length - 1, this.#word + by));
      this.#choose(word);
      this.#words[word].focus();
    });
  }

  /** The word whose threads are shown: the one that is pointed at, or the chosen one. */
  get word() {
    return this.#hovered >= 0 ? this.#hovered : this.#word;
  }

  /** Take other words. @param {string[]} tokens */
  take(tokens) {
    this.#tokens = tokens;
    this.#hovered = -1;
    this.#groups = tokens.map(() => s("g.of"));
    this.#paths = tokens.map(() => tokens.map(() => s("path.thread")));
    for (const [i, group] of this.#groups.entries()) group.append(...this.#paths[i]);
    this.#threads.replaceChildren(...this.#groups);
    this.#words = tokens.map((token, i) =>
      s("g.word", { "data-word": i, role: "radio", "aria-label": token }, s("rect.hit"), s("text", { "text-anchor": "end" }, token)),
    );
    this.#left.replaceChildren(...this.#words);
    this.#shares = tokens.map(() => s("text.share", {}));
    this.#right.replaceChildren(...tokens.map((token, i) => s("g.word", {}, s("text", {}, token), this.#shares[i])));
    for (const words of [this.#left, this.#right]) for (const [i, token] of tokens.entries()) words.children[i].classList.toggle("mark", MARKS.includes(token));
    this.layout(this.#size.width, this.#size.height);
  }

  /** Place the words in a box of pixels. @param {number} width @param {number} height */
  layout(width, height) {
    this.#size = { width, height };
    const n = this.#tokens.length;
    if (!width || !height || !n) return;
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const pitch = Math.max(LOWEST * rem, Math.min(TALLEST * rem, height / n));
    const all = Math.max(height, pitch * n);
    const top = (all - pitch * n) / 2;
    set(this.element, { viewBox: `0 0 ${width} ${all}`, width, height: all });
    this.element.style.setProperty("--word-size", `${Math.max(16, Math.min(1.25 * rem, pitch * 0.6))}px`);
    const from = width * 0.3;
    const to = width * 0.66;
    this.#places = { pitch, from, to };
    for (let i = 0; i < n; i++) {
      const y = top + (i + 0.5) * pitch;
      const [hit, text] = /** @type {SVGElement[]} */ ([...this.#words[i].children]);
      set(hit, { x: 0, y: y - pitch / 2, width: from, height: pitch });
      set(text, { x: from - 12, y, dy: "0.35em" });
      const [other, share] = /** @type {SVGElement[]} */ ([...this.#right.children[i].children]);
      set(other, { x: to + 12, y, dy: "0.35em" });
      set(share, { x: Math.min(width - 4, to + FAR * rem), y, dy: "0.35em", "text-anchor": "end" });
    }
    if (this.#weights.length === n * n) this.draw(this.#weights, this.#word);
  }

  /** Draw the weights of a head. @param {ArrayLike<number>} weights [n, n] @param {number} word the chosen one */
  draw(weights, word) {
    this.#weights = weights;
    this.#word = word;
    const n = this.#tokens.length;
    const { pitch, from, to } = this.#places;
    if (!pitch || weights.length !== n * n) return;
    const shown = this.word;
    const yOf = (/** @type {number} */ i) => Number(this.#right.children[i].firstElementChild?.getAttribute("y"));
    for (let i = 0; i < n; i++) {
      const isShown = i === shown;
      const bundle = pitch * (isShown ? BUNDLE : OTHERS);
      this.#groups[i].classList.toggle("shown", isShown);
      set(this.#words[i], { "aria-checked": String(i === word), tabindex: i === word ? 0 : -1 });
      this.#words[i].classList.toggle("shown", isShown);
      let at = yOf(i) - bundle / 2;
      for (let j = 0; j < n; j++) {
        const weight = weights[i * n + j];
        const thick = weight * bundle;
        const isDrawn = weight > 0 && (isShown || weight >= LEAST);
        set(this.#paths[i][j], { d: isDrawn ? ribbon(from, at + thick / 2, to, yOf(j), Math.max(HAIR, thick)) : null, "data-weight": isShown ? weight : null });
        at += thick;
      }
    }
    for (let j = 0; j < n; j++) {
      const weight = weights[shown * n + j];
      const text = weight >= TOLD ? percent(weight) : "";
      if (this.#shares[j].textContent !== text) this.#shares[j].textContent = text;
      this.#right.children[j].classList.toggle("attended", weight >= TOLD);
    }
    // The threads that are looked at lie above the others.
    if (this.#threads.lastChild !== this.#groups[shown]) this.#threads.append(this.#groups[shown]);
  }

  /** @param {number} word −1 for none */
  #hover(word) {
    if (word === this.#hovered) return;
    this.#hovered = word;
    this.draw(this.#weights, this.#word);
  }
}

/** @param {?EventTarget} target */
function wordOf(target) {
  const word = target instanceof Element ? target.closest("[data-word]") : null;
  return word ? Number(word.getAttribute("data-word")) : -1;
}

/**
 * A thread, as the outline of a ribbon.
 *
 * @param {number} x
 * @param {number} y its middle
 * @param {number} toX
 * @param {number} toY
 * @param {number} thick
 */
function ribbon(x, y, toX, toY, thick) {
  const [turn, half] = [(x + toX) / 2, thick / 2];
  const [a, b, c, d] = [y - half, y + half, toY - half, toY + half].map((number) => Math.round(number * 100) / 100);
  return `M${x} ${a}C${turn} ${a} ${turn} ${c} ${toX} ${c}L${toX} ${d}C${turn} ${d} ${turn} ${b} ${x} ${b}Z`;
}
