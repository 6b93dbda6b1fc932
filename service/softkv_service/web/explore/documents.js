/** The tab Documents: all documents of a collection in the order of their ids or of a field, by pages, without a question. */

import { fill, h } from "../shared/element.js";
import { count } from "../shared/numbers.js";
import { learner } from "./fields.js";
import { filterBuilder } from "./filter.js";
import { fieldsIn, nameOf, orderControl, orderIn, fieldOf } from "./order.js";
import { parsed, posted } from "./question.js";
import { paths, text } from "./text.js";
import words from "./documents.json";

/** @typedef {import("./explorer.js").Collection} Collection */
/** @typedef {import("./explorer.js").Context} Context */

const PAGE = 50;
/** Metadata fields of a row; the document at the right has all. */
const SHOWN = 4;
/** Pages that one call passes over. */
const PASSED = 200;

/** @type {import("./explorer.js").Tab} */
export const documents = { id: "documents", words, needs: "read", mount };

/**
 * @param {HTMLElement} host
 * @param {Context} context
 */
function mount(host, context) {
  const { say, go, patiently, api } = context;
  /** @type {Collection | null} */
  let collection = null;
  const known = learner(context, () => {
    filter.show(parsed(context.said.get("filter")), known.fields);
    showOrder();
  });
  /** The cursor of each page, by its number; null for the first. @type {(string | null | undefined)[]} */
  let cursors = [null];
  /** @type {any[]} */
  let rows = [];
  /** The filter and the order of the cursors, and the page that is shown. */
  let [shown, at] = ["", 1];
  let run = 0;

  const filter = filterBuilder(say, "only", (given) => go({ filter: given === undefined ? null : JSON.stringify(given) }), known.learn);
  const order = orderControl(say, say("column.id"), (sort) => go({ sort }), known.learn);
  const told = h("p.strip", { id: "page", role: "status" });
  const notes = h("div.notes");
  const [head, body] = [h("tr"), h("tbody")];
  const table = h("table.listing", {}, h("caption.unseen", {}, say("name")), h("thead", {}, head), body);
  const back = h("button", { type: "button", id: "before", onclick: () => go({ page: at - 1 }) }, say("before"));
  const on = h("button", { type: "button", id: "after", onclick: () => go({ page: at + 1 }) }, say("after"));
  const pages = h("div.buttons.pages", {}, back, on);
  fill(host, h("div.line", {}, filter.element, order.element), told, notes, table, pages);

  /** The filter and the order of the address. */
  function wanted() {
    const [given, by] = [parsed(context.said.get("filter")), orderIn(context.said)];
    // Only the service can order documents that are on other pages, and it orders by metadata.
    const isByField = by?.field.startsWith("metadata.");
    return { ...(given && { filter: given }), ...(isByField && { order_by: { field: by?.field, direction: by?.isDown ? "descending" : "ascending" } }) };
  }

  async function list() {
    if (!collection) return;
    const path = `/v1/collections/${encodeURIComponent(collection.name)}/documents/query`;
    const query = wanted();
    const mine = ++run;
    shown = JSON.stringify(query);
    at = Math.max(1, Math.floor(Number(context.said.get("page"))) || 1);
    host.setAttribute("aria-busy", "true");
    // A link leads to a page by its number: the pages before it are passed over without their contents.
    let known = at - 1;
    while (cursors[known] === undefined) known--;
    while (known < at - 1) {
      const steps = Math.min(PASSED, at - 1 - known);
      const passed = await patiently(() => posted(api, path, { ...query, limit: steps * PAGE, include: [], ...(known && { cursor: cursors[known] }) }));
      if (mine !== run) return;
      if (!passed?.answer?.next_cursor) return void (context.said.delete("page"), list()); // there are fewer pages now
      cursors[(known += steps)] = passed.answer.next_cursor;
    }
    const page = await patiently(() => posted(api, path, { ...query, limit: PAGE, count: true, ...(known && { cursor: cursors[known] }) }));
    if (mine !== run) return;
    host.removeAttribute("aria-busy");
    if (page?.answer) draw(page.answer);
    else if (page?.refused) refuse(page.refused);
  }

  /** @param {string} detail */
  function refuse(detail) {
    fill(told, say("refused", { detail }));
    fill(notes);
    table.hidden = pages.hidden = true;
  }

  /** @param {any} page */
  function draw(page) {
    rows = page.documents;
    cursors[at] = page.next_cursor ?? undefined;
    const by = showOrder();
    const [first, there] = [(at - 1) * PAGE, rows.length];
    const [field, isText] = [by && `“${nameOf(say, by.field)}”`, by && rows.some((one) => typeof fieldOf(one, by.field) === "string")];
    const where = say("page", { first: count(first + 1), last: count(first + there), all: count(page.count), field: field ?? say("ids") });
    const why = page.count === 0 && shown === "{}" ? "empty" : "unmatched";
    fill(told, there ? [where, field ? say("sort.last") : "", isText ? say("sort.code") : ""] : say(why));
    const warnings = (page.warnings ?? []).map((/** @type {string} */ one) => h("p.soft", {}, one));
    fill(notes, warnings);
    table.hidden = !there;
    const names = ["id", ...(by ? [by.field] : []), "key", "value", "metadata"];
    fill(head, names.map(headOf));
    fill(body, rows.map(row));
    [back.disabled, on.disabled] = [at === 1, !page.next_cursor];
    pages.hidden = back.disabled && on.disabled;
    mark();
  }

  /** The order of the documents, by a field of their metadata; null for that of their ids. */
  function showOrder() {
    const by = orderIn(context.said);
    const isByField = by?.field.startsWith("metadata.");
    const fields = [...known.fields].filter(([name, { types }]) => name.startsWith("metadata.") && !types.includes("list")).map(([name]) => name);
    order.show(isByField ? by : null, [...fieldsIn(rows), ...fields]);
    return isByField ? by : null;
  }

  /** The head of a column; that of the order turns it around, and that of the ids takes it back. @param {string} name */
  function headOf(name) {
    const by = orderIn(context.said);
    const isOrder = (by?.field ?? "id") === name;
    const label = name.startsWith("metadata.") ? nameOf(say, name) : say(`column.${name}`);
    const next = name === "id" ? null : `${by?.isDown ? "" : "-"}${name}`;
    const turns = isOrder ? name !== "id" : name === "id" && by;
    return h(
      `th.of-${name.split(".")[0]}`,
      { scope: "col", "aria-sort": isOrder ? (by?.isDown ? "descending" : "ascending") : null },
      turns ? h("button.plain", { type: "button", onclick: () => go({ sort: next }) }, h("bdi", {}, label), isOrder ? (by?.isDown ? " ↓" : " ↑") : "") : label,
    );
  }

  /** @param {any} one */
  function row(one) {
    const metadata = paths(one.metadata ?? {});
    const by = showOrder()?.field;
    const pairs = metadata.slice(0, SHOWN).map(([path, value]) => h("span.pair", {}, h("bdi.soft", {}, path), " ", h("bdi", {}, text(value))));
    return h(
      "tr",
      { "data-id": one.id },
      h("th.of-id", { scope: "row" }, h("button.plain.number", { type: "button", onclick: () => go({ doc: one.id }) }, h("bdi", {}, one.id))),
      by ? h("td.of-order", {}, h("bdi", {}, text(fieldOf(one, by)) ?? "–")) : null,
      h("td.of-key", { dir: "auto" }, one.key ?? "–"),
      h("td.of-value", { dir: "auto" }, text(one.value) === one.key ? say("same") : text(one.value)),
      h("td.of-metadata", {}, pairs, metadata.length > SHOWN ? h("span.soft", {}, say("more", { count: metadata.length - SHOWN })) : null),
    );
  }

  /** Mark the row whose document is at the right. */
  function mark() {
    for (const one of body.rows) one.toggleAttribute("data-shown", one.dataset.id === context.said.get("doc"));
  }

  return {
    /** @param {Collection | null} given */
    update(given) {
      const isOther = given?.name !== collection?.name;
      const isChanged = given !== collection;
      collection = given;
      known.take(given);
      if (!collection) return;
      if (isOther) cursors = [null];
      filter.show(parsed(context.said.get("filter")), known.fields);
      if (context.said.has("filter")) void known.learn();
      mark();
      const isSame = !isChanged && JSON.stringify(wanted()) === shown;
      if (isSame && (Number(context.said.get("page")) || 1) === at) return;
      if (!isSame) cursors = [null];
      void list();
    },
    leave() {
      run++;
    },
  };
}
