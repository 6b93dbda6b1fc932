/** Every row, to edit, add, delete and mask; and a place to paste one's own. */

import { fill, h, put } from "../element.js";
import { count, fixed, percent } from "../numbers.js";
import { added as addedBy, veiled } from "../asking.js";
import { addRow, byKey, editRow, maskRow, pastedRows, removeRow } from "../rows.js";
import { say } from "../words.js";
import { field, oneLine } from "./field.js";
import { conditionOf, struckOut } from "./filtering.js";
import { roving } from "./roving.js";

const PAGE = 40;
/** Up to here the rows stand in the learner's own order, which says nothing of their weights. */
const ALL = 12;

/** @param {Page.Context} context */
export function table({ store }) {
  /** @type {Map<string, ReturnType<typeof lineOf>>} */
  const lines = new Map();
  const title = h("h2", {});
  const copy = h("p.small", {});
  const body = h("tbody");
  const list = roving(body);
  const logits = heading("logit");
  const compared = h("th", { scope: "col", hidden: true });
  const more = h("button", { type: "button", onclick: () => now && ((limit += PAGE), show(now)) });
  const paste = h("textarea", { id: "paste", rows: 4, dir: "auto", placeholder: say("table.paste.example") });
  const element = h(
    "section.all",
    { "aria-label": say("table.label") },
    title,
    copy,
    h(
      "div.scrolling",
      {},
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, ["attend", "key", "similarity"].map(heading), logits, ["weight", "value"].map(heading), compared, heading("delete"))),
        body,
      ),
    ),
    h("p.buttons", {}, h("button", { type: "button", id: "table-add", onclick: () => (added = addRow(store, seen())) }, say("table.add")), more),
    h(
      "details",
      {},
      h("summary", {}, say("table.paste")),
      h("label.unseen", { for: "paste" }, say("table.paste")),
      paste,
      h("button", { type: "button", id: "use-paste", onclick: usePasted }, say("table.paste.use")),
    ),
  );
  let limit = PAGE;
  /** @type {?Page.Lookup} */
  let now = null;
  /** @type {?string} */
  let added = null;
  const printing = new AbortController();
  window.addEventListener("beforeprint", () => now && ((limit = Infinity), show(now)), { signal: printing.signal });

  function seen() {
    return now?.result ?? null;
  }

  /** @param {string} name */
  function heading(name) {
    return h("th", { scope: "col" }, say(`table.${name}`));
  }

  function usePasted() {
    const rows = pastedRows(paste.value);
    if (rows.length) store.set({ source: "scratch", rows, masked: [], filter: null, left: 0 });
  }

  /** @param {Page.ShownRow} row */
  function lineOf(row) {
    const { id } = row;
    const name = row.key.slice(0, 60);
    const attend = h("input", { type: "checkbox", "aria-label": say("table.attend.row", { key: name }), onchange: () => maskRow(store, id) });
    const key = field("key-text", say("picture.key", { key: name }), (text) => editRow(store, seen(), id, { key: text }));
    const value = field("value-text", say("picture.value", { key: name }), (text) => editRow(store, seen(), id, { value: text }));
    const similarity = h("td.number", {});
    const logit = h("td.number.logit", {});
    const weight = h("td.number.weight", {});
    const tag = h("td", { hidden: true });
    const remove = h(
      "button.plain",
      { type: "button", "aria-label": say("picture.delete.row", { key: name }), onclick: () => removeRow(store, seen(), id) },
      "×",
    );
    const element = h(
      "tr",
      {},
      h("td", {}, attend),
      h("td.of-key", {}, key.element),
      similarity,
      logit,
      weight,
      h("td.of-value", {}, value.element),
      tag,
      h("td", {}, remove),
    );
    return { element, attend, key, value, similarity, logit, weight, tag };
  }

  /** @param {Page.Lookup} model */
  function show(model) {
    now = model;
    const { result, state } = model;
    put(
      title,
      state.rows && state.left
        ? say("table.title.left", { count: count(result.size), left: count(state.left) })
        : say("table.title", { count: count(result.size) }),
    );
    fill(copy, ...whose(state, result));
    const shelf = conditionOf(state.filter)?.field ?? null;
    compared.hidden = shelf === null;
    put(compared, shelf ?? "");
    const shown = listed(result, state);
    const kept = new Set(shown.map((row) => row.id));
    for (const id of lines.keys()) if (!kept.has(id)) lines.delete(id);
    const wanted = shown.map((row) => {
      const line = lines.get(row.id) ?? lineOf(row);
      lines.set(row.id, line);
      line.key.write(oneLine(row.key));
      line.value.write(oneLine(row.value));
      line.attend.checked = !row.masked || !state.revealed;
      line.attend.disabled = row.masked && state.revealed && !state.masked.includes(row.id);
      put(line.similarity, result.asked && !veiled(model) ? fixed(row.similarity, 4) : "");
      line.tag.hidden = shelf === null;
      put(line.tag, shelf === null ? "" : String(row.metadata?.[shelf] ?? "–"));
      line.element.title = state.revealed ? struckOut(row, state) : "";
      line.element.classList.toggle("masked", row.masked && state.revealed);
      return line.element;
    });
    if (!body.contains(document.activeElement) || wanted.length !== body.children.length) list.arrange(wanted);
    more.hidden = result.rows.length <= limit;
    put(more, say("table.more", { count: Math.min(PAGE, result.rows.length - limit) }));
    weigh(model);
    const line = added && lines.get(added);
    if (!line) return;
    line.key.element.focus();
    added = null;
  }

  /** The rows of the list so far; a row without a key, which has just been added, before those that do not fit. @param {Page.Result} result @param {Page.State} state */
  function listed({ rows }, { revealed }) {
    if (!revealed && rows.length > ALL)
      return byKey(
        rows,
        rows.map((_, i) => i),
      )
        .slice(0, limit)
        .map((i) => rows[i]);
    if (rows.length <= limit) return rows;
    return [...rows.filter((row) => !row.key), ...rows.filter((row) => row.key)].slice(0, limit);
  }

  /** @param {Page.State} state @param {Page.Result} result */
  function whose(state, result) {
    if (state.rows) return [say("table.own"), " "];
    return [result.size > result.rows.length ? say("table.nearest", { shown: count(result.rows.length), count: count(result.size) }) : say("table.live")];
  }

  /** @param {Page.Lookup} model */
  function weigh({ result, answer, state }) {
    const secret = veiled({ state, result });
    const others = addedBy(result, state.t);
    put(logits, say(result.words?.lambda ? "table.logit.words" : "table.logit"));
    result.rows.forEach((row, i) => {
      const line = lines.get(row.id);
      if (!line) return;
      const out = row.masked && state.revealed;
      put(line.logit, out ? "−∞" : secret || !result.asked ? "" : logitText(row.similarity, state.t, others?.[i] ?? 0, answer.weights[i]));
      put(line.weight, out ? percent(0) : secret || !result.asked ? "?" : percent(answer.weights[i]));
    });
  }

  return { element, show, weigh, leave: () => printing.abort() };
}

/**
 * What softmax is given: similarity ÷ T. At T = 0 the limit, beside the largest: 0, or −∞ for all that is below it.
 *
 * @param {number} similarity @param {number} temperature @param {number} others @param {number} weight
 */
function logitText(similarity, temperature, others, weight) {
  if (temperature === 0) return weight > 0 ? "0" : "−∞";
  const logit = similarity / temperature + others;
  return fixed(logit, Math.abs(logit) < 100 ? 2 : 0);
}
