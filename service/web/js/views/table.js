/** Every row, to edit, add, delete and mask; and a place to paste one's own. */

import { fill, h, put } from "../element.js";
import { count, fixed, percent } from "../numbers.js";
import { veiled } from "../reading.js";
import { addRow, editRow, maskRow, pastedRows, removeRow } from "../rows.js";
import { say } from "../words.js";

const PAGE = 40;
/** Up to here the rows stand in the learner's own order, which says nothing of their weights. */
const ALL = 12;

/** @param {object} context */
export function table({ store }) {
  const lines = new Map();
  const title = h("h2", {});
  const copy = h("p.small", {});
  const body = h("tbody");
  const more = h("button", { type: "button", onclick: () => ((limit += PAGE), show(now)) });
  const paste = h("textarea", { id: "paste", rows: 4, dir: "auto", placeholder: say("table.paste.example") });
  const element = h("section.all", { "aria-label": say("table.label") }, title, copy,
    h("div.scrolling", { tabIndex: 0, role: "region", "aria-label": say("table.label") }, h("table", {}, h("thead", {}, h("tr", {},
      ...["attend", "key", "similarity", "weight", "value", "delete"].map((name) => h("th", { scope: "col" }, say(`table.${name}`))))), body)),
    h("p.buttons", {}, h("button", { type: "button", id: "table-add", onclick: () => addRow(store, now.result) }, say("table.add")), more),
    h("details", {}, h("summary", {}, say("table.paste")), h("label.unseen", { for: "paste" }, say("table.paste")), paste,
      h("button", { type: "button", id: "use-paste", onclick: usePasted }, say("table.paste.use"))));
  let limit = PAGE;
  let now = null;

  function usePasted() {
    const rows = pastedRows(paste.value);
    if (rows.length) store.set({ source: "scratch", rows, masked: [], filter: null, left: 0 });
  }

  function lineOf(row) {
    const { id } = row;
    const name = row.key.slice(0, 60);
    const attend = h("input", { type: "checkbox", "aria-label": say("table.attend.row", { key: name }), onchange: () => maskRow(store, id) });
    const key = h("input", { type: "text", dir: "auto", "aria-label": say("picture.key", { key: name }), oninput: () => editRow(store, now.result, id, { key: key.value }) });
    const value = h("input", { type: "text", dir: "auto", "aria-label": say("picture.value", { key: name }), oninput: () => editRow(store, now.result, id, { value: value.value }) });
    const similarity = h("td.number", {});
    const weight = h("td.number.weight", {});
    const remove = h("button.plain", { type: "button", "aria-label": say("picture.delete.row", { key: name }), onclick: () => removeRow(store, now.result, id) }, "×");
    const element = h("tr", {}, h("td", {}, attend), h("td", {}, key), similarity, weight, h("td", {}, value), h("td", {}, remove));
    return { element, attend, key, value, similarity, weight };
  }

  function show(model) {
    now = model;
    const { result, state } = model;
    put(title, state.rows && state.left ? say("table.title.left", { count: count(result.size), left: count(state.left) }) : say("table.title", { count: count(result.size) }));
    fill(copy, ...whose(state, result));
    const order = result.rows.map((_, i) => i);
    const shown = (state.revealed || result.rows.length <= ALL ? order : byKey(result.rows, order)).slice(0, limit).map((i) => result.rows[i]);
    const kept = new Set(shown.map((row) => row.id));
    for (const id of lines.keys()) if (!kept.has(id)) lines.delete(id);
    const wanted = shown.map((row) => {
      if (!lines.has(row.id)) lines.set(row.id, lineOf(row));
      const line = lines.get(row.id);
      for (const name of ["key", "value"]) if (document.activeElement !== line[name]) line[name].value = row[name];
      line.attend.checked = !row.masked || !state.revealed;
      line.attend.disabled = row.masked && state.revealed && !state.masked.includes(row.id);
      put(line.similarity, result.asked && !veiled(model) ? fixed(row.similarity, 4) : "");
      line.element.classList.toggle("masked", row.masked && state.revealed);
      return line.element;
    });
    if (!body.contains(document.activeElement) || wanted.length !== body.children.length) {
      if (wanted.some((line, i) => body.children[i] !== line) || body.children.length !== wanted.length) body.replaceChildren(...wanted);
    }
    more.hidden = result.rows.length <= limit;
    put(more, say("table.more", { count: Math.min(PAGE, result.rows.length - limit) }));
    weigh(model);
  }

  function whose(state, result) {
    if (state.rows) return [say("table.own"), " "];
    return [result.size > result.rows.length ? say("table.nearest", { shown: count(result.rows.length), count: count(result.size) }) : say("table.live")];
  }

  function weigh({ result, answer, state }) {
    const secret = veiled({ state, result });
    for (let i = 0; i < result.rows.length; i++) {
      const line = lines.get(result.rows[i].id);
      if (line) put(line.weight, result.rows[i].masked && state.revealed ? "−∞" : secret || !result.asked ? "?" : percent(answer.weights[i]));
    }
  }

  return { element, show, weigh };
}

/** Indices in the order of their keys: before the reveal the order of the weights would give them away. */
export function byKey(rows, indices) {
  return [...indices].sort((a, b) => rows[a].key.localeCompare(rows[b].key, "en"));
}
