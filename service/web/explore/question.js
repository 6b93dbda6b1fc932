/** The question that the address holds, as the body of a call: only what differs from the collection's own settings. */

import { isAborted, KeyRefused, Refused } from "../shared/api.js";
import { onTheWire } from "../shared/scale.js";

/** @typedef {import("./explorer.js").Collection} Collection */
/** @typedef {import("./address.js").Said} Said */
/** @typedef {{query: string | number[], temperature?: number, null?: string | number | false, top_k?: number, filter?: any, full_text?: number, bias?: any[], include?: string[]}} Body of `attend` */

/** The number of matches that the service returns by default. */
export const TOP_K = 10;

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
 * @returns {Body | null}
 * @throws {Unreadable} the question of a collection without an encoder is not a list of numbers
 */
export function bodyOf(said, collection) {
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
  if (own?.include) body.include = ["key", "value", "metadata"];
  return body;
}

/** The temperature that an address names. @param {Said} said @returns {number | undefined} */
export function temperatureIn(said) {
  const text = said.get("t");
  if (text === undefined) return undefined;
  const temperature = text === "inf" ? Infinity : Number(text);
  return Number.isNaN(temperature) || temperature < 0 ? undefined : temperature;
}

/** JSON in an address; undefined if there is none, or it cannot be read. @param {string | undefined} text @returns {any} */
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
    if (!(failure instanceof Refused) || failure instanceof KeyRefused || failure.again) throw failure;
    return { refused: failure.message };
  }
}

/** @param {string} text @returns {number[]} */
function vectorIn(text) {
  const numbers = parsed(text.startsWith("[") ? text : `[${text}]`);
  if (!Array.isArray(numbers) || !numbers.length || !numbers.every((number) => typeof number === "number")) throw new Unreadable("vector");
  return numbers;
}
