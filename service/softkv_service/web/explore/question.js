/** The question that the address holds, as the body of a call: only what differs from the collection's own settings. */

import { isAborted, KeyRefused, Refused } from "../shared/api.js";
import { onTheWire } from "../shared/scale.js";

/** @typedef {import("./explorer.js").Collection} Collection */
/** @typedef {import("./address.js").Said} Said */
/** @typedef {import("./client.js").Readers} Readers */
/** @typedef {"late" | "1"} Reader what looks twice, as an address names it: late interaction, or the first reranker */
/**
 * @typedef {object} Body of `attend`
 * @property {string | number[]} query
 * @property {number} [temperature]
 * @property {string | number | false} [null]
 * @property {number} [top_k]
 * @property {any} [filter]
 * @property {number} [full_text]
 * @property {any[]} [bias]
 * @property {{model?: string, depth?: number} | null} [rerank]
 * @property {{field: string, groups: number, documents: number}} [group_by]
 * @property {string[]} [include]
 */

/** The number of matches that the service returns by default. */
export const TOP_K = 10;
/** The numbers of documents that a reranker and late interaction read again. */
export const DEPTH = 50;
export const LATE_DEPTH = 10;
/** A longer text is not compared word by word. */
export const MOST_CHARACTERS = 10_000;

/** In an address: look once. */
export const OFF = "0";
/** The most groups that are shown. */
export const GROUPS = 12;

/** A text of the reader that does not fit its field. */
export class Unreadable extends Error {
  /** @param {"vector" | "json"} kind */
  constructor(kind) {
    super(kind);
    this.kind = kind;
  }
}

/**
 * The body of the question in an address; null without a question.
 *
 * @param {Said} said
 * @param {Collection} collection
 * @param {Readers} readers
 * @returns {Body | null}
 * @throws {Unreadable} the question of a collection without an encoder is not a list of numbers
 */
export function bodyOf(said, collection, readers) {
  const text = (said.get("q") ?? "").trim();
  if (!text) return null;
  /** @type {Body} */
  const body = { query: collection.encoder === null ? vectorIn(text) : text };
  const temperature = temperatureIn(said);
  if (temperature !== undefined) body.temperature = onTheWire(temperature);
  const none = said.get("null");
  if (none !== undefined) body.null = none === "off" ? false : Number.isNaN(Number(none)) ? none : Number(none);
  const top = Number(said.get("k"));
  if (said.has("k") && Number.isInteger(top) && top >= 0) body.top_k = top;
  const filter = parsed(said.get("filter"));
  if (filter !== undefined) body.filter = filter;
  const words = Number(said.get("words"));
  const own = collection.defaults;
  if (said.has("words") && (words > 0 || own?.full_text)) body.full_text = words;
  const bias = parsed(said.get("bias"));
  if (Array.isArray(bias) && bias.length) body.bias = bias;
  const { by } = secondLook(said, collection, readers);
  if (by) body.rerank = by === "late" ? { model: "late" } : { depth: DEPTH };
  else if (collection.late) body.rerank = null;
  const field = said.get("group");
  if (field) body.group_by = { field, groups: GROUPS, documents: 0 };
  if (own?.include || body.rerank) body.include = ["key", "value", "metadata", ...(body.rerank ? ["explanation"] : [])];
  return body;
}

/**
 * The model that looks at the best documents of a question twice, "" for none, and all that could. If none can for now,
 * `waits` says why.
 *
 * Late interaction does where the collection has it, as in any other call, unless the address says otherwise. A
 * calibration without it has confidences of the plain weights alone, so that its questions are looked at once.
 *
 * @param {Said} said
 * @param {Collection} collection
 * @param {Readers} readers
 * @returns {{by: Reader | "", among: Reader[], waits: "cold" | "long" | ""}}
 */
export function secondLook(said, { encoder, similarity, calibration, ...collection }, { hasReranker, late }) {
  if (encoder === null) return { by: "", among: [], waits: "" };
  const isWarm = (temperatureIn(said) ?? collection.temperature) > 0;
  const isShort = (said.get("q") ?? "").length <= MOST_CHARACTERS;
  const hasWords = late.has(encoder) && ["cosine", "dot"].includes(similarity);
  const isLate = hasWords && isWarm && isShort;
  /** @type {Reader[]} */
  const among = [...(isLate ? /** @type {const} */ (["late"]) : []), ...(hasReranker ? /** @type {const} */ (["1"]) : [])];
  const chosen = said.get("twice");
  const asked = among.find((one) => one === chosen);
  const isUsual =
    isLate && collection.late && chosen !== OFF && (!calibration || (calibration.rerank?.model === "late" && calibration.rerank.depth === LATE_DEPTH));
  const waits = !hasWords || among.length ? "" : isWarm ? "long" : "cold";
  return { by: asked ?? (isUsual ? "late" : ""), among, waits };
}

/**
 * The places that the second look moved each match up among the matches; below 0 if down.
 *
 * @param {{logit: number | null, explanation?: {addends?: {of: string, addend: number}[]}}[]} matches
 */
export function movesOf(matches) {
  const before = matches.map(({ logit, explanation }, at) => {
    const addend = explanation?.addends?.find(({ of }) => of === "rerank" || of === "late")?.addend ?? 0;
    return { at, logit: logit === null ? -Infinity : logit - addend };
  });
  before.sort((one, other) => (one.logit === other.logit ? one.at - other.at : other.logit - one.logit));
  const moves = matches.map(() => 0);
  for (const [place, { at }] of before.entries()) moves[at] = place - at;
  return moves;
}

/** @typedef {{value: any, weight: number, documents: number}} Group */

/**
 * The groups of an answer, and the weight of all others.
 * @param {any} came
 * @returns {{groups: Group[], rest: number}}
 */
export function groupsOf(came) {
  const grouped = came.group_by;
  return grouped ? { groups: grouped.groups, rest: grouped.rest_weight > grouped.error ? grouped.rest_weight : 0 } : { groups: [], rest: 0 };
}

/**
 * The conditions of a filter that must all hold.
 * @param {any} filter
 * @returns {any[]}
 */
export function conditionsOf(filter) {
  if (filter === undefined) return [];
  return filter.operator === "AND" ? filter.conditions : [filter];
}

/**
 * A filter with one more condition, or without it if it has it already.
 * @param {any} filter
 * @param {any} condition
 * @returns {any}
 */
export function toggled(filter, condition) {
  const before = conditionsOf(filter);
  const others = before.filter((one) => JSON.stringify(one) !== JSON.stringify(condition));
  const conditions = others.length < before.length ? others : [...before, condition];
  return conditions.length > 1 ? { operator: "AND", conditions } : conditions[0];
}

/**
 * The temperature that an address names.
 * @param {Said} said
 * @returns {number | undefined}
 */
export function temperatureIn(said) {
  const text = said.get("t");
  if (text === undefined) return undefined;
  const temperature = text === "inf" ? Infinity : Number(text);
  return Number.isNaN(temperature) || temperature < 0 ? undefined : temperature;
}

/**
 * JSON in an address; undefined if there is none, or it cannot be read.
 * @param {string | undefined} text
 * @returns {any}
 */
export function parsed(text) {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (failure) {
    if (failure instanceof SyntaxError) return undefined;
    throw failure;
  }
}

/**
 * POST a question. A refusal is an answer too, and is shown beside the question.
 *
 * @param {import("../shared/api.js").API} api
 * @param {string} path
 * @param {object} body
 * @param {AbortSignal} [signal]
 * @returns {Promise<{answer?: any, refused?: string}>} neither if it was taken back
 */
export async function posted(api, path, body, signal) {
  if (signal?.aborted) return {};
  try {
    return { answer: await api.post(path, body, signal) };
  } catch (failure) {
    if (isAborted(failure)) return {};
    if (!(failure instanceof Refused) || failure instanceof KeyRefused || failure.again || isUnread(failure)) throw failure;
    return { refused: failure.message };
  }
}

/** Whether an exported page needs its encoder to answer. @param {Error & {code?: string}} failure */
export function isUnread({ code }) {
  return code === "encoder_needed";
}

/**
 * @param {string} text
 * @returns {number[]}
 */
function vectorIn(text) {
  const numbers = parsed(text.startsWith("[") ? text : `[${text}]`);
  if (!Array.isArray(numbers) || !numbers.length || !numbers.every((number) => typeof number === "number")) throw new Unreadable("vector");
  return numbers;
}
