/**
 * The API's answers in a page that was exported, computed here: `rows.js` compares and `database.js` searches rows,
 * `arrays.js` attends on matrices, and the encoder of `workshop/softkv_workshop/web/encoder/` reads texts. Rows of collections come from
 * `recorded/`. What needs more than that, such as a room or training, is refused with the code `not_exported`; a text
 * whose vector is not known yet, with `encoder_needed`.
 *
 * @typedef {import("./database.js").Row} Row
 * @typedef {{documents: number, measured: ?import("./rows.js").Measured}} Collection
 * @typedef {{encoder: import("./rows.js").Encoder, vectors: import("./vectors.js").Exported, collections: Record<string, Collection>, width: number}} Exported the record `exported`
 * @typedef {{rows: Row[], keys: import("./vectors.js").Packed}} RecordedRows the record `collection-NAME`
 * @typedef {{query: string|number[], filter?: ?import("./database.js").Filter, top_k?: number, temperature?: number, null?: string|number|false, include?: string[]}} Question
 * @typedef {(answers: Answers, call: {method: string, path: string, body: any}) => Promise<unknown>} More answers further calls; undefined leaves a call to this module
 */

import { weigh } from "../../../../service/softkv_service/web/shared/formula.js";
import { NullKey } from "../shared/nullkey.js";
import { recorded, recordedOnce } from "../shared/recorded.js";
import { attendArrays } from "./arrays.js";
import { equal, fullText } from "./database.js";
import { Rows } from "./rows.js";
import { traced, written } from "./traces.js";
import { EncoderNeeded, unpacked, Vectors } from "./vectors.js";

/** The API's default. */
const TOP_K = 10;
export const ENCODER = "all-MiniLM-L6-v2";
const CALL = /^\/v1\/collections\/([^/]+)\/(compare|attend|sweep)$/;
/** The end of the paths whose bodies are lines of JSON; they stay texts. */
const LINES = "/documents";
const TYPE = { "Content-Type": "application/json" };

/** A call that an exported page has no answer to. */
export class NotExported extends Error {}

/** An answer of several lines of JSON. */
export class Lines {
  /** @param {object[]} lines */
  constructor(lines) {
    this.text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  }
}

export class Answers {
  /** @type {Map<string, Promise<Rows>>} */
  #collections = new Map();

  /**
   * @param {Exported} exported
   * @param {?More} [more]
   */
  constructor(exported, more = null) {
    this.exported = exported;
    this.vectors = new Vectors(exported.vectors);
    this.more = more;
  }

  /**
   * Return the answer to a call.
   * @param {string} method
   * @param {string} path
   * @param {any} body
   * @returns {Promise<unknown>}
   * @throws {EncoderNeeded|NotExported}
   */
  async answer(method, path, body) {
    const answer = await this.more?.(this, { method, path, body });
    if (answer !== undefined) return answer;
    if (method === "GET" && path === "/v1/collections") return this.#listed();
    if (path === "/v1/attend") return attendArrays(body);
    if (path === "/v1/encode") return this.#encoded(body);
    if (path === "/v1/trace") return this.#traced(body);
    if (path === "/v1/compare") return this.#compared(await this.#sent(body.rows), body);
    const [, name, call] = CALL.exec(path) ?? [];
    if (!name || body.full_text || body.bias || body.null === "calibrated" || body.max_error !== undefined) throw new NotExported();
    const rows = await this.collection(decodeURIComponent(name));
    if (call === "compare") return this.#compared(rows, body);
    if (body.queries) return { results: await Promise.all(body.queries.map((/** @type {number[]} */ query) => this.attended(rows, { ...body, query }))) };
    return call === "attend" ? this.attended(rows, body) : this.swept(rows, body);
  }

  #listed() {
    const { collections, width: dimension } = this.exported;
    const listed = Object.entries(collections).map(([name, { documents }]) => ({ name, documents, keys: documents, dimension, calibration: null }));
    return { collections: listed, next_cursor: null, access: "none" };
  }

  /**
   * The rows of a demo.
   * @param {string} name
   * @returns {Promise<Rows>}
   * @throws {NotExported}
   */
  collection(name) {
    const known = this.exported.collections[name];
    if (!known) throw new NotExported();
    let collection = this.#collections.get(name);
    if (!collection) {
      collection = recordedOnce(`collection-${name}`).then((record) => {
        const { rows, keys } = /** @type {RecordedRows} */ (record);
        return new Rows(name, rows, unpacked(keys), known.measured);
      });
      this.#collections.set(name, collection);
    }
    return collection;
  }

  /** Rows that came with the question. @param {Row[]} sent */
  async #sent(sent) {
    const rows = sent.map((row, i) => ({ ...row, id: row.id ?? String(i + 1), value: row.value ?? row.key }));
    return new Rows(null, rows, await this.vectors.of(rows.map(({ key }) => key)));
  }

  /** @param {{texts: string[]}} body */
  async #encoded({ texts }) {
    const embeddings = (await this.vectors.of(texts)).map((vector) => Array.from(vector));
    const counts = texts.map((text) => this.vectors.count(text));
    return {
      model: ENCODER,
      dimension: this.exported.width,
      embeddings,
      token_counts: counts.map(({ count }) => count),
      unknown_tokens: counts.map(({ unknown }) => unknown),
      truncated: counts.map(({ isTruncated }) => isTruncated),
    };
  }

  /** @param {import("./traces.js").Request} body */
  async #traced(body) {
    const { text, pair = null, causal: isCausal = false } = body;
    const { encoder } = this.vectors;
    const trace = await encoder.trace(text, { pair, isCausal });
    const answer = traced(ENCODER, trace, body, encoder.network);
    const { include = [], vector_format: format = "numbers" } = body;
    if (include.includes("vector")) Object.assign(answer, { vector: await this.#vectorOf(text, trace, format) });
    if (include.includes("without_head")) {
      const { layers, heads } = encoder.shape;
      Object.assign(answer, { without_head: written(await encoder.withoutHeads(text), [layers, heads, this.exported.width], format) });
    }
    return answer;
  }

  /**
   * The vector of a text, pooled, of length one, and as rows are searched with it.
   * @param {string} text
   * @param {import("../encoder/index.js").Trace} trace
   * @param {string} format
   */
  async #vectorOf(text, { layers }, format) {
    const { states } = layers[layers.length - 1];
    const width = this.exported.width;
    const rows = states[states.length - 1];
    const pooled = Float32Array.from({ length: width }, (_, k) => {
      let sum = 0;
      for (let at = k; at < rows.length; at += width) sum += rows[at];
      return (sum * width) / rows.length;
    });
    const size = Math.hypot(...pooled);
    const [searched] = await this.vectors.of([text]);
    const of = (/** @type {Float32Array} */ vector) => written([vector], [width], format);
    return { pooled: of(pooled), embedding: of(pooled.map((number) => number / size)), searched: of(Float32Array.from(searched)) };
  }

  /**
   * @param {Rows} rows
   * @param {Question & {query: string}} body
   */
  async #compared(rows, body) {
    const { query, filter = null, top_k: limit = TOP_K } = body;
    const attention = await this.attended(rows, { ...body, include: ["key", "value", "metadata"] });
    const nearest = [...attention.matches].sort((a, b) => b.similarity - a.similarity);
    return {
      sql: equal(rows.rows, query, filter, limit),
      full_text: fullText(rows.rows, query, filter, limit),
      top_k: { matches: nearest, documents: attention.documents, took_ms: 0 },
      background: await this.#background(rows, body),
      attention,
    };
  }

  /**
   * @param {Rows} rows
   * @param {Question} body
   */
  async attended(rows, body) {
    return this.shaped(await this.weighed(rows, body), body);
  }

  /**
   * The weight of each row that passes, heaviest first.
   * @param {Rows} rows
   * @param {Question} body
   */
  async weighed(rows, body) {
    const temperature = body.temperature ?? rows.temperature;
    const compared = await this.#similarities(rows, body);
    const nullKey = await this.#nullKey(rows, body, compared.length);
    const similarities = compared.map(({ similarity }) => similarity);
    const answer = weigh(similarities, { temperature, none: nullKey?.at(temperature) ?? null });
    const matches = compared.map((one, i) => ({ ...one, logit: one.similarity / temperature, weight: answer.weights[i] }));
    matches.sort((a, b) => b.weight - a.weight || b.similarity - a.similarity);
    return { matches, evidence: evidenceOf(answer, nullKey, temperature), temperature };
  }

  /**
   * @param {Awaited<ReturnType<Answers["weighed"]>>} weighed
   * @param {Question} body
   */
  shaped({ matches, evidence, temperature }, { top_k: limit = TOP_K, include = ["key", "value", "metadata"] }) {
    return {
      matches: matches.slice(0, limit).map((one) => ({ ...this.#match(one, include), logit: one.logit, weight: one.weight })),
      rest_weight: matches.slice(limit).reduce((sum, { weight }) => sum + weight, 0),
      evidence,
      certificate: { method: "exact", total_variation: 0, output_error: 0 },
      temperature,
      documents: matches.length,
      keys: matches.length,
      took_ms: 0,
      exported: true,
    };
  }

  /**
   * @param {Rows} rows
   * @param {Question & {temperatures: number[]}} body
   */
  async swept(rows, body) {
    const { temperatures, top_k: limit = TOP_K, include = ["key", "value", "metadata"] } = body;
    const compared = (await this.#similarities(rows, body)).sort((a, b) => b.similarity - a.similarity);
    const nullKey = await this.#nullKey(rows, body, compared.length);
    const similarities = compared.map(({ similarity }) => similarity);
    const steps = temperatures.map((temperature) => {
      const answer = weigh(similarities, { temperature, none: nullKey?.at(temperature) ?? null });
      const rest = answer.weights.slice(limit).reduce((sum, weight) => sum + weight, 0);
      return { temperature, weights: Array.from(answer.weights.slice(0, limit)), rest_weight: rest, evidence: evidenceOf(answer, nullKey, temperature) };
    });
    return {
      matches: compared.slice(0, limit).map((one) => this.#match(one, include)),
      temperatures: steps,
      documents: compared.length,
      keys: compared.length,
      took_ms: 0,
    };
  }

  /**
   * @param {Rows} rows
   * @param {Question} body
   */
  async #similarities(rows, { query, filter = null }) {
    return rows.compare(await this.#vector(query), filter);
  }

  /**
   * @param {string|number[]} query
   * @returns {Promise<ArrayLike<number>>}
   */
  async #vector(query) {
    return typeof query === "string" ? (await this.vectors.of([query]))[0] : query;
  }

  /**
   * @param {Rows} rows
   * @param {Question} body
   */
  async #background(rows, { query, filter = null, null: choice = rows.null }) {
    return typeof choice === "string" ? rows.background(choice, query, await this.#vector(query), filter, this.exported.encoder) : null;
  }

  /**
   * @param {Rows} rows
   * @param {Question} body
   * @param {number} keys
   * @returns {Promise<?NullKey>}
   */
  async #nullKey(rows, body, keys) {
    const choice = body.null ?? rows.null;
    if (choice === false) return null;
    return new NullKey(typeof choice === "number" ? { similarity: choice } : { background: await this.#background(rows, body), keys });
  }

  /**
   * @param {{row: Row, similarity: number, vector: Float32Array}} compared
   * @param {string[]} include
   */
  #match({ row, similarity, vector }, include) {
    const fields = {
      key: row.key,
      value: row.value,
      metadata: row.metadata ?? {},
      key_vector: () => Array.from(vector),
      value_vector: () => valueVector(this.vectors.known(row.value)),
    };
    const named = Object.entries(fields).filter(([name]) => include.includes(name));
    return { id: row.id, similarity, ...Object.fromEntries(named.map(([name, field]) => [name, typeof field === "function" ? field() : field])) };
  }
}

/** An exported page in a service's place. Its data is loaded with the first call, and the encoder when the reader agrees. */
export class ExportedPage {
  /** @param {?More} [more] */
  constructor(more = null) {
    /** @type {?Promise<Answers>} */
    let answers = null;
    this.known = () => (answers ??= recorded("exported").then((exported) => new Answers(exported, more)));
    /**
     * Stands in for `fetch`.
     * @param {string} path
     * @param {RequestInit} options its method, and its body as text
     */
    this.fetch = async (path, { method = "GET", body }) => {
      try {
        return response(200, await (await this.known()).answer(method, path, path.endsWith(LINES) ? body : body ? JSON.parse(String(body)) : {}));
      } catch (failure) {
        if (failure instanceof EncoderNeeded) return response(404, { status: 404, code: "encoder_needed", detail: "" });
        if (failure instanceof NotExported) return response(404, { status: 404, code: "not_exported", detail: "" });
        throw failure;
      }
    };
  }

  /**
   * Load the encoder, some 30 MB.
   * @param {(it: number) => void} report called with the share that has come
   * @throws {import("../shared/recorded.js").RecordMissing}
   */
  async loadEncoder(report) {
    await (await this.known()).vectors.load(report);
  }
}

/** @param {Float32Array|undefined} vector */
function valueVector(vector) {
  return vector && Array.from(vector);
}

/**
 * @param {ReturnType<typeof weigh>} answer
 * @param {?NullKey} nullKey
 * @param {number} temperature
 */
function evidenceOf({ verdict, nullWeight, logPartition, effective }, nullKey, temperature) {
  return {
    verdict,
    verdict_certain: true,
    null_weight: nullWeight,
    null_similarity: nullKey?.level(temperature) ?? null,
    log_partition: logPartition,
    entropy: Math.log(effective),
    effective_documents: effective,
  };
}

/**
 * @param {number} status
 * @param {unknown} content JSON, or what writes itself as lines of it
 */
function response(status, content) {
  return new Response(content instanceof Lines ? content.text : JSON.stringify(content), { status, headers: TYPE });
}
