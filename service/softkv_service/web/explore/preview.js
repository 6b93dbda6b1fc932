/** A count of the answers to labelled questions, with several null keys of a collection. Nothing is fitted. */

import { clientOf } from "./client.js";
import { counted } from "./labels.js";

/** @typedef {import("./labels.js").Label} Label */
/**
 * @typedef {object} Count `right`: the first match answers and the verdict is not "none"; `missed`: "none" though one answers; `none`: "none", and nothing answers
 * @property {string} name
 * @property {number} right
 * @property {number} missed
 * @property {number} none
 */

/** Null keys that are compared; undefined is the collection's own. @type {[string, string | false | undefined][]} */
const NULLS = [
  ["own", undefined],
  ["lenient", "lenient"],
  ["strict", "strict"],
  ["off", false],
];
const QUESTIONS = 500;
const IDS = 1000;

/**
 * Ask labelled questions, at most 500, and count.
 *
 * @param {import("../shared/api.js").API} api
 * @param {{name: string, keyless: number}} of the collection, and how many of its documents have no key
 * @param {Label[]} labels
 * @param {AbortSignal} signal
 * @returns {Promise<{counts: Count[], unknown: Label[], present: number, absent: number}>} `unknown`: labels that no document with a key answers
 */
export async function preview(api, { name, keyless }, labels, signal) {
  const collection = clientOf(api).collection(name);
  const ids = [...new Set(labels.flatMap(({ id }) => (id === null ? [] : [id])))];
  const existing = new Set();
  for (let start = 0; start < ids.length; start += IDS) {
    const filter = { field: "id", operator: "in", value: ids.slice(start, start + IDS) };
    const page = /** @type {any} */ (
      await api.post(`/v1/collections/${encodeURIComponent(name)}/documents/query`, { filter, include: keyless ? ["key_vector"] : [], limit: IDS }, signal)
    );
    for (const { id, key_vector: one, key_vectors: several } of page.documents) if (!keyless || one || several) existing.add(id);
  }
  const unknown = labels.filter(({ id }) => id !== null && !existing.has(id));
  /** @type {Map<string, {query: string | number[], ids: Set<string | null>}>} */
  const questions = new Map();
  for (const label of labels) {
    if (unknown.includes(label)) continue;
    const text = JSON.stringify(label.query);
    const question = questions.get(text) ?? { query: label.query, ids: new Set() };
    question.ids.add(label.id);
    questions.set(text, question);
    if (questions.size === QUESTIONS) break;
  }
  const sent = [...questions.values()];
  /** @type {Count[]} */
  const counts = [];
  for (const [called, level] of NULLS) {
    const options = { top_k: 1, include: [], ...(level === undefined ? {} : { null: level }) };
    const answers = await collection.attend(
      sent.map(({ query }) => query),
      /** @type {any} */ (options),
      { signal },
    );
    const count = { name: called, right: 0, missed: 0, none: 0 };
    for (const [i, { matches, evidence }] of answers.entries()) {
      const isNone = evidence.verdict === "none";
      const hasAnswer = [...sent[i].ids].some((id) => id !== null);
      if (hasAnswer && isNone) count.missed++;
      else if (hasAnswer && sent[i].ids.has(matches[0]?.id ?? "")) count.right++;
      else if (!hasAnswer && isNone) count.none++;
    }
    counts.push(count);
  }
  const { present, absent } = counted(sent.flatMap(({ query, ids: of }) => Array.from(of, (id) => ({ line: null, query, id }))));
  return { counts, unknown, present, absent };
}
