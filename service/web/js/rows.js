/** The learner's rows: edits never touch the service's collection, they make a copy in this browser. */

const MOST = 1000;

/** @typedef {?Pick<Page.Result, "rows" | "size">} Seen what the collection showed */

/** Change a row. The first edit of a collection's row makes the copy. @param {Page.Store} store @param {Seen} result @param {string} id @param {Partial<Page.Row>} change */
export function editRow(store, result, id, change) {
  const { rows } = own(store, result);
  store.set({ ...copied(store, result), rows: rows.map((row) => (row.id === id ? { ...row, ...change } : row)) });
}

/** Take a row away. @param {Page.Store} store @param {Seen} result @param {string} id */
export function removeRow(store, result, id) {
  const { rows } = own(store, result);
  store.set({ ...copied(store, result), rows: rows.filter((row) => row.id !== id) });
}

/** Add a row, empty unless given; its id. @param {Page.Store} store @param {Seen} [result] @param {Partial<Page.Row>} [row] */
export function addRow(store, result = null, row = {}) {
  const { rows } = own(store, result);
  let number = rows.length + 1;
  while (rows.some((one) => one.id === `row-${number}`)) number++;
  const id = `row-${number}`;
  store.set({ ...copied(store, result), rows: [...rows, { id, key: "", value: "", ...row }] });
  return id;
}

/** Rows pasted as text: one a line, key and value apart by a | or a tab. A line without either is key and value. @param {string} text */
export function pastedRows(text) {
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
  return lines.slice(0, MOST).map((line, i) => {
    const at = line.search(/[|\t]/);
    const key = at < 0 ? line : line.slice(0, at).trim();
    return { id: `row-${i + 1}`, key, value: at < 0 ? line : line.slice(at + 1).trim() };
  });
}

/** A masked row may not be attended to: its logit is −∞. @param {Page.Store} store @param {string} id */
export function maskRow(store, id) {
  const { masked } = store.state;
  store.set({ masked: masked.includes(id) ? masked.filter((one) => one !== id) : [...masked, id] });
}

/** The learner's rows, or a copy of the rows the collection showed. @param {Page.Store} store @param {Seen} result */
function own({ state }, result) {
  return { rows: state.rows ?? (result?.rows ?? []).map(({ id, key, value }) => ({ id, key, value })) };
}

/** Rows that a filter shut out become masked rows of the copy, so that the first edit moves nothing else. @param {Page.Store} store @param {Seen} result @returns {Partial<Page.State>} */
function copied({ state }, result) {
  if (state.rows) return {};
  const rows = result?.rows ?? [];
  return { filter: null, masked: rows.filter((row) => row.masked).map((row) => row.id), left: Math.max(0, (result?.size ?? 0) - rows.length) };
}

/** Indices in the order of their keys: before the reveal the order of the weights would give them away. @param {{key: string}[]} rows @param {number[]} indices */
export function byKey(rows, indices) {
  return [...indices].sort((a, b) => rows[a].key.localeCompare(rows[b].key, "en"));
}
