/** The filter of a scene: which field of the rows' metadata is compared, with what; chosen from what the rows hold. */

import { fill, h } from "../element.js";
import { say } from "../words.js";

/** A field worth filtering by has a few values that rows share. */
const MOST_VALUES = 16;
const FIELD = /^metadata\./;

/** @param {Page.Store} store */
export function filtering(store) {
  const select = h("select", { id: "filter", onchange: choose });
  const element = h("div", { hidden: true }, h("label", { for: "filter" }, say("filter.label")), select);
  /** @type {{source: string, rows: number, fields: Map<string, string[]>}} */
  let known = { source: "", rows: 0, fields: new Map() };

  function choose() {
    const [field, value] = JSON.parse(select.value) ?? [undefined, undefined];
    store.set({ filter: field === undefined ? null : { field: `metadata.${field}`, operator: "==", value }, masked: [] });
  }

  /** @param {Page.Lookup} model */
  function show({ result, state }) {
    element.hidden = Boolean(state.rows) || !(state.filter || state.scene === "filter");
    if (element.hidden) return;
    if (result.rows.length > known.rows || known.source !== state.source)
      known = { source: state.source, rows: result.rows.length, fields: fieldsOf(result.rows) };
    const now = conditionOf(state.filter);
    const current = now && JSON.stringify([now.field, now.value]);
    const values = new Map([...known.fields].map(([field, found]) => [field, found.map((value) => JSON.stringify([field, value]))]));
    if (now && current && !values.get(now.field)?.includes(current)) values.set(now.field, [...(values.get(now.field) ?? []), current]);
    fill(
      select,
      h("option", { value: "null", selected: !state.filter }, say("filter.none")),
      state.filter && !now ? h("option", { value: "null", selected: true }, JSON.stringify(state.filter)) : null,
      [...values].map(([field, choices]) =>
        h(
          "optgroup",
          { label: field },
          choices.map((choice) => h("option", { value: choice, selected: choice === current }, `${field} = ${JSON.parse(choice)[1]}`)),
        ),
      ),
    );
  }

  return { element, show };
}

/** A filter that says of one field what it is equal to; null for any other. @param {?Page.Filter} filter */
export function conditionOf(filter) {
  if (!filter || !("field" in filter) || filter.operator !== "==" || !FIELD.test(filter.field)) return null;
  return { field: filter.field.replace(FIELD, ""), value: filter.value };
}

/** Why a row may not be attended to, in words; empty where it may be. @param {Page.ShownRow} row @param {Page.State} state */
export function struckOut(row, state) {
  if (!row.masked) return "";
  if (!row.key.trim()) return say("filter.empty");
  if (row.unread) return say("filter.unread");
  const now = conditionOf(state.filter);
  if (!now || state.masked.includes(row.id)) return say("filter.masked");
  return say("filter.struck", { field: now.field, value: String(now.value), own: String(row.metadata?.[now.field] ?? "–") });
}

/** Field → the values that at least two rows share, for fields that have a few of them. @param {Page.ShownRow[]} rows */
function fieldsOf(rows) {
  /** @type {Map<string, Map<string, number>>} */
  const found = new Map();
  for (const { metadata } of rows) {
    for (const [field, value] of Object.entries(metadata ?? {})) {
      if (typeof value !== "string") continue;
      const counts = found.get(field) ?? new Map();
      found.set(field, counts.set(value, (counts.get(value) ?? 0) + 1));
    }
  }
  const few = [...found].filter(([, counts]) => counts.size > 1 && counts.size <= MOST_VALUES && [...counts.values()].some((count) => count > 1));
  return new Map(few.map(([field, counts]) => [field, [...counts.keys()].sort()]));
}
