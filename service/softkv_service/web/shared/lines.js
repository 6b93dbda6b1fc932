/**
 * Tokens on the left that attend to tokens on the right, of the same sentence or another one: a thread for each pair, as
 * thick as the weight. The threads of a token leave it as one bundle, as in `threads.js`.
 */

import { percent } from "./numbers.js";
import { s, set } from "./svg.js";

/** Shares of the height of a row: the bundle of the chosen word, and of the others. */
const BUNDLE = 0.9;
const OTHERS = 0.5;
/** A thread is drawn at least so thick, in pixels; of other words only threads of such a weight are drawn. */
const HAIR = 0.75;
const LEAST = 0.02;
/** The height of a row, at most in rem and at least in pixels; if the rows do not fit, the picture grows. */
const TALLEST = 3;
const LOWEST = 19.2;
/** The end of a share beside the words on the right, in rem. */
const FAR = 12;
/** A picture that is less wide has shorter threads, so that a share has room beside its word; in rem. */
const SMALL = 18;
/** The least weight that is written as a number, and that of a token in the colour of keys. */
const [WRITTEN, ATTENDED] = [0.01, 0.05];

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
  /** The height of a row on the left, the middles of the rows on both sides, and where threads begin and end. */
  #places = { pitch: 0, left: [0], right: [0], from: 0, to: 0 };

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

  /**
   * Take other words.
   * @param {string[]} tokens that attend
   * @param {(string | SVGElement)[]} [read] that are attended to
   */
  take(tokens, read = tokens) {
    this.#tokens = tokens;
    this.#hovered = -1;
    this.#groups = tokens.map(() => s("g.of"));
    this.#paths = tokens.map(() => read.map(() => s("path.thread")));
    for (const [i, group] of this.#groups.entries()) group.append(...this.#paths[i]);
    this.#threads.replaceChildren(...this.#groups);
    this.#words = tokens.map((token, i) =>
      s("g.word", { "data-word": i, role: "radio", "aria-checked": "false", "aria-label": token }, s("rect.hit"), s("text", { "text-anchor": "end" }, token)),
    );
    this.#left.replaceChildren(...this.#words);
    this.#shares = read.map(() => s("text.share", {}));
    this.#right.replaceChildren(...read.map((token, i) => s("g.word", {}, typeof token === "string" ? s("text", {}, token) : token, this.#shares[i])));
    this.layout(this.#size.width, this.#size.height);
  }

  /**
   * Place the words in a box of pixels.
   * @param {number} width
   * @param {number} height
   */
  layout(width, height) {
    this.#size = { width, height };
    const counts = [this.#tokens.length, this.#shares.length];
    if (!width || !height || !counts[0]) return;
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const [pitch, low] = counts.map((count) => Math.max(LOWEST, Math.min(TALLEST * rem, height / count)));
    const all = Math.max(height, pitch * counts[0], low * counts[1]);
    const [left, right] = [pitch, low].map((high, side) => Array.from({ length: counts[side] }, (_, i) => all / 2 + (i + 0.5 - counts[side] / 2) * high));
    set(this.element, { viewBox: `0 0 ${width} ${all}`, width, height: all });
    this.element.style.setProperty("--word-size", `${Math.max(16, Math.min(1.25 * rem, low * 0.6, width / 22))}px`);
    const [from, to] = [width * 0.3, width * (width < SMALL * rem ? 0.5 : 0.66)];
    this.#places = { pitch, left, right, from, to };
    for (const [i, y] of left.entries()) {
      const [hit, text] = /** @type {SVGElement[]} */ ([...this.#words[i].children]);
      set(hit, { x: 0, y: y - pitch / 2, width: from, height: pitch });
      set(text, { x: from - 12, y, dy: "0.35em" });
    }
    for (const [j, y] of right.entries()) {
      const [token, share] = /** @type {SVGElement[]} */ ([...this.#right.children[j].children]);
      set(token, { x: to + 12, y, dy: "0.35em", height: token.tagName === "svg" ? low * 0.9 : null });
      set(share, { x: Math.min(width - 4, to + FAR * rem), y, dy: "0.35em", "text-anchor": "end" });
    }
    this.draw(this.#weights, this.#word);
  }

  /**
   * Draw the weights of a head.
   * @param {ArrayLike<number>} weights [m, n]
   * @param {number} word the chosen one of the m
   */
  draw(weights, word) {
    this.#weights = weights;
    this.#word = word;
    const [m, n] = [this.#tokens.length, this.#shares.length];
    const { pitch, left, right, from, to } = this.#places;
    if (!pitch || weights.length !== m * n) return;
    const shown = this.word;
    for (let i = 0; i < m; i++) {
      const isShown = i === shown;
      const bundle = pitch * (isShown ? BUNDLE : OTHERS);
      this.#groups[i].classList.toggle("shown", isShown);
      set(this.#words[i], { "aria-checked": String(i === word), tabindex: i === word ? 0 : -1 });
      this.#words[i].classList.toggle("shown", isShown);
      let at = left[i] - bundle / 2;
      for (let j = 0; j < n; j++) {
        const weight = weights[i * n + j];
        const thick = weight * bundle;
        const isDrawn = weight > 0 && (isShown || weight >= LEAST);
        const d = isDrawn ? ribbon(from, at + thick / 2, to, right[j], Math.max(HAIR, thick)) : null;
        set(this.#paths[i][j], { d, "data-weight": isShown ? weight : null });
        at += thick;
      }
    }
    for (let j = 0; j < n; j++) {
      const weight = weights[shown * n + j];
      const text = weight >= WRITTEN ? percent(weight) : "";
      if (this.#shares[j].textContent !== text) this.#shares[j].textContent = text;
      this.#right.children[j].classList.toggle("attended", weight >= ATTENDED);
      this.#right.children[j].classList.toggle("cut", weight === 0);
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
