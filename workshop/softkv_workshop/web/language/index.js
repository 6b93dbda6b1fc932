/**
 * A small language model in the browser, which writes a text word by word; computed by this folder alone. It writes parts of
 * sentences that are mostly grammatical, in the manner of a dictionary's examples. It knows nothing: what it says is not true.
 * `python -m workshop.benchmarks.sentences` trained it and wrote `recorded/writing.js`, which a page loads where it writes.
 *
 * @typedef {import("./tokens.js").Word} Word
 * @typedef {import("./network.js").Layer} Layer
 * @typedef {import("./network.js").Shape} Shape
 */

import { fromBase64 } from "../encoder/index.js";
import { recordedOnce } from "../shared/recorded.js";
import { Network } from "./network.js";
import { Words } from "./tokens.js";

/**
 * @typedef {object} Model the record `writing`
 * @property {string} license of the text that it was trained on
 * @property {Shape} shape
 * @property {string} words by their ids, with spaces between
 * @property {number} special the number of words, from the first, that are never written: unknown, and what begins a text
 * @property {[string, "int8"|"float32", number, number][]} tensors name, type, first byte and count of numbers
 * @property {number} bytes of all tensors
 * @property {string} content these bytes, in base64
 */

/**
 * @typedef {object} Trace all that the model computed of n words
 * @property {number[]} ids
 * @property {Layer[]} layers
 * @property {Float32Array} logits of the next word, one for each word of the vocabulary
 */

/** @typedef {{id: number, word: string, probability: number}} Candidate a word that may come next */

/**
 * @typedef {object} Half what the last word's vector predicts amid the layers
 * @property {?number} layer null before the first
 * @property {"words"|"attention"|"feedForward"} half after which
 * @property {Float32Array} logits of the next word, as if the layers ended here
 */

/** @typedef {{ids: number[], words: Word[], left: Word[], unknown: Word[]}} Tokens the ids of a text, of its beginning first; its words as they were read; the first words that are too many; the words that are not known */

const BEGIN = 1;

/** Words → the next word. */
export class LanguageModel {
  /** @param {Model} model @param {ArrayBuffer} content the bytes of all tensors */
  constructor({ shape, words, special, tensors }, content) {
    this.shape = shape;
    this.words = words.split(" ");
    this.special = special;
    this.reader = new Words(this.words);
    const types = { int8: Int8Array, float32: Float32Array };
    this.network = new Network(shape, Object.fromEntries(tensors.map(([tensor, type, start, count]) => [tensor, new types[type](content, start, count)])));
  }

  /**
   * Load the model.
   *
   * @param {(it: string) => Promise<unknown>} [read] the name of a record → the record
   * @returns {Promise<LanguageModel>}
   * @throws {import("../shared/recorded.js").RecordMissing} the script of the model cannot be read
   */
  static async load(read = recordedOnce) {
    const model = /** @type {Model} */ (await read("writing"));
    const content = new Uint8Array(model.bytes);
    fromBase64(model.content, content, 0);
    return new LanguageModel(model, content.buffer);
  }

  /** Return the words of a text as the model reads them; of a text with too many, the last. @param {string} text @returns {Tokens} */
  tokens(text) {
    const all = this.reader.read(text);
    const first = Math.max(0, all.length - (this.shape.positions - 1));
    const words = all.slice(first);
    return { ids: [BEGIN, ...words.map(({ id }) => id)], words, left: all.slice(0, first), unknown: words.filter(({ isKnown }) => !isKnown) };
  }

  /**
   * Return the logits of the next word. Words that the call before had at the same places are not computed again.
   *
   * @param {number[]} ids as `tokens` returns them, and words that were written after them
   * @returns {Float32Array}
   * @throws {RangeError} the list is empty, or has more words than the model reads
   */
  logits(ids) {
    const { positions } = this.shape;
    if (!ids.length || ids.length > positions)
      throw new RangeError(`Expected 1 to ${positions} words with the beginning, got ${ids.length}. Shorten the text.`);
    this.network.read(ids);
    return this.network.predict([this.network.streams[2 * this.shape.layers]])[0];
  }

  /** Return all that the model computes of words; arguments and errors are those of `logits`. @param {number[]} ids @returns {Trace} */
  trace(ids) {
    const logits = this.logits(ids);
    return { ids: [...ids], layers: Array.from({ length: this.shape.layers }, (_, number) => this.network.layer(number)), logits };
  }

  /** Return what the last word's vector predicts before the layers and after each half of them: a logit lens. @param {number[]} ids @returns {Half[]} */
  halves(ids) {
    this.logits(ids);
    return this.network.predict(this.network.streams).map((logits, i) => ({
      layer: i ? Math.floor((i - 1) / 2) : null,
      half: i ? (i % 2 ? "attention" : "feedForward") : "words",
      logits,
    }));
  }

  /**
   * Return the n most likely words, the best first; at temperature 0 the most likely alone, at Infinity all are equal.
   *
   * @param {Float32Array} logits
   * @param {number} temperature
   * @param {number} n
   * @returns {Candidate[]}
   */
  next(logits, temperature, n) {
    const probabilities = this.probabilities(logits, temperature);
    const order = Array.from(logits.keys()).slice(this.special);
    order.sort((a, b) => logits[b] - logits[a]);
    return order.slice(0, temperature === 0 ? Math.min(n, 1) : n).map((id) => ({ id, word: this.words[id], probability: probabilities[id] }));
  }

  /**
   * Return a word that is drawn by its probability.
   *
   * @param {Float32Array} logits
   * @param {number} temperature
   * @param {number} share from 0 to 1, of which one word has each part
   * @returns {number} its id
   */
  draw(logits, temperature, share) {
    const probabilities = this.probabilities(logits, temperature);
    let sum = 0;
    for (let id = this.special; id < probabilities.length; id++) {
      sum += probabilities[id];
      if (share < sum) return id;
    }
    return this.next(logits, 0, 1)[0].id; // a share of 1, or the rest that rounding left
  }

  /** Return the probability of each word: softmax(logits / temperature) of those that can be written. @param {Float32Array} logits @param {number} temperature @returns {Float64Array} */
  probabilities(logits, temperature) {
    const probabilities = new Float64Array(logits.length);
    let best = this.special;
    for (let id = this.special; id < logits.length; id++) if (logits[id] > logits[best]) best = id;
    if (temperature === 0) {
      probabilities[best] = 1;
      return probabilities;
    }
    let sum = 0;
    for (let id = this.special; id < logits.length; id++) {
      probabilities[id] = Math.exp((logits[id] - logits[best]) / temperature);
      sum += probabilities[id];
    }
    return probabilities.map((number) => number / sum);
  }
}
