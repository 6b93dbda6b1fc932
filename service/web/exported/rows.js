/** Rows with the vectors of their keys: how similar a question is to each, and how similar they are to each other. */

import { passes } from "./database.js";

/**
 * @typedef {import("./database.js").Row} Row
 * @typedef {import("./database.js").Filter} Filter
 * @typedef {{mean: number, deviation: number}} Spread
 * @typedef {{spread: Spread, pairs: number, isShort: boolean}} Measured how similar keys are to each other, and whether most are short
 * @typedef {Spread & {of: "encoder"|"keys"|"both", pairs: number, short: ?Spread}} Background as the API writes it
 */

/** Numbers of `service/retrieval/collections/null.py`, which explains them. */
const [FULL_WEIGHT_KEYS, MIN_KEYS, COPY_COSINE] = [30, 3, 0.8];
/** The maximum numbers of words and characters of a short text, as in `service/encoding/background.py`. */
const [SHORT_WORDS, SHORT_CHARACTERS] = [3, 32];

/** A collection, or the rows that a scene brings along. */
export class Rows {
  /**
   * @param {?string} name of the collection
   * @param {Row[]} rows
   * @param {Float32Array[]} vectors unit vectors of the keys
   * @param {?Measured} [measured] if it is known: a service measures a sample of a large collection
   */
  constructor(name, rows, vectors, measured) {
    this.name = name;
    this.rows = rows;
    this.vectors = vectors;
    this.measured = measured;
  }

  /** The rows that pass a filter, each with its similarity to a vector. @param {ArrayLike<number>} query @param {?Filter} filter */
  compare(query, filter) {
    return this.rows.flatMap((row, i) => (passes(row, filter) ? [{ row, similarity: cosine(query, this.vectors[i]), vector: this.vectors[i] }] : []));
  }

  /**
   * The similarities of unrelated texts from which a null key follows: `choose_background` of the service.
   *
   * @param {string} choice lenient, strict, or auto
   * @param {ArrayLike<number>|string} query
   * @param {{texts: Spread, short: Spread}} encoder
   * @returns {Background}
   */
  background(choice, query, encoder) {
    const keys = this.#keys();
    const lenient = choice === "lenient";
    if (!keys) return { ...encoder.texts, of: "encoder", pairs: 0, short: null };
    const share = lenient ? 0 : Math.min(this.rows.length / FULL_WEIGHT_KEYS, 1) * (choice === "auto" ? 0.5 : 1);
    const between = (/** @type {Spread} */ one) => ({
      mean: (1 - share) * one.mean + share * keys.spread.mean,
      deviation: (1 - share) * one.deviation + share * keys.spread.deviation,
    });
    const halfway = between(encoder.short);
    const ofShort = choice === "auto" && encoder.short.mean >= halfway.mean ? encoder.short : halfway;
    const short = keys.isShort ? ofShort : null;
    const spread = short && typeof query === "string" && isShort(query) ? short : between(encoder.texts);
    return { ...spread, of: lenient ? "encoder" : share === 1 ? "keys" : "both", pairs: lenient ? 0 : keys.pairs, short };
  }

  /** The similarity of keys of different rows; null for too few. @returns {?Measured} */
  #keys() {
    if (this.measured !== undefined) return this.measured;
    const cosines = this.vectors.flatMap((key, i) => this.vectors.slice(0, i).map((other) => cosine(key, other))).filter((one) => one < COPY_COSINE);
    if (this.vectors.length < MIN_KEYS || !cosines.length) return (this.measured = null);
    const mean = cosines.reduce((sum, one) => sum + one, 0) / cosines.length;
    const deviation = Math.sqrt(cosines.reduce((sum, one) => sum + (one - mean) ** 2, 0) / cosines.length);
    const short = this.rows.filter(({ key }) => isShort(key)).length;
    return (this.measured = { spread: { mean, deviation }, pairs: cosines.length, isShort: 2 * short > this.rows.length });
  }
}

/** Whether a text is a few words at most. @param {string} text */
function isShort(text) {
  return Array.from(text).length <= SHORT_CHARACTERS && (text.match(/\S+/g)?.length ?? 0) <= SHORT_WORDS;
}

/** @param {ArrayLike<number>} a of any length @param {ArrayLike<number>} b of length one */
function cosine(a, b) {
  let [product, square] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    product += a[i] * b[i];
    square += a[i] * a[i];
  }
  return square ? product / Math.sqrt(square) : 0;
}
