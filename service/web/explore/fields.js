/** The fields that the documents of a collection have, with their types and their most frequent values. */

/** @typedef {{types: string[], count: number, distinct: number, min: any, max: any, values: {value: any, count: number}[] | null}} Facts */
/** @typedef {Map<string, Facts>} Fields by their names, as in filters */

/** Pages of fields that are read; beyond them, a filter is written as JSON. */
const PAGES = 5;
const VALUES = 50;

/** The fields of every document, whatever its metadata: a filter may compare them too. @type {[string, Facts][]} */
const ALWAYS = ["id", "key"].map((name) => [name, { types: ["text"], count: 0, distinct: 0, min: null, max: null, values: null }]);

/**
 * The fields of a collection.
 *
 * @param {import("../shared/api.js").API} api
 * @param {string} collection
 * @returns {Promise<Fields>}
 */
export async function fieldsOf(api, collection) {
  /** @type {[string, Facts][]} */
  const all = [];
  let cursor;
  for (let page = 0; page < PAGES; page++) {
    const path = `/v1/collections/${encodeURIComponent(collection)}/documents/fields`;
    const answer = await api.post(path, { values: true, limit: VALUES, ...(cursor && { cursor }) });
    all.push(.../** @type {[string, Facts][]} */ (Object.entries(answer.fields)));
    cursor = answer.next_cursor;
    if (!cursor) break;
  }
  return new Map([...all.filter(([, { types }]) => types.some((type) => type !== "object")), ...ALWAYS]);
}

/** Whether the values of a field are texts, of which the first and the last are dates. @param {Facts | undefined} facts */
export function isDated(facts) {
  const isDate = (/** @type {any} */ value) => typeof value === "string" && /^\d{4}-\d\d-\d\d([T ]|$)/.test(value);
  return Boolean(facts?.types.every((type) => ["text", "null"].includes(type)) && isDate(facts.min) && isDate(facts.max));
}

/** Whether all values of a field are numbers. @param {Facts | undefined} facts */
export function isNumeric(facts) {
  return Boolean(facts?.types.length && facts.types.every((type) => ["integer", "number", "null"].includes(type)));
}
