/** The picture: lines from the query to the keys, from keys to values, and from values to the output. */

import { veiled } from "../asking.js";
import { h, put } from "../element.js";
import { count, fixed, percent, similarityText } from "../numbers.js";
import { addRow, byKey, editRow, maskRow, removeRow } from "../rows.js";
import { say } from "../words.js";
import { field, oneLine, swatch } from "./field.js";
import { conditionOf, struckOut } from "./filtering.js";
import { isGlyph, legible } from "./glyphs.js";
import { output } from "./output.js";
import { roving } from "./roving.js";
import { verdictMark } from "./verdict.js";
import { wires } from "./wires.js";

const ALL = 12;
const LONGEST = 300;
const REST_MS = 350;
/** Pixels of a screen on which rows are cards, and of one that is too low for all. */
const PHONE = 704;
const LOW = 800;
/** Pixels of a frame in another page, which may be lower still. */
const FRAME = 560;
/** What the scene about filters shows of each row while no filter is set. */
const FIELD = "shelf";

/** @param {Page.Context} context */
export function picture({ store }) {
  /** @type {Map<string, ReturnType<typeof rowElement>>} */
  const elements = new Map();
  const blended = output();
  const ids = { query: h("div.node.query", { id: "query-node" }), output: blended.element };
  const lines = wires();
  const body = h("div.rows", { role: "list", "aria-label": say("picture.rows") });
  const list = roving(body);
  const rest = special("rest", "");
  const none = special("none", say("picture.zero"));
  const add = h("button.plain.add", { type: "button", id: "add-row", onclick: () => (added = addRow(store, now)) }, say("picture.add"));
  const hint = h("p.hint", { id: "picture-hint", hidden: true }, say("picture.hint"));
  const total = h("span.total.number", { title: say("picture.sum") });
  const mark = h("span.mark-of-verdict", { id: "picture-verdict" });
  const described = h("p.unseen", { id: "picture-words", role: "status" });
  const element = h(
    "figure.picture",
    { "aria-label": say("picture.label") },
    h(
      "div.heads",
      {},
      h("span.query", {}, `● ${say("word.query")}`),
      h("span"),
      h("span.key", {}, `◆ ${say("word.key")}`),
      h("span.weight", {}, say("word.weight")),
      h("span.value", {}, `■ ${say("word.value")}`),
      h("span"),
      h("span.value", {}, say("word.output")),
    ),
    h("div.canvas", {}, lines.element, ids.query, body, ids.output),
    hint,
    h("div.drawn", {}, add, total, mark),
    described,
  );
  /** The rows that are drawn, by their number and their id. @type {{i: number, id: string}[]} */
  let shown = [];
  /** @type {?Page.Result} */
  let now = null;
  let saying = 0;
  /** @type {?string} */
  let added = null;

  /** @param {string} name @param {string} value */
  function special(name, value) {
    const key = h("span.special", {});
    const number = h("span.share.number", {});
    const shownValue = h("span.special", {}, value);
    return {
      key,
      number,
      value: shownValue,
      element: h(
        `div.row.${name}`,
        { role: "listitem" },
        h("div.cell.key-cell", {}, key),
        h("div.middle", {}, number),
        h("div.cell.value-cell", {}, shownValue),
      ),
    };
  }

  /** @param {Page.ShownRow} row */
  function rowElement(row) {
    const id = row.id;
    const key = field("key-text", say("picture.key", { key: row.key.slice(0, 60) }), (text) => editRow(store, now, id, { key: text }));
    const value = field("value-text", say("picture.value", { key: row.key.slice(0, 60) }), (text) => editRow(store, now, id, { value: text }));
    const colour = swatch(value.element, row.key);
    const similarity = h("span.similarity.number", {});
    const logit = h("span.logit.number", { hidden: true });
    const share = h("span.share.number", {});
    const tag = h("span.tag-of", { hidden: true });
    const mask = h("button.plain.mask", { type: "button", onclick: () => maskRow(store, id) });
    const remove = h(
      "button.plain.remove",
      {
        type: "button",
        title: say("picture.delete"),
        "aria-label": say("picture.delete.row", { key: row.key.slice(0, 60) }),
        onclick: () => removeRow(store, now, id),
      },
      "×",
    );
    const line = h(
      "div.row",
      { role: "listitem" },
      h("div.cell.key-cell", {}, key.element, similarity),
      h("div.middle", {}, logit, share),
      h("div.cell.value-cell", {}, colour.element, value.element, tag, h("span.hands", {}, mask, remove)),
    );
    return { element: line, key, value, colour, similarity, logit, share, tag, mask };
  }

  /** @param {Page.Lookup} model */
  function choose({ result, state }) {
    const most = room(state, result);
    if (body.contains(document.activeElement) && document.activeElement instanceof HTMLTextAreaElement && shown.length) {
      const index = new Map(result.rows.map((row, i) => [row.id, i]));
      const kept = shown.map((one) => index.get(one.id)).filter((i) => i !== undefined);
      if (kept.length) return kept;
    }
    const all = result.rows.map((_, i) => i);
    if (all.length <= ALL) return all;
    if (!state.revealed) return byKey(result.rows, all).slice(0, most);
    const blank = all.filter((i) => !result.rows[i].key);
    const open = all.filter((i) => result.rows[i].key && !result.rows[i].masked);
    const masked = all.filter((i) => result.rows[i].key && result.rows[i].masked).slice(0, Math.ceil(most / 3));
    return [...blank, ...open.slice(0, most - masked.length), ...masked];
  }

  /** How many rows there is room for beside the slider, on one screen, with the rest and "none of these" below them. @param {Page.State} state @param {Page.Result} result */
  function room({ projector }, { nullKey }) {
    if (window.innerWidth <= PHONE) return 6;
    if (window.innerHeight < FRAME) return nullKey ? 4 : 5;
    if (projector && window.innerHeight < LOW) return nullKey ? 5 : 6;
    return (window.innerHeight < LOW ? 8 : 9) - (nullKey ? 1 : 0);
  }

  /** @param {Page.Lookup} model */
  function show(model) {
    now = model.result;
    blended.show(model);
    lines.forget();
    const { result, state } = model;
    const chosen = choose(model);
    const secret = veiled(model);
    const compared = conditionOf(state.filter)?.field ?? (state.scene === "filter" ? FIELD : null);
    shown = chosen.map((i) => ({ i, id: result.rows[i].id }));
    const wanted = shown.map(({ i, id }) => {
      const row = result.rows[i];
      const line = elements.get(id) ?? rowElement(row);
      elements.set(id, line);
      const out = row.masked && state.revealed;
      const struck = state.revealed ? struckOut(row, state) : "";
      for (const name of /** @type {const} */ (["key", "value"])) {
        line[name].write(oneLine(row[name].slice(0, row[name].length > LONGEST && !state.rows ? LONGEST : undefined)));
        line[name].element.title = struck || row[name].slice(0, 600);
      }
      line.colour.follow();
      line.value.element.classList.toggle("glyph", isGlyph(legible(row.value)));
      line.element.title = struck;
      line.similarity.classList.toggle("unread", Boolean(row.unread));
      line.logit.hidden = !out;
      put(line.logit, out ? "−∞" : "");
      line.logit.title = struck;
      const tag = compared && state.revealed ? row.metadata?.[compared] : undefined;
      line.tag.hidden = tag === undefined;
      put(line.tag, tag === undefined ? "" : String(tag));
      put(line.similarity, row.unread ? say("picture.unread") : result.asked && !secret ? fixed(row.similarity) : "");
      line.element.classList.toggle("masked", out);
      const name = out ? "picture.unmask" : "picture.mask";
      line.mask.title = say(name);
      line.mask.setAttribute("aria-label", say(`${name}.row`, { key: row.key.slice(0, 60) }));
      line.mask.setAttribute("aria-pressed", String(out));
      line.mask.disabled = out && !state.masked.includes(id);
      put(line.mask, out ? "◌" : "◉");
      return line.element;
    });
    list.arrange([...wanted, rest.element, none.element]);
    hint.hidden = result.rows.length > 0;
    for (const id of elements.keys()) if (!shown.some((one) => one.id === id)) elements.delete(id);
    put(ids.query.querySelector("span") ?? ids.query.appendChild(h("span", { dir: "auto" })), state.query.slice(0, 120));
    none.element.hidden = !result.nullKey;
    requestAnimationFrame(fade);
    const line = added && elements.get(added);
    if (!line) return;
    line.key.element.focus();
    added = null;
  }

  /** A text of more than two lines fades at its end. */
  function fade() {
    const fields = [...body.querySelectorAll(".field")];
    const cut = fields.map((one) => one.scrollHeight > one.clientHeight + 2);
    fields.forEach((one, i) => one.classList.toggle("cut", cut[i]));
  }

  /** @param {Page.Lookup} model */
  function weigh(model) {
    const { result, answer, state } = model;
    const secret = veiled(model);
    let seen = 0;
    /** @type {import("./wires.js").Line[]} */
    const drawn = [];
    for (const { i, id } of shown) {
      const line = elements.get(id);
      if (!line || i >= result.rows.length) continue;
      const weight = answer.weights[i];
      seen += weight;
      put(line.share, result.rows[i].masked && state.revealed ? percent(0) : secret || !result.asked ? "?" : percent(weight));
      drawn.push({ name: id, weight: secret ? 0 : weight, row: line.element, kind: result.rows[i].masked ? "masked" : "row" });
    }
    const others = result.mask.filter(Boolean).length - shown.filter(({ i }) => result.mask[i]).length + (result.tail?.count ?? 0);
    const left = Math.max(0, 1 - seen - answer.nullWeight);
    if (rest.element.hidden !== others <= 0) lines.forget();
    rest.element.hidden = others <= 0;
    put(rest.value, others > 0 ? say("picture.rest.value") : "");
    put(rest.key, say("picture.rest", { count: count(others) }));
    const said = (/** @type {number} */ weight) => (secret ? "?" : percent(weight));
    put(rest.number, said(left < 1e-12 ? 0 : left));
    put(none.number, said(answer.nullWeight));
    put(none.key, answer.level === null ? "" : state.revealed ? say("picture.none", { level: similarityText(answer.level) }) : say("picture.none.covered"));
    put(mark, verdictMark(model));
    if (others > 0) drawn.push({ name: "(rest)", weight: secret ? 0 : left, row: rest.element, kind: "rest", many: others });
    if (result.nullKey)
      drawn.push({ name: "(none)", weight: secret ? 0 : answer.nullWeight, row: none.element, kind: "none", many: result.nullKey.at(state.t).count });
    const sum = drawn.reduce((whole, one) => whole + one.weight, 0);
    put(total, secret || !result.asked ? "" : `Σ = ${fixed(sum, 3)}`);
    lines.draw(ids.query, ids.output, result.asked && state.revealed ? drawn : []);
    describe(words(drawn, result, secret));
  }

  /** For a screen reader: not every step of a slider that moves, and none where the slider's own words say it. @param {string} text */
  function describe(text) {
    described.setAttribute("aria-live", document.activeElement?.matches(".slider") ? "off" : "polite");
    clearTimeout(saying);
    if (described.textContent && text) saying = setTimeout(() => put(described, text), REST_MS);
    else put(described, text);
  }

  function leave() {
    clearTimeout(saying);
    lines.leave();
  }

  /** @param {import("./wires.js").Line[]} drawn @param {Page.Result} result @param {boolean} secret */
  function words(drawn, result, secret) {
    if (secret || !result.asked) return "";
    const rows = drawn.filter((one) => one.kind !== "masked" && one.weight > 0.005);
    const named = rows.map(({ row, weight }) => {
      const key = row.querySelector(".key-text");
      const name = key instanceof HTMLTextAreaElement ? key.value.slice(0, 60) : row.querySelector(".special")?.textContent;
      return `${name}: ${percent(weight)}`;
    });
    return `${say("picture.words")} ${named.join("; ")}`;
  }

  return { element, show, weigh, blend: blended.draw, leave };
}
