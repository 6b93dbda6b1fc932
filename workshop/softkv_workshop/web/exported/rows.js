/** Rows with the vectors of their keys: how similar a question is to each, and how similar they are to each other. */

import { passes } from "./database.js";

/**
 * @typedef {import("./database.js").Row} Row
 * @typedef {import("./database.js").Filter} Filter
 * @typedef {{mean: number, deviation: number}} Spread
 * @typedef {{spread: Spread, pairs: number, isShort: boolean, sample?: number[]}} Measured how similar keys are to each other, whether most are short, and the rows that were compared
 * @typedef {Spread & {of: "encoder"|"keys"|"both", pairs: number, at_most: ?Spread, at_least: ?Page.Capped, fades_from: ?number}} Background as the API writes it, beside one question
 * @typedef {{texts: Spread, short: Spread, temperature: number}} Encoder how similar its unrelated texts are, and the temperature of its collections
 */

/** Numbers of `service/softkv_service/retrieval/verdict/`, whose `null.py` and `key_background.py` explain them. */
const RELATED_COSINE = 0.8;
const [FULL_WEIGHT_KEYS, MIN_KEYS, NEAREST_TENTH, SAMPLE, SAMPLE_TEXTS] = [30, 3, 10, 512, 64];
/** The rule `symmetric` of `null.py`. */
const [SHARE, MOST, MOST_OF_SHORT, MARGIN, MOST_BESIDE_QUESTION, NEARNESS] = [0.3, 0.75, 1, 2 / 3, 3, 0.25];
/** The defaults of a collection's questions. */
export const DEFAULTS = { temperature: 0.05, null: "auto" };
/** The maximum numbers of words and characters of a short text, as in `service/softkv_service/encoding/background.py`. */
const [SHORT_WORDS, SHORT_CHARACTERS] = [3, 32];

/** A collection, or the rows that a scene brings along. */
export class Rows {
  /**
   * @param {?string} name of the collection
   * @param {Row[]} rows
   * @param {Float32Array[]} vectors unit vectors of the keys
   * @param {?Measured} [measured] if it is known: a service measures a sample of a large collection
   * @param {{temperature: number, null: string | number | false}} [defaults] of questions that do not say
   */
  constructor(name, rows, vectors, measured, { temperature, null: nullKey } = DEFAULTS) {
    this.name = name;
    this.rows = rows;
    this.vectors = vectors;
    this.measured = measured;
    this.temperature = temperature;
    this.null = nullKey;
  }

  /**
   * The rows that pass a filter, each with its similarity to a vector.
   * @param {ArrayLike<number>} query
   * @param {?Filter} filter
   */
  compare(query, filter) {
    return this.rows.flatMap((row, i) => (passes(row, filter) ? [{ row, similarity: cosine(query, this.vectors[i]), vector: this.vectors[i] }] : []));
  }

  /**
   * The similarities of unrelated texts from which a null key follows: `choose_background` of the service.
   *
   * @param {string} choice lenient, strict, or auto
   * @param {ArrayLike<number>|string} query
   * @param {ArrayLike<number>} vector of the query
   * @param {?Filter} filter
   * @param {Encoder} encoder
   * @returns {Background}
   */
  background(choice, query, vector, filter, encoder) {
    const keys = this.#keys();
    const unbounded = { at_most: null, at_least: null, fades_from: null };
    if (!keys) return { ...encoder.texts, ...unbounded, of: "encoder", pairs: 0 };
    const isOfShort = keys.isShort && typeof query === "string" && isShort(query);
    const beside = isOfShort ? null : this.#beside(vector, filter, encoder.texts);
    const falls = beside ? NEARNESS * (beside.mean - encoder.texts.mean) : 0;
    const ofEncoder = isOfShort ? encoder.short : encoder.texts;
    if (choice === "lenient") return { ...raised(ofEncoder, -falls), ...unbounded, of: "encoder", pairs: 0 };
    const enough = Math.min(this.rows.length / FULL_WEIGHT_KEYS, 1);
    const spread = between(ofEncoder, keys.spread, enough * (choice === "auto" ? SHARE : 1));
    if (choice !== "auto") return { ...raised(spread, -falls), ...unbounded, of: enough === 1 ? "keys" : "both", pairs: keys.pairs };
    const above = (isOfShort ? MOST_OF_SHORT : MOST) * ofEncoder.deviation;
    return {
      ...raised(isOfShort && ofEncoder.mean >= spread.mean ? ofEncoder : spread, -falls),
      at_most: raised(ofEncoder, above - falls),
      at_least: beside && {
        ...raised(beside, MARGIN * encoder.texts.deviation - falls),
        at_most: raised(encoder.texts, MOST_BESIDE_QUESTION * encoder.texts.deviation - falls),
      },
      fades_from: beside && encoder.temperature,
      of: "both",
      pairs: keys.pairs,
    };
  }

  /**
   * The similarities of a question to the keys, without the nearest. With few keys the encoder's background counts for
   * the rest.
   * @param {ArrayLike<number>} vector
   * @param {?Filter} filter
   * @param {Spread} encoder
   * @returns {?Spread}
   */
  #beside(vector, filter, encoder) {
    const sample = filter || !this.measured?.sample ? this.rows.map((_, i) => i) : this.measured.sample;
    const compared = sample.filter((i) => passes(this.rows[i], filter)).slice(0, SAMPLE);
    if (!compared.length) return null;
    const similarities = compared.map((i) => cosine(vector, this.vectors[i])).sort((a, b) => a - b);
    const own = spreadOf(similarities.slice(0, similarities.length - Math.floor(similarities.length / NEAREST_TENTH)));
    return between(encoder, own, Math.min(compared.length / FULL_WEIGHT_KEYS, 1));
  }

  /** The similarity of keys of different rows; null for too few. @returns {?Measured} */
  #keys() {
    if (this.measured === undefined) this.measured = measure(this.rows, this.vectors, [...this.rows.keys()]);
    return this.measured;
  }
}

/**
 * Measure the similarities of the keys of rows to each other; null for too few.
 *
 * @param {Row[]} rows
 * @param {Float32Array[]} vectors unit vectors of their keys
 * @param {number[]} ordered places of the rows; of many the first are a sample
 * @returns {?Measured}
 */
export function measure(rows, vectors, ordered) {
  const sample = ordered.slice(0, SAMPLE);
  const half = sample.length >> 1;
  const others = (/** @type {number} */ at) => (sample.length < SAMPLE ? sample.slice(0, at) : at < half ? sample.slice(half) : []);
  const pairs = sample.flatMap((i, at) => others(at).map((j) => [i, j]));
  const cosines = pairs.map(([i, j]) => cosine(vectors[i], vectors[j])).filter((one) => one < RELATED_COSINE);
  if (sample.length < MIN_KEYS || !cosines.length) return null;
  const texts = sample.slice(0, SAMPLE_TEXTS).map((i) => rows[i].key);
  return { spread: spreadOf(cosines), pairs: cosines.length, isShort: 2 * texts.filter(isShort).length > texts.length, sample };
}

/**
 * @param {number[]} numbers at least one
 * @returns {Spread}
 */
function spreadOf(numbers) {
  const mean = numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
  return { mean, deviation: Math.sqrt(numbers.reduce((sum, one) => sum + (one - mean) ** 2, 0) / numbers.length) };
}

/**
 * @param {Spread} spread
 * @param {number} similarity
 * @returns {Spread}
 */
function raised({ mean, deviation }, similarity) {
  return { mean: mean + similarity, deviation };
}

/**
 * @param {Spread} one
 * @param {Spread} other
 * @param {number} share of the other
 * @returns {Spread}
 */
function between(one, other, share) {
  return { mean: (1 - share) * one.mean + share * other.mean, deviation: (1 - share) * one.deviation + share * other.deviation };
}

/** Whether a text is a few words at most. @param {string} text */
function isShort(text) {
  return Array.from(text).length <= SHORT_CHARACTERS && (text.match(/\S+/g)?.length ?? 0) <= SHORT_WORDS;
}

/**
 * @param {ArrayLike<number>} a of any length
 * @param {ArrayLike<number>} b of length one
 */
export function cosine(a, b) {
  let [product, square] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    product += a[i] * b[i];
    square += a[i] * a[i];
  }
  return square ? product / Math.sqrt(square) : 0;
}
