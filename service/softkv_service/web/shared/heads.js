/** The attention of a model's heads: the words of a text joined by threads, beside a map of all heads. */

import { h } from "./element.js";
import { HeadMap } from "./headmap.js";
import { Lines } from "./lines.js";
import { headPattern } from "./sentences.js";

/**
 * @typedef {object} Trace of a text of n tokens
 * @property {string[]} tokens
 * @property {ArrayLike<number>[][]} attention by layer and head, [n, n]: row i has the weights with which token i attends
 */

export class Heads {
  #say;
  #name;
  #map;
  /** @type {?Trace} */
  #trace = null;
  #told = h("p.told", { role: "status" });

  /**
   * @param {import("./words.js").Say} say has the words of `pictures.json`
   * @param {number} layers
   * @param {number} heads
   * @param {object} what
   * @param {(layer: number, head: number) => void} what.head the reader wants to see a head, from 0
   * @param {(word: number) => void} what.word the reader wants to see the row of a word
   * @param {?Element} [what.above] what is above the words
   * @param {?Element} [what.below] what is below them
   * @param {(layer: number, head: number) => {layer: number, head: number}} [what.name] the numbers that a head has in the model, from 1
   */
  constructor(say, layers, heads, { head, word, above = null, below = null, name = (i, j) => ({ layer: i + 1, head: j + 1 }) }) {
    this.#say = say;
    this.#name = name;
    this.lines = new Lines(say, word);
    this.#map = new HeadMap(say, layers, heads, head, (i, j) => say("place", name(i, j)));
    /** The box of the words, which may scroll. */
    this.place = h("div.lines-place", { tabIndex: -1 }, this.lines.element);
    this.element = h("div.inside-picture", {}, h("div.sentence-place", {}, above, this.place, below), h("div.map-place", {}, this.#map.element, this.#told));
  }

  /** Take the trace of another text. @param {Trace} trace */
  take(trace) {
    this.#trace = trace;
    this.lines.take(trace.tokens);
    this.#map.take(trace.attention, trace.tokens.length, (layer, head) => this.#sentence(layer, head));
  }

  /**
   * Show a head, and the row of a word.
   * @param {number} layer from 0
   * @param {number} head from 0
   * @param {number} word bounded to those there are
   */
  show(layer, head, word) {
    this.#map.show(layer, head);
    if (!this.#trace) return;
    const n = this.#trace.tokens.length;
    const weights = this.#trace.attention[layer][head];
    this.lines.draw(weights, Math.max(0, Math.min(n - 1, word)));
    this.#told.textContent = this.#sentence(layer, head);
  }

  /**
   * Describe the pattern of a head.
   * @param {number} layer
   * @param {number} head
   */
  #sentence(layer, head) {
    const { tokens, attention } = /** @type {Trace} */ (this.#trace);
    return headPattern(this.#say, { ...this.#name(layer, head), weights: attention[layer][head], tokens });
  }
}
