/** Texts → vectors in an exported page: those that were exported, and all others once the encoder is loaded. */

import { loadEncoder } from "../encoder/index.js";

/**
 * @typedef {{type: "int8"|"int16", numbers: string, scales: number[]}} Packed vectors one after another, in base64, with the
 *   scale of each
 * @typedef {{texts: string[], packed: Packed, counts: number[], unknown: number[]}} Exported texts with their vectors, and how
 *   many tokens each has
 */

const TYPES = { int8: Int8Array, int16: Int16Array };

/** A text whose vector is not known before the encoder is loaded. */
export class EncoderNeeded extends Error {}

export class Vectors {
  /** @type {Map<string, Float32Array>} */
  #known;
  /** @type {Map<string, {count: number, unknown: number, isTruncated: boolean}>} */
  #counts;
  /** @type {?import("../encoder/index.js").Encoder} */
  #encoder = null;

  /** @param {Exported} exported */
  constructor({ texts, packed, counts, unknown }) {
    const vectors = unpacked(packed);
    this.#known = new Map(texts.map((text, i) => [text, vectors[i]]));
    this.#counts = new Map(texts.map((text, i) => [text, { count: counts[i], unknown: unknown[i], isTruncated: false }]));
  }

  /** Load the encoder: some 30 MB. @param {(it: number) => void} report called with the share that has come */
  async load(report) {
    this.#encoder = await loadEncoder(report);
  }

  /** The encoder. @throws {EncoderNeeded} it is not loaded */
  get encoder() {
    if (!this.#encoder) throw new EncoderNeeded();
    return this.#encoder;
  }

  /** The vector of a text that was exported. @param {unknown} text */
  known(text) {
    return typeof text === "string" ? this.#known.get(text) : undefined;
  }

  /**
   * The number of tokens of a text.
   * @param {string} text
   * @throws {EncoderNeeded}
   */
  count(text) {
    return this.#counts.get(text) ?? this.encoder.count(text);
  }

  /**
   * @param {string[]} texts
   * @returns {Promise<Float32Array[]>} unit vectors, in order
   * @throws {EncoderNeeded}
   */
  async of(texts) {
    const missing = [...new Set(texts)].filter((text) => !this.#known.has(text));
    const encoded = missing.length ? await this.encoder.encode(missing) : [];
    const found = new Map(missing.map((text, i) => [text, encoded[i]]));
    return texts.map((text) => /** @type {Float32Array} */ (this.#known.get(text) ?? found.get(text)));
  }
}

/**
 * @param {Packed} packed
 * @returns {Float32Array[]}
 */
export function unpacked({ type, numbers, scales }) {
  const { buffer } = Uint8Array.from(atob(numbers), (letter) => letter.charCodeAt(0));
  const integers = new TYPES[type](buffer);
  const width = integers.length / scales.length;
  return scales.map((scale, i) => Float32Array.from(integers.subarray(i * width, (i + 1) * width), (integer) => integer * scale));
}
