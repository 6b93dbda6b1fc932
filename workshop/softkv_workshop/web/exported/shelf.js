/**
 * Answers to further calls of the explorer in an exported page: the list of collections, new ones with rows of the reader,
 * one document, and the reason of an answer. All of it stays in the browser.
 *
 * @typedef {import("./answers.js").Answers} Answers
 * @typedef {import("./answers.js").Question} Question
 * @typedef {import("./database.js").Row} Row
 */

import { HALF } from "../../../../service/softkv_service/web/shared/formula.js";
import { ENCODER, Lines, NotExported } from "./answers.js";
import { ordered } from "./hash.js";
import { Kept } from "./kept.js";
import { explain } from "./reason.js";
import { cosine, DEFAULTS, measure, Rows } from "./rows.js";
import { EncoderNeeded } from "./vectors.js";

/** The most rows of a collection: they are encoded in minutes, and weighed at once. */
export const MOST_ROWS = 5000;
/** From this cosine on, two keys say nearly the same: `service/softkv_service/retrieval/queries/copies.py`. */
const COPY_COSINE = 0.95;
/** The most documents that can share the weight of an answer as copies of one. */
const HEAVY = 128;
const PATH = /^\/v1\/collections\/([^/?]+)(?:\/([^?]+))?/;

export class Shelf {
  /** @type {?Promise<Kept>} */
  #kept = null;
  /** Rows that were measured, until they change. @type {Map<string, Rows>} */
  #measured = new Map();

  /** Answers a call; undefined leaves it to `answers.js`. @type {import("./answers.js").More} */
  answer = async (answers, { method, path, body }) => {
    if (path === "/livez") return {};
    if (path.startsWith("/v1/aliases")) return { aliases: [] };
    if (path === "/v1/encoders") return { encoders: [], rerankers: [] };
    const kept = await this.kept();
    if (/^\/v1\/collections(\?|$)/.test(path)) return this.#listed(answers, kept);
    const [, encoded, rest = ""] = PATH.exec(path) ?? [];
    if (!encoded) return undefined;
    const name = decodeURIComponent(encoded);
    if (!rest) return this.#collection(answers, kept, { method, name, body });
    if (rest === "documents") return this.#uploaded(answers, kept, name, String(body));
    const rows = await this.#rows(answers, kept, name);
    if (rest.startsWith("documents/")) return this.#document(rows, decodeURIComponent(rest.slice("documents/".length)), path);
    if (rest === "attend") return "queries" in body ? this.#several(answers, rows, body) : this.#attended(answers, rows, body);
    if (rest === "sweep") return answers.swept(rows, body);
    return undefined;
  };

  /** The reader's own collections, read once. */
  kept() {
    return (this.#kept ??= Kept.open());
  }

  /**
   * The rows of a collection that the reader made.
   * @param {string} name
   * @returns {Promise<any[]>}
   */
  async rows(name) {
    return Array.from((await this.kept()).get(name)?.rows.values() ?? [], ({ row }) => row);
  }

  /**
   * @param {Answers} answers
   * @param {Kept} kept
   */
  #listed(answers, kept) {
    const demos = Object.entries(answers.exported.collections).map(([name, { documents }]) => facts(answers, name, documents, DEFAULTS, false));
    const own = kept.names.map((name) => this.#facts(answers, kept, name));
    return { collections: [...own, ...demos.filter(({ name }) => !kept.get(name))], next_cursor: null, access: "read" };
  }

  /**
   * @param {Answers} answers
   * @param {Kept} kept
   * @param {string} name
   */
  #facts(answers, kept, name) {
    const { defaults, rows } = /** @type {NonNullable<ReturnType<Kept["get"]>>} */ (kept.get(name));
    return facts(answers, name, rows.size, defaults, true);
  }

  /**
   * @param {Answers} answers
   * @param {Kept} kept
   * @param {{method: string, name: string, body: any}} call
   */
  async #collection(answers, kept, { method, name, body }) {
    const before = kept.get(name)?.defaults;
    if (method === "GET" && !before && answers.exported.collections[name])
      return facts(answers, name, answers.exported.collections[name].documents, DEFAULTS, false);
    if (method !== "PUT" && !before) throw new NotExported();
    if (method === "DELETE") {
      this.#measured.delete(name);
      await kept.remove(name);
      return {};
    }
    if (method === "PUT" || method === "PATCH") {
      this.#measured.delete(name);
      await kept.settle(name, { ...DEFAULTS, ...before, ...body });
    }
    return this.#facts(answers, kept, name);
  }

  /**
   * Encode and keep the rows of a batch; the answer is in lines, as the service's.
   * @param {Answers} answers
   * @param {Kept} kept
   * @param {string} name
   * @param {string} lines
   */
  async #uploaded(answers, kept, name, lines) {
    const collection = kept.get(name);
    if (!collection) throw new NotExported();
    const refused = [];
    const rows = [];
    let room = MOST_ROWS - collection.rows.size;
    for (const [i, line] of lines.split("\n").entries()) {
      const { id, key, value = key, metadata = {} } = JSON.parse(line);
      const isNew = !collection.rows.has(id);
      const detail = flawOf(key, isNew && room < 1);
      if (detail) refused.push({ line: i + 1, errors: [{ pointer: "/key", detail }] });
      else {
        rows.push({ id, key, value, metadata });
        room -= Number(isNew);
      }
    }
    const vectors = await answers.vectors.of(rows.map(({ key }) => key));
    const truncated = rows.filter(({ key }) => answers.vectors.count(key).isTruncated).map(({ id }) => id);
    this.#measured.delete(name);
    await kept.put(
      name,
      rows.map((row, i) => ({ row, vector: vectors[i] })),
    );
    return new Lines([{ upserted: rows.length, refused, truncated }, { done: true }]);
  }

  /**
   * @param {Answers} answers
   * @param {Kept} kept
   * @param {string} name
   * @returns {Promise<Rows>}
   */
  async #rows(answers, kept, name) {
    const own = kept.get(name);
    if (!own) return answers.collection(name);
    let rows = this.#measured.get(name);
    if (!rows) {
      const all = [...own.rows.values()];
      const [texts, vectors] = [all.map(({ row }) => row), all.map(({ vector }) => vector)];
      rows = new Rows(name, texts, vectors, measure(texts, vectors, ordered(texts)), own.defaults);
      this.#measured.set(name, rows);
    }
    return rows;
  }

  /**
   * @param {Rows} rows
   * @param {string} id
   * @param {string} path
   */
  #document(rows, id, path) {
    const at = rows.rows.findIndex((row) => row.id === id);
    if (at < 0) throw new NotExported();
    const { key, value, metadata = {} } = rows.rows[at];
    return { id, key, value, metadata, ...(path.includes("key_vector") ? { key_vector: Array.from(rows.vectors[at]) } : {}) };
  }

  /**
   * @param {Answers} answers
   * @param {Rows} rows
   * @param {Question} body
   */
  async #attended(answers, rows, body) {
    const began = performance.now();
    const weighed = await answers.weighed(rows, body);
    const { matches, evidence, temperature } = weighed;
    const isAlike = shareAsCopies(matches, evidence.verdict);
    const shaped = answers.shaped(weighed, body);
    const explained = body.include?.includes("explanation");
    const counted = typeof body.query === "string" ? answers.vectors.count(body.query) : { unknown: 0 };
    return {
      ...shaped,
      matches: explained ? shaped.matches.map((match) => ({ ...match, explanation: explanation(match, evidence, temperature) })) : shaped.matches,
      evidence: { ...evidence, alike: isAlike },
      reason: explain(
        matches.slice(0, 1).map(({ row, similarity, weight }) => ({ id: row.id, similarity, weight })),
        evidence,
        { documents: matches.length, temperature, isAlike },
      ),
      unknown_tokens: counted.unknown,
      took_ms: performance.now() - began,
    };
  }

  /**
   * Several questions at once; without a match where the encoder is not there to read them.
   * @param {Answers} answers
   * @param {Rows} rows
   * @param {Question & {queries: string[]}} body
   */
  async #several(answers, rows, { queries, ...body }) {
    try {
      return { results: await Promise.all(queries.map((query) => answers.attended(rows, { ...body, query }))) };
    } catch (failure) {
      if (!(failure instanceof EncoderNeeded)) throw failure;
      return { results: queries.map(() => ({ matches: [] })) };
    }
  }
}

/**
 * Why a row is not stored; empty if it is.
 * @param {unknown} key
 * @param {boolean} isFull
 */
function flawOf(key, isFull) {
  if (typeof key !== "string" || !key.trim()) return "key: this page stores rows whose key is a text";
  return isFull ? `this page takes ${MOST_ROWS.toLocaleString("en")} rows; a service takes millions` : "";
}

/**
 * A collection as the API describes it.
 * @param {Answers} answers
 * @param {string} name
 * @param {number} documents
 * @param {import("./kept.js").Defaults} defaults
 * @param {boolean} own whether the reader made it
 */
function facts(answers, name, documents, defaults, own) {
  return {
    name,
    own,
    documents,
    keys: documents,
    keyless: 0,
    expired: 0,
    dimension: answers.exported.width,
    value_dimension: null,
    encoder: ENCODER,
    similarity: "cosine",
    value_from: "value",
    ...defaults,
    null_similarity: null,
    calibration: null,
    defaults: null,
    ready: true,
  };
}

/**
 * Whether the heaviest document and its copies have more than half of all weight: `service/softkv_service/retrieval/queries/copies.py`.
 * @param {{weight: number, vector: Float32Array}[]} matches heaviest first
 * @param {Page.Verdict} verdict
 */
function shareAsCopies(matches, verdict) {
  if (verdict !== "several") return false;
  const heavy = matches.slice(0, HEAVY);
  return heavy
    .filter(({ weight }) => weight === heavy[0].weight)
    .some((first) => heavy.reduce((sum, { weight, vector }) => sum + (cosine(vector, first.vector) >= COPY_COSINE ? weight : 0), 0) > HALF);
}

/**
 * The sum that gives a weight.
 * @param {{similarity: number, logit: number, weight: number}} match
 * @param {{log_partition: number}} evidence
 * @param {number} temperature
 */
function explanation({ similarity, logit, weight }, { log_partition: partition }, temperature) {
  const isWarm = Number.isFinite(logit);
  return {
    similarity,
    temperature,
    addends: [],
    logit: isWarm ? logit : null,
    log_weight_of_other_parts: 0,
    log_partition: isWarm ? partition : null,
    log_weight: weight > 0 ? Math.log(weight) : null,
  };
}
