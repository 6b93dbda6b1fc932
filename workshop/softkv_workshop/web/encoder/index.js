/**
 * A sentence encoder in the browser: all-MiniLM-L6-v2, computed by this folder alone, without a service or a library.
 * `tokeniser.js` reads texts as tokens and `network.js` turns tokens into vectors. `softkv page export` writes the model,
 * `recorded/model.js` and its parts. They are some 30 MB, and are fetched only when a reader types a text.
 *
 * @typedef {import("./tokeniser.js").Token} Token
 * @typedef {import("./tokeniser.js").Vocabulary} Vocabulary
 * @typedef {import("./network.js").Shape} Shape
 * @typedef {import("./network.js").Layer} Layer
 */

import { recordedOnce } from "../shared/recorded.js";
import { Network } from "./network.js";
import { Tokeniser } from "./tokeniser.js";

/**
 * @typedef {object} Model the record `model`
 * @property {string} name
 * @property {Shape} shape
 * @property {number} max_tokens more tokens of a text are not read
 * @property {Vocabulary} vocabulary
 * @property {[string, "int8"|"float32", number, number][]} tensors name, type, first byte and count of numbers
 * @property {number} bytes of all tensors
 * @property {string[]} parts the names of the records that have them, in order
 */

/**
 * @typedef {object} TracedToken its span is of the text, 0, or of the pair, 1; null is neither
 * @property {string} text
 * @property {number} start
 * @property {number} end
 * @property {?number} sequence
 */

/**
 * @typedef {object} Trace what the model computed of n tokens, of one text or of a pair
 * @property {string[]} tokens the piece of the text of each; a token that is not in the text has its name in the model
 * @property {Float32Array[][]} attention by layer and head, [n, n]: row i has the weights with which token i attends
 * @property {TracedToken[]} spans where each token is
 * @property {Layer[]} layers all that each layer computed
 */

const MODEL = "model";
/** The maximum number of tokens that are computed together. */
const BATCH_TOKENS = 32;
/** The page draws a frame between two slices of work, in milliseconds. */
const SLICE_MS = 8;

/** Texts → vectors and traces, one call after another. */
export class Encoder {
  /**
   * @param {Model} model
   * @param {ArrayBuffer} content the bytes of all tensors
   */
  constructor({ name, shape, max_tokens: maxTokens, vocabulary, tensors }, content) {
    this.name = name;
    this.shape = shape;
    this.maxTokens = maxTokens;
    this.tokeniser = new Tokeniser(vocabulary);
    const types = { int8: Int8Array, float32: Float32Array };
    this.network = new Network(shape, Object.fromEntries(tensors.map(([tensor, type, start, count]) => [tensor, new types[type](content, start, count)])));
    /** @type {Map<string, Float32Array>} */
    this.vectors = new Map();
    /** @type {Promise<unknown>} */
    this.running = Promise.resolve();
  }

  /**
   * Return the unit vectors of texts, in order; a text that was encoded before is not computed again.
   * @param {string[]} texts
   * @returns {Promise<Float32Array[]>}
   */
  encode(texts) {
    return this.#next(async () => {
      const missing = [...new Set(texts)].filter((text) => !this.vectors.has(text)).map((text) => ({ text, ids: this.#read(text).map(({ id }) => id) }));
      for (const batch of batches(missing)) {
        const vectors = await inSlices(this.network.embed(batch.map(({ ids }) => ids)));
        batch.forEach(({ text }, i) => this.vectors.set(text, vectors[i]));
      }
      return texts.map((text) => /** @type {Float32Array} */ (this.vectors.get(text)));
    });
  }

  /**
   * Return what every head of every layer computes of a text, or of a text and a second one after it.
   *
   * @param {string} text
   * @param {{pair?: ?string, isCausal?: boolean}} [options]
   * @returns {Promise<Trace>}
   * @throws {RangeError} it has more tokens than the model reads
   */
  trace(text, { pair = null, isCausal = false } = {}) {
    return this.#next(async () => {
      const first = this.tokeniser.read(text);
      const tokens = pair === null ? first : [...first, ...this.tokeniser.read(pair).slice(1)];
      if (tokens.length > this.maxTokens) throw new RangeError(`Expected at most ${this.maxTokens} tokens, got ${tokens.length}. Shorten the text.`);
      /** @type {Layer[][]} */
      const traces = [];
      await inSlices(this.network.embed([tokens.map(({ id }) => id)], { traces, second: first.length, isCausal }));
      const spans = tokens.map(({ id, start, end }, i) => {
        const sequence = end ? Number(i >= first.length) : null;
        return {
          text: sequence === null ? this.tokeniser.names[id] : (sequence ? /** @type {string} */ (pair) : text).slice(start, end),
          start,
          end,
          sequence,
        };
      });
      return { tokens: spans.map((span) => span.text), spans, layers: traces[0], attention: traces[0].map(({ attention }) => attention) };
    });
  }

  /**
   * Return the vectors of a text without each head, by layer and head.
   * @param {string} text
   * @returns {Promise<Float32Array[]>}
   */
  withoutHeads(text) {
    return this.#next(async () => {
      const { layers, heads } = this.shape;
      const ids = this.#read(text).map(({ id }) => id);
      const all = Array.from({ length: layers * heads }, (_, i) => ({ layer: Math.floor(i / heads), head: i % heads }));
      /** @type {Float32Array[]} */
      const vectors = [];
      const together = Math.max(1, Math.floor(BATCH_TOKENS / ids.length));
      for (let at = 0; at < all.length; at += together) {
        const left = all.slice(at, at + together);
        vectors.push(
          ...(await inSlices(
            this.network.embed(
              left.map(() => ids),
              undefined,
              left,
            ),
          )),
        );
      }
      return vectors;
    });
  }

  /**
   * Return what the service's /v1/encode says of a text's tokens.
   * @param {string} text
   * @returns {{count: number, unknown: number, isTruncated: boolean}}
   */
  count(text) {
    const tokens = this.tokeniser.read(text);
    return { count: tokens.length, unknown: this.tokeniser.unknownIn(tokens), isTruncated: tokens.length > this.maxTokens };
  }

  /**
   * The tokens that the model reads: of a long text the first, and the one that closes it.
   * @param {string} text
   * @returns {Token[]}
   */
  #read(text) {
    const tokens = this.tokeniser.read(text);
    return tokens.length > this.maxTokens ? [...tokens.slice(0, this.maxTokens - 1), tokens[tokens.length - 1]] : tokens;
  }

  /**
   * Work begins when the work before it has ended: two share one scratch.
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  #next(work) {
    const result = this.running.then(work);
    this.running = result.catch(() => {});
    return result;
  }
}

/** @typedef {(it: string) => Promise<unknown>} Reader the name of a record → the record */

/** @type {?Promise<Encoder>} */
let loading = null;

/**
 * Load the encoder, once a page.
 *
 * @param {(it: number) => void} [report] called with the share of the model that has come, 0 to 1
 * @param {Reader} [read]
 * @returns {Promise<Encoder>}
 * @throws {import("../shared/recorded.js").RecordMissing} a script of the model cannot be read; the next call tries again
 */
export function loadEncoder(report = () => {}, read = recordedOnce) {
  loading ??= load(report, read).catch((failure) => {
    loading = null;
    throw failure;
  });
  return loading;
}

/**
 * @param {(it: number) => void} report
 * @param {Reader} read
 */
async function load(report, read) {
  report(0);
  const model = /** @type {Model} */ (await read(MODEL));
  const content = new Uint8Array(model.bytes);
  let filled = 0;
  for (const part of model.parts) {
    filled += fromBase64(/** @type {string} */ (await read(part)), content, filled);
    report(filled / model.bytes);
    await pause();
  }
  return new Encoder(model, content.buffer);
}

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const SIXES = Uint8Array.from({ length: 128 }, (_, code) => Math.max(0, LETTERS.indexOf(String.fromCharCode(code))));

/**
 * Write bytes from base64, and return how many. `atob` would need a string of them on the way.
 * @param {string} text
 * @param {Uint8Array} bytes
 * @param {number} start
 */
export function fromBase64(text, bytes, start) {
  const count = (text.length / 4) * 3 - (text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0);
  for (let i = 0, at = start; i < text.length; i += 4, at += 3) {
    const four =
      (SIXES[text.charCodeAt(i)] << 18) | (SIXES[text.charCodeAt(i + 1)] << 12) | (SIXES[text.charCodeAt(i + 2)] << 6) | SIXES[text.charCodeAt(i + 3)];
    bytes[at] = four >> 16;
    // Beyond the end a typed array takes no bytes: what pads the last four letters is dropped.
    bytes[at + 1] = four >> 8;
    bytes[at + 2] = four;
  }
  return count;
}

/**
 * Split texts into batches of at most BATCH_TOKENS tokens; a longer text is a batch of its own.
 * @template {{ids: number[]}} T
 * @param {T[]} texts
 * @returns {T[][]}
 */
function batches(texts) {
  /** @type {T[][]} */
  const all = [];
  let room = 0;
  for (const text of texts) {
    if (!all.length || text.ids.length > room) {
      all.push([]);
      room = BATCH_TOKENS;
    }
    all[all.length - 1].push(text);
    room -= text.ids.length;
  }
  return all;
}

/**
 * Run work to its end, with a pause whenever a slice of time is used up.
 * @template T
 * @param {Generator<void, T, void>} work
 * @returns {Promise<T>}
 */
async function inSlices(work) {
  let began = performance.now();
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
    if (performance.now() - began < SLICE_MS) continue;
    await pause();
    began = performance.now();
  }
}

/** Let the browser draw and listen. A timer would wait for 4 ms. @returns {Promise<void>} */
function pause() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
