/** Asking the service one question about one set of rows, and what comes back in the page's own shape. */

import { readsChinese } from "./chinese.js";
import { weigh } from "./formula.js";
import { NullKey } from "./nullkey.js";
import { ladder, onTheWire } from "./scale.js";
import { Crowd, Tail } from "./tail.js";

/** Rows whose similarities the page keeps; a collection above it is its nearest HEAD rows and a tail. */
export const MOST = 1000;
export const HEAD = 100;
/** Demo collections of which one knows that they are small: what is asked of them need not wait for the list. */
const SMALL = ["library", "videos"];
/** Up to here the rows stay in the learner's order; above, they are sorted by similarity, masked ones last. */
const KEEP_ORDER = 12;

/** The share of unknown tokens, or of letters of another script, from which a match means nothing. */
const UNREADABLE = 0.5;
/** Tokens that every text has: the marks of its beginning and end. */
const MARKS = 2;

/** @typedef {{tail: Tail, crowds: Map<string, Crowd>}} Swept the rows that the page does not hold, and rows of several keys by their ids */
/** @typedef {Pick<Page.Schemas["Match"], "id" | "key" | "value" | "metadata" | "similarity" | "part">} Match */

/** Questions to the service. */
export class Asker {
  /** @param {Page.API} api */
  constructor(api) {
    this.api = api;
    /** Documents, by the name of a collection. @type {Map<string, number>} */
    this.sizes = new Map();
    /** Collections in which a document may have several keys. @type {Set<string>} */
    this.crowded = new Set();
    /** @type {Set<string>} */
    this.calibrated = new Set();
    /** @type {Page.Schemas["CollectionList"]["access"]} */
    this.access = "write";
    /** The similarities of the last question to the learner's keys. @type {{query: ?string, similarities: Map<string, number>}} */
    this.near = { query: null, similarities: new Map() };
  }

  /** Another key may show other collections, and allow other things. */
  forget() {
    this.sizes.clear();
    this.crowded.clear();
    this.calibrated.clear();
  }

  /** The collections there are, and what the caller may do. @param {AbortSignal} [signal] */
  async collections(signal) {
    /** @type {Page.Schemas["CollectionList"]} */
    const answer = await this.api.get("/v1/collections", signal);
    for (const { name, documents, keys, calibration } of answer.collections) {
      this.sizes.set(name, documents);
      if (keys !== null && keys > documents) this.crowded.add(name);
      if (calibration) this.calibrated.add(name);
    }
    this.access = answer.access;
    return answer;
  }

  /**
   * Ask. Answers rows with similarities (masked ones too), the null key, the unseen tail, and the service's own
   * SQL, full-text and top-k answers.
   *
   * @param {Page.State} state
   * @param {AbortSignal} signal
   * @returns {Promise<Page.Result>}
   */
  async ask(state, signal) {
    if (!state.query.trim()) return unasked(state);
    if (state.rows) return this.#askRows(state, state.rows, signal);
    if (!this.sizes.size && !SMALL.includes(state.source)) await this.collections(signal);
    const result = await this.#askCollection(state, signal);
    if (this.sizes.size || result.documents <= result.rows.length) return result;
    await this.collections(signal); // it has grown
    return this.#askCollection(state, signal);
  }

  /** @param {Page.State} state @param {AbortSignal} signal */
  async #askCollection(state, signal) {
    const filter = effectiveFilter(state);
    const size = this.sizes.get(state.source) ?? 0;
    const swept = size > MOST || this.crowded.has(state.source);
    const most = swept ? HEAD : MOST;
    const body = { query: state.query, temperature: onTheWire(state.t), top_k: most, null: state.none };
    const request = comparison(state, filter);
    const path = `/v1/collections/${encodeURIComponent(state.source)}`;
    /** @type {[Page.Schemas["CompareAnswer"], ?Page.Attended, ?Swept, Map<string, number>]} */
    const [compared, everything, sweep, unread] = await Promise.all([
      this.api.post(`${path}/compare`, filter ? { ...body, filter } : body, signal),
      filter ? this.api.post(`${path}/attend`, body, signal) : null,
      swept ? this.#sweep(path, state, filter, signal) : null,
      unreadable(this.api, [state.query], signal),
    ]);
    const may = new Set(compared.attention.matches.map((match) => match.id));
    const out = (everything?.matches ?? []).filter((match) => !may.has(match.id));
    const rows = [...compared.attention.matches.map((match) => rowOf(match, false)), ...out.map((match) => rowOf(match, true))];
    for (const row of rows) row.crowd = sweep?.crowds.get(row.id) ?? null;
    return shaped(compared, inOrder(rows), { tail: sweep?.tail ?? null, request, size: size || rows.length, unread: unread.get(state.query) ?? 0 });
  }

  /** @param {Page.State} state @param {Page.Row[]} own @param {AbortSignal} signal */
  async #askRows(state, own, signal) {
    const unread = await unreadable(this.api, [state.query, ...own.map((row) => row.key)], signal);
    const hidden = new Set([...state.masked, ...own.filter((row) => unread.has(row.key)).map((row) => row.id)]);
    const written = own.filter((row) => row.key.trim());
    if (!written.length) return unasked(state);
    const open = written.filter((row) => !hidden.has(row.id));
    const request = comparison(state, null, open);
    const near = this.near.query === state.query ? this.near.similarities : new Map();
    /** @type {[Page.Schemas["CompareAnswer"], ?Page.Schemas["CompareAnswer"]]} */
    const [compared, all] = await Promise.all([
      this.api.post("/v1/compare", { ...request.body, top_k: MOST }, signal),
      written.every((row) => !hidden.has(row.id) || near.has(row.key))
        ? null
        : this.api.post("/v1/compare", { query: state.query, rows: written, top_k: MOST, null: false }, signal),
    ]);
    for (const { key, similarity } of (all ?? compared).attention.matches) near.set(key ?? "", similarity);
    this.near = { query: state.query, similarities: near };
    const rows = own.map((row) => ({
      ...rowOf({ ...row, similarity: near.get(row.key) ?? 0 }, hidden.has(row.id) || !row.key.trim()),
      unread: unread.has(row.key),
    }));
    const told = { temperature: state.t, none: state.none, attention: compared.attention };
    return shaped(compared, inOrder(rows), { tail: null, request, size: rows.length, unread: unread.get(state.query) ?? 0, compared: told });
  }

  /** @param {string} path @param {Page.State} state @param {?Page.Filter} filter @param {AbortSignal} signal @returns {Promise<?Swept>} */
  async #sweep(path, state, filter, signal) {
    const body = { query: state.query, temperatures: [...ladder(8), onTheWire(Infinity)], top_k: HEAD, null: state.none, include: [] };
    /** @type {Page.Schemas["SweepAnswer"]} */
    const swept = await this.api.post(`${path}/sweep`, filter ? { ...body, filter } : body, signal);
    if (swept.keys <= swept.matches.length) return null;
    /** @type {Map<string, Crowd>} */
    const crowds = new Map();
    swept.matches.forEach((match, at) => match.part && crowds.set(match.id, new Crowd(swept, at)));
    return { tail: new Tail(swept), crowds };
  }

  /** How each row of an answer ranks in full text, asked once. @param {Page.Result} result @param {Page.State} state @param {AbortSignal} signal @returns {Promise<Map<string, number>>} by its id */
  ranks(result, state, signal) {
    result.ranks ??= this.#ranks(state, signal).catch((failure) => {
      result.ranks = null;
      throw failure;
    });
    return result.ranks;
  }

  /** @param {Page.State} state @param {AbortSignal} signal */
  async #ranks(state, signal) {
    const { path, body } = leaning(state, effectiveFilter(state));
    /** @type {Page.Attended} */
    const { matches } = await this.api.post(path, { ...body, top_k: MOST, include: ["explanation"] }, signal);
    return new Map(matches.map(({ id, explanation }) => [id, rankOf(explanation)]));
  }

  /** Texts → their embeddings, as documents. @param {string[]} texts @param {AbortSignal} signal @returns {Promise<Page.Schemas["VectorAnswer"][]>} */
  async encode(texts, signal) {
    return (await this.api.post("/v1/encode", { texts, purpose: "document" }, signal)).embeddings;
  }

  /**
   * The service's own answer at the state's temperature, for a collection with the output and the values' vectors:
   * what the browser's numbers are checked against.
   *
   * @param {Page.State} state
   * @param {Page.Result} result
   * @param {AbortSignal} signal
   * @returns {Promise<Page.Attended>}
   */
  async check(state, result, signal) {
    const temperature = onTheWire(state.t);
    const known = result.compared;
    if (known && known.temperature === state.t && known.none === state.none) return known.attention;
    if (state.rows) {
      const open = new Set(result.rows.filter((row) => !row.masked).map((row) => row.id));
      const rows = state.rows.filter((row) => open.has(row.id));
      const { attention } = await this.api.post("/v1/compare", { query: state.query, rows, temperature, top_k: MOST, null: state.none }, signal);
      return attention;
    }
    const filter = effectiveFilter(state);
    const shown = {
      query: state.query,
      temperature,
      top_k: 12,
      null: state.none,
      include: ["output", "value_vector"],
      ...(result.words?.lambda ? { full_text: result.words.lambda } : {}),
    };
    const path = `/v1/collections/${encodeURIComponent(state.source)}/attend`;
    return this.api.post(path, filter ? { ...shown, filter } : shown, signal);
  }
}

/**
 * The request behind the picture, for curl: of the rows, those that may be attended to.
 *
 * @param {Page.State} state
 * @param {?Page.Filter} [filter]
 * @param {?Page.Row[]} [rows]
 */
export function comparison(state, filter = effectiveFilter(state), rows = state.rows) {
  const body = { query: state.query, temperature: onTheWire(state.t), null: state.none };
  if (rows) return { method: "POST", path: "/v1/compare", body: { ...body, rows } };
  const path = `/v1/collections/${encodeURIComponent(state.source)}/compare`;
  return { method: "POST", path, body: filter ? { ...body, filter } : body };
}

/** The request of attention alone, with what words add. @param {Page.State} state @param {?Page.Filter} [filter] */
export function leaning(state, filter = effectiveFilter(state)) {
  const body = { query: state.query, temperature: onTheWire(state.t), null: state.none, full_text: state.lambda };
  return { method: "POST", path: `/v1/collections/${encodeURIComponent(state.source)}/attend`, body: filter ? { ...body, filter } : body };
}

/** The scene's filter and the masked rows, as one filter. @param {Page.State} state @returns {?Page.Filter} */
export function effectiveFilter(state) {
  /** @type {Page.Filter[]} */
  const conditions = [];
  if (state.filter) conditions.push(state.filter);
  if (!state.rows && state.masked.length) conditions.push({ field: "id", operator: "not in", value: state.masked });
  return conditions.length > 1 ? { operator: "AND", conditions } : (conditions[0] ?? null);
}

/**
 * Weights of a result at a temperature, in the order of its rows, and s₀ there. Where the service has said its verdict,
 * it is that, be the weight ever so near to one half; `certain` is false where the service says that it may be another.
 *
 * @param {Page.Result} result
 * @param {number} temperature
 * @param {?NullKey} [nullKey]
 * @returns {Page.Answer}
 */
export function weighed(result, temperature, nullKey = result.nullKey) {
  const none = nullKey ? nullKey.at(temperature) : null;
  const { similarities, mask, tail } = result;
  const answer = weigh(similarities, { temperature, none, mask, tail, added: added(result, temperature) });
  const { verdict, certain } = result.told?.temperature === temperature ? result.told : { verdict: answer.verdict, certain: true };
  return { ...answer, verdict, certain, level: nullKey ? nullKey.level(temperature) : null };
}

/** True while weights must not be shown: before the reveal, and where the question could not be read. @param {{state: Page.State, result: Page.Result}} model */
export function veiled({ state, result }) {
  return !state.revealed || result.unread > 0;
}

/** What is added to the logit of each row: by its other keys, and by its words; null where nothing is. @param {Page.Result} result @param {number} temperature */
export function added({ rows, words }, temperature) {
  if (temperature === 0 || !(words?.lambda || rows.some((row) => row.crowd))) return null;
  return rows.map((row) => (row.crowd?.added(temperature) ?? 0) + (words?.lambda ? words.lambda * (words.ranks?.get(row.id) ?? 0) : 0));
}

/** What of a document's key text spoke: the part that is most similar, of a text that was split. @param {{key?: ?string, part?: Page.Schemas["MatchPart"]}} document */
export function spoken({ key, part }) {
  return part?.end
    ? Array.from(key ?? "")
        .slice(part.start, part.end)
        .join("")
    : (key ?? "");
}

/** A value of any JSON shape, as one line of text. @param {unknown} value @returns {string} */
export function textOf(value) {
  if (typeof value === "string") return value.replace(/\s+/g, " ");
  if (value && typeof value === "object") return Object.values(value).map(textOf).join(" · ");
  return String(value);
}

/** How the words of a key rank. @param {Page.Schemas["Explanation"] | undefined} explanation */
function rankOf(explanation) {
  const addend = explanation?.addends?.find((one) => one.of === "full_text");
  if (!addend) throw new TypeError("Expected an addend of full text in the explanation of a match.");
  return addend.rank;
}

/** @param {Match} match @param {boolean} masked @returns {Page.ShownRow} */
function rowOf({ id, key, value, metadata, similarity, part }, masked) {
  return { id, key: key ?? "", value: textOf(value), metadata, similarity, masked, part };
}

/** @param {Page.ShownRow[]} rows */
function inOrder(rows) {
  return rows.length <= KEEP_ORDER ? rows : rows.sort((a, b) => Number(a.masked) - Number(b.masked) || b.similarity - a.similarity);
}

/**
 * @param {Page.Schemas["CompareAnswer"]} compared
 * @param {Page.ShownRow[]} rows
 * @param {Pick<Page.Result, "tail" | "request" | "size" | "unread" | "compared">} more
 * @returns {Page.Result}
 */
function shaped(compared, rows, more) {
  return {
    asked: true,
    rows,
    similarities: Float64Array.from(rows, (row) => row.similarity),
    mask: rows.map((row) => !row.masked),
    nullKey: NullKey.of(compared),
    documents: compared.attention.documents,
    keys: compared.attention.keys,
    sql: compared.sql,
    fullText: compared.full_text,
    topK: compared.top_k,
    ...more,
  };
}

/** @param {Page.State} state @returns {Page.Result} */
function unasked(state) {
  const hidden = new Set(state.masked);
  const rows = (state.rows ?? []).map((row) => rowOf({ ...row, similarity: 0 }, hidden.has(row.id)));
  const empty = { statement: "", parameters: {}, rows: [] };
  return {
    asked: false,
    rows,
    similarities: new Float64Array(rows.length),
    mask: rows.map(() => false),
    nullKey: null,
    documents: 0,
    keys: 0,
    sql: empty,
    fullText: empty,
    topK: { matches: [] },
    tail: null,
    request: comparison(state),
    size: rows.length,
    unread: 0,
  };
}

/**
 * Which texts the model cannot read: one that is mostly unknown tokens matches everything of its kind alike, and of
 * another script it knows letters but no words.
 *
 * @param {Page.API} api
 * @param {string[]} texts
 * @param {AbortSignal} signal
 * @returns {Promise<Map<string, number>>} each text that cannot be read, with its count of unknown tokens or letters
 */
export async function unreadable(api, texts, signal) {
  const other = texts.map((text) => /** @type {[string, number]} */ ([text, foreign(text)])).filter(([, letters]) => letters);
  /** @type {Map<string, number>} */
  const strange = new Map(other.length && (await readsChinese(api)) ? [] : other); // a multilingual encoder counts its own
  const doubtful = [...new Set(texts.filter((text) => /[\u0250-\uffff]/.test(text) && !strange.has(text)))];
  if (!doubtful.length) return strange;
  const told = await api.post("/v1/encode", { texts: doubtful, purpose: "query" }, signal);
  if (!told.unknown_tokens) return strange; // an encoder behind a URL does not tell
  /** @type {[string, number, number][]} */
  const found = doubtful.map((text, i) => [text, told.unknown_tokens[i], told.unknown_tokens[i] / Math.max(1, told.token_counts[i] - MARKS)]);
  for (const [text, unknown, share] of found) if (share >= UNREADABLE) strange.set(text, unknown);
  return strange;
}

/** How many letters of another script a text has, where they are at least as many as its Latin ones; else 0. @param {string} text */
function foreign(text) {
  const letters = text.match(/\p{L}/gu)?.length ?? 0;
  const others = letters && (text.match(/(?=\p{L})\P{Script=Latin}/gu)?.length ?? 0);
  return others >= letters * UNREADABLE ? others : 0;
}
