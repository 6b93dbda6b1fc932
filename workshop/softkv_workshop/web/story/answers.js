/**
 * Similarities of a question and keys: recorded ones for what the story itself asks, so that a chapter is there at
 * once; for what a reader asks, the service's, or in an exported page those of the encoder in the browser. The
 * recorded ones are the service's own, written by `python -m workshop.tools.similarities`.
 */

import recorded from "./recorded.json";

/**
 * @typedef {object} Answer
 * @property {Float64Array} similarities
 * @property {?Page.Background} background
 * @property {"recorded" | "service" | "browser"} from
 */
/** @typedef {(query: string, keys: string[]) => Promise<{similarities: Float64Array, background: ?Page.Background}>} Source */

/** @type {Record<string, {keys: string[], similarities: number[], background: ?Page.Background}[]>} */
const RECORDED = recorded;

export class Answers {
  #source;
  #from;

  /**
   * @param {Source} source of what was not recorded
   * @param {"service" | "browser"} from
   */
  constructor(source, from) {
    this.#source = source;
    this.#from = from;
    /** The keys that each question met last. @type {Map<string, string[]>} */
    this.keys = new Map();
  }

  /**
   * The recorded answer to a question about these keys; null without one.
   * @param {string} query
   * @param {string[]} keys
   * @returns {?Answer}
   */
  recorded(query, keys) {
    this.keys.set(query, keys);
    const known = RECORDED[query]?.find((one) => keys.every((key) => one.keys.includes(key)));
    if (!known) return null;
    const similarities = Float64Array.from(keys, (key) => known.similarities[known.keys.indexOf(key)]);
    return { similarities, background: known.background, from: "recorded" };
  }

  /**
   * The similarity of a question and each key, a cosine.
   *
   * @param {string} query
   * @param {string[]} keys in any order; equal ones have equal similarities
   * @returns {Promise<Answer>}
   */
  async ask(query, keys) {
    return this.recorded(query, keys) ?? { ...(await this.#source(query, keys)), from: this.#from };
  }
}

/**
 * The service as a source: one question with its rows, of which nothing is stored.
 *
 * @param {{post: (path: string, body: object) => Promise<any>}} api
 * @returns {Source}
 */
export function fromService(api) {
  return async (query, keys) => {
    const rows = keys.map((key, i) => ({ id: String(i), key, value: key }));
    const { attention, background } = await api.post("/v1/compare", { query, rows, top_k: 1000, null: "auto" });
    const similarities = new Float64Array(keys.length);
    for (const { id, similarity } of attention.matches) similarities[Number(id)] = similarity;
    return { similarities, background };
  };
}
