/**
 * A small language model in the browser, which writes a text word by word; computed by this folder alone. It knows a small
 * world of sentences. `python -m workshop.tools.recorded writing` trained it and wrote `recorded/writing.js`, which a page
 * loads where it writes.
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
 * @property {Shape} shape
 * @property {Facts} facts
 * @property {Beginning[]} beginnings
 * @property {string[][]} neurons by layer: the last words of the text at which each neuron is strongest
 * @property {string} words by their ids, with spaces between
 * @property {number} special the number of words, from the first, that are never written: unknown, and what begins a text
 * @property {[string, "int8"|"float32", number, number][]} tensors name, type, first byte and count of numbers
 * @property {number} bytes of all tensors
 * @property {string} content these bytes, in base64
 */

/**
 * @typedef {object} Facts of the training; the last two are of texts that it did not see
 * @property {number} parameters
 * @property {number} texts
 * @property {number} unseen
 * @property {number} steps
 * @property {number} right
 * @property {number} perplexity
 */
/**
 * @typedef {object} Beginning a text whose last word looks at the word `at`, from 1, in a head; both numbers count from 1
 * @property {string} text
 * @property {number} at
 * @property {number} layer
 * @property {number} head
 */

/**
 * @typedef {object} Neuron what one row of a feed-forward half is to the last word
 * @property {string} key the last words of the text at which it is strongest
 * @property {number} share of all that the rows of the half add: strength·‖value‖
 * @property {string[]} writes the words that it makes likelier, the most first
 */

/**
 * @typedef {object} Trace all that the model computed of n words
 * @property {number[]} ids
 * @property {Layer[]} layers
 * @property {Float32Array} logits of the next word, one for each word of the vocabulary
 */

/** @typedef {{id: number, word: string, probability: number}} Candidate a word that may come next */

/**
 * @typedef {object} Tokens the ids of a text, of its beginning first; its words as they were read; the first words that are too many; the words that are not known
 * @property {number[]} ids
 * @property {Word[]} words
 * @property {Word[]} left
 * @property {Word[]} unknown
 */

const BEGIN = 1;
/** The most words that a row writes: those that it pushes nearly as much as the first. */
const MOST_WRITTEN = 3;
const CLEAR = 0.7;

/** Words → the next word. */
export class LanguageModel {
  /**
   * @param {Model} model
   * @param {ArrayBuffer} content the bytes of all tensors
   */
  constructor({ shape, words, special, tensors, facts, beginnings, neurons }, content) {
    this.shape = shape;
    this.facts = facts;
    this.beginnings = beginnings;
    this.neuronKeys = neurons;
    this.words = words.split(" ");
    this.special = special;
    this.reader = new Words(this.words);
    const types = { int8: Int8Array, float32: Float32Array };
    this.network = new Network(shape, Object.fromEntries(tensors.map(([tensor, type, start, count]) => [tensor, new types[type](content, start, count)])));
  }

  /** Load the model; a RecordMissing says that its script cannot be read. @param {(it: string) => Promise<unknown>} [read] the name of a record → the record */
  static async load(read = recordedOnce) {
    const model = /** @type {Model} */ (await read("writing"));
    const content = new Uint8Array(model.bytes);
    fromBase64(model.content, content, 0);
    return new LanguageModel(model, content.buffer);
  }

  /**
   * Return the words of a text as the model reads them; of a text with too many, the last.
   * @param {string} text
   * @returns {Tokens}
   */
  tokens(text) {
    const all = this.reader.read(text);
    const first = Math.max(0, all.length - (this.shape.positions - 1));
    const words = all.slice(first);
    return { ids: [BEGIN, ...words.map(({ id }) => id)], words, left: all.slice(0, first), unknown: words.filter(({ isKnown }) => !isKnown) };
  }

  /**
   * Return the logits of the word after these. What the call before computed of the same words is kept.
   * @param {number[]} ids as `tokens` returns them
   * @returns {Float32Array}
   */
  logits(ids) {
    const { positions } = this.shape;
    if (!ids.length || ids.length > positions)
      throw new RangeError(`Expected 1 to ${positions} words with the beginning, got ${ids.length}. Shorten the text.`);
    this.network.read(ids);
    return this.network.predict([this.network.streams[2 * this.shape.layers]])[0];
  }

  /**
   * Return all that the model computes of words; arguments and errors are those of `logits`.
   * @param {number[]} ids
   * @returns {Trace}
   */
  trace(ids) {
    const logits = this.logits(ids);
    return { ids: [...ids], layers: Array.from({ length: this.shape.layers }, (_, number) => this.network.layer(number)), logits };
  }

  /**
   * Return the logits of the last word's vector before the layers and after each half of them: a logit lens.
   * @param {number[]} ids
   * @returns {Float32Array[]}
   */
  halves(ids) {
    this.logits(ids);
    return this.network.predict(this.network.streams);
  }

  /**
   * Return the at most n neurons that add most to the last word's vector, if they answer at all, and the share of all others.
   * @param {Layer} traced
   * @param {number} layer its number
   * @param {number} n
   * @returns {{neurons: Neuron[], others: number, othersShare: number}}
   */
  lookUp({ hidden }, layer, n) {
    const { inner } = this.shape;
    const strengths = hidden.subarray(hidden.length - inner);
    const values = Array.from(strengths, (_, neuron) => this.network.value(layer, neuron));
    const lengths = values.map((value, neuron) => strengths[neuron] * Math.hypot(...value));
    const sum = lengths.reduce((all, length) => all + length, 0) || 1;
    const order = Array.from(lengths.keys()).filter((neuron) => lengths[neuron] > 0);
    const shown = order.sort((a, b) => lengths[b] - lengths[a]).slice(0, n);
    const neurons = shown.map((neuron) => {
      const pushes = this.network.pushes(values[neuron]);
      const words = Array.from(pushes.keys()).slice(this.special);
      words.sort((a, b) => pushes[b] - pushes[a]);
      const clear = words.slice(0, MOST_WRITTEN).filter((id) => pushes[id] > CLEAR * pushes[words[0]]);
      return { key: this.neuronKeys[layer][neuron], share: lengths[neuron] / sum, writes: clear.map((id) => this.words[id]) };
    });
    return { neurons, others: inner - shown.length, othersShare: order.slice(n).reduce((all, neuron) => all + lengths[neuron], 0) / sum };
  }

  /**
   * Return the n most likely words, the best first; at temperature 0 the most likely alone.
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
   * Return the id of the word that has a share's place, from 0 to 1, among all probabilities one after the other.
   * @param {Float32Array} logits
   * @param {number} temperature
   * @param {number} share
   * @returns {number}
   */
  draw(logits, temperature, share) {
    let left = share;
    const id = this.probabilities(logits, temperature).findIndex((probability) => (left -= probability) < 0);
    return id < 0 ? this.next(logits, 0, 1)[0].id : id; // a share of 1, or the rest that rounding left
  }

  /**
   * Return the probability of each word: softmax(logits / temperature) of those that can be written.
   * @param {Float32Array} logits
   * @param {number} temperature
   * @returns {Float64Array}
   */
  probabilities(logits, temperature) {
    const best = Math.max(...logits.subarray(this.special));
    const term = (/** @type {number} */ logit) => (temperature === 0 ? Number(logit === best) : Math.exp((logit - best) / temperature));
    const terms = Float64Array.from(logits, (logit, id) => (id < this.special ? 0 : term(logit)));
    const sum = terms.reduce((all, one) => all + one, 0);
    return terms.map((one) => one / sum);
  }
}
