/** The tab Documents: all documents of a collection in the order of their ids, by pages, without a question. */

import { fill, h } from "../shared/element.js";
import { count } from "../shared/numbers.js";
import { fieldsOf } from "./fields.js";
import { filterBuilder } from "./filter.js";
import { parsed, posted } from "./question.js";
import { paths, text } from "./text.js";
import words from "./documents.json";

/** @typedef {import("./explorer.js").Collection} Collection */
/** @typedef {import("./explorer.js").Context} Context */

const PAGE = 50;
/** Metadata fields of a row; the document at the right has all. */
const SHOWN = 4;

/** @type {import("./explorer.js").Tab} */
export const documents = { id: "documents", words, needs: "read", mount };

/** @param {HTMLElement} host @param {Context} context */
function mount(host, context) {
  const { say, go, patiently, api } = context;
  /** @type {Collection | null} */
  let collection = null;
  /** @type {import("./fields.js").Fields} */
  let fields = new Map();
  /** @type {Promise<void> | null} */
  let learning = null;
  /** The cursors of the pages so far; the first page has none. @type {(string | null)[]} */
  let cursors = [null];
  /** @type {string | null} */
  let next = null;
  let shown = "";
  let run = 0;

  const filter = filterBuilder(say, "only", (given) => go({ filter: given === undefined ? null : JSON.stringify(given) }), learn);
  const told = h("p.strip", { id: "page", role: "status" });
  const notes = h("div.notes");
  const body = h("tbody");
  const table = h(
    "table.listing",
    {},
    h("caption.unseen", {}, say("name")),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        ["id", "key", "value", "metadata"].map((name) => h(`th.of-${name}`, { scope: "col" }, say(`column.${name}`))),
      ),
    ),
    body,
  );
  const back = h("button", { type: "button", id: "before", onclick: () => turn(-1) }, say("before"));
  const on = h("button", { type: "button", id: "after", onclick: () => turn(1) }, say("after"));
  fill(host, filter.element, told, notes, table, h("div.buttons.pages", {}, back, on));

  /** @param {1 | -1} step */
  function turn(step) {
    if (step > 0 && next) cursors.push(next);
    if (step < 0 && cursors.length > 1) cursors.pop();
    void list();
  }

  async function list() {
    if (!collection) return;
    const { name } = collection;
    const given = parsed(context.said.get("filter"));
    const cursor = cursors[cursors.length - 1];
    const asked = { limit: PAGE, count: true, ...(given && { filter: given }), ...(cursor && { cursor }) };
    const mine = ++run;
    shown = JSON.stringify(given);
    host.setAttribute("aria-busy", "true");
    const page = await patiently(() => posted(api, `/v1/collections/${encodeURIComponent(name)}/documents/query`, asked));
    if (mine !== run) return;
    host.removeAttribute("aria-busy");
    if (page?.answer) draw(page.answer);
    else if (page?.refused) refuse(page.refused);
  }

  /** @param {string} detail */
  function refuse(detail) {
    fill(told, say("refused", { detail }));
    fill(notes);
    table.hidden = true;
    back.parentElement?.toggleAttribute("hidden", true);
  }

  /** @param {any} page */
  function draw(page) {
    next = page.next_cursor;
    const first = (cursors.length - 1) * PAGE;
    const there = page.documents.length;
    fill(
      told,
      there
        ? say("page", { first: count(first + 1), last: count(first + there), all: count(page.count) })
        : say(page.count === 0 && !shown ? "empty" : "unmatched"),
    );
    fill(
      notes,
      (page.warnings ?? []).map((/** @type {string} */ one) => h("p.soft", {}, one)),
    );
    table.hidden = !there;
    fill(
      body,
      page.documents.map((/** @type {any} */ one) => row(one)),
    );
    back.disabled = cursors.length < 2;
    on.disabled = !next;
    back.parentElement?.toggleAttribute("hidden", cursors.length < 2 && !next);
    mark();
  }

  /** @param {any} one */
  function row(one) {
    const metadata = paths(one.metadata ?? {});
    return h(
      "tr",
      { "data-id": one.id },
      h("th.of-id", { scope: "row" }, h("button.plain.number", { type: "button", onclick: () => go({ doc: one.id }) }, one.id)),
      h("td.of-key", { dir: "auto" }, one.key ?? "–"),
      h("td.of-value", { dir: "auto" }, text(one.value) === one.key ? say("same") : text(one.value)),
      h(
        "td.of-metadata",
        {},
        metadata.slice(0, SHOWN).map(([path, value]) => h("span.pair", {}, h("span.soft", {}, `${path} `), text(value))),
        metadata.length > SHOWN ? h("span.soft", {}, say("more", { count: metadata.length - SHOWN })) : null,
      ),
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
      if (isChanged) learning = null;
      collection = given;
      if (!collection) return;
      if (isOther) {
        fields = new Map();
        cursors = [null];
      }
      filter.show(parsed(context.said.get("filter")), fields);
      if (context.said.has("filter")) void learn();
      mark();
      if (!isChanged && JSON.stringify(parsed(context.said.get("filter"))) === shown) return;
      if (!isChanged) cursors = [null];
      void list();
    },
    leave() {
      run++;
    },
  };

  /** The fields of the collection are asked for once, when a filter wants them. */
  function learn() {
    const of = collection?.name ?? "";
    learning ??= patiently(() => fieldsOf(api, of)).then((there) => {
      if (!there || collection?.name !== of) return;
      fields = there;
      filter.show(parsed(context.said.get("filter")), fields);
    });
    return learning;
  }
}
