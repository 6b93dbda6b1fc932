/** The fields that the documents of a collection have, with their types and their most frequent values. */

import { store, stored } from "../shared/look.js";

/**
 * @typedef {object} Facts `point`: the decimal point of the file that its numbers came from
 * @property {string[]} types
 * @property {number} count
 * @property {number} distinct
 * @property {any} min
 * @property {any} max
 * @property {{value: any, count: number}[] | null} values
 * @property {string} [point]
 */
/** @typedef {Map<string, Facts>} Fields by their names, as in filters */

/** Pages of fields that are read; beyond them, a filter is written as JSON. */
const PAGES = 5;
const VALUES = 50;
/** The fields whose numbers were uploaded with a decimal comma, by collection, as this browser keeps them. */
const COMMAS = "softkv-commas";

/** The fields of every document, whatever its metadata: a filter may compare them too. @type {[string, Facts][]} */
const ALWAYS = ["id", "key"].map((name) => [name, { types: ["text"], count: 0, distinct: 0, min: null, max: null, values: null }]);

/**
 * The fields of a collection.
 * @param {import("../shared/api.js").API} api
 * @param {string} collection
 * @returns {Promise<Fields>}
 */
async function fieldsOf(api, collection) {
  /** @type {[string, Facts][]} */
  const all = [];
  const commas = stored(COMMAS)[collection] ?? [];
  let cursor;
  for (let page = 0; page < PAGES; page++) {
    const path = `/v1/collections/${encodeURIComponent(collection)}/documents/fields`;
    const answer = await api.post(path, { values: true, limit: VALUES, ...(cursor && { cursor }) });
    for (const [name, facts] of Object.entries(answer.fields)) all.push([name, { ...facts, point: commas.includes(name) ? "," : "." }]);
    cursor = answer.next_cursor;
    if (!cursor) break;
  }
  return new Map([...all.filter(([, { types }]) => types.some((type) => type !== "object")), ...ALWAYS]);
}

/** Keep the fields whose numbers have a decimal comma, by which a filter is read, too. @param {string} collection @param {string[]} fields */
export function keepCommas(collection, fields) {
  if (fields.length) store({ ...stored(COMMAS), [collection]: fields }, COMMAS);
}

/**
 * The fields of the collection that is shown: asked for once, when a filter, a bias or an order wants them.
 *
 * @param {import("./explorer.js").Context} context
 * @param {() => void} changed
 */
export function learner({ api, patiently }, changed) {
  /** @type {import("./explorer.js").Collection | null} */
  let of = null;
  /** @type {Promise<void> | null} */
  let learning = null;
  const all = {
    /** @type {Fields} */
    fields: new Map(),
    /** Take another collection, or the same one after a change. @param {import("./explorer.js").Collection | null} next */
    take(next) {
      if (next?.name !== of?.name) all.fields = new Map();
      if (next !== of) learning = null;
      of = next;
    },
    learn() {
      const name = of?.name ?? "";
      learning ??= patiently(() => fieldsOf(api, name)).then((there) => {
        if (!there || of?.name !== name) return;
        all.fields = there;
        changed();
      });
      return learning;
    },
  };
  return all;
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
