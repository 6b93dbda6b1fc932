/** Four ways to search, side by side: SQL's =, full text, top-k and attention answer one question about the same rows. */

import { fill, h, put } from "../../../../../service/softkv_service/web/shared/element.js";
import { effective, fixed, percent } from "../../../../../service/softkv_service/web/shared/numbers.js";
import { onTheWire } from "../../../../../service/softkv_service/web/shared/scale.js";
import { screen } from "../../story/parts.js";
import data from "../../story/rows.json";
import { latest, temperatureSlider } from "../parts.js";
import words from "./four.json";

const { rows: ROWS } = data.shelf;
/** Questions to begin with: one that no key equals, one that is a key, and one that nothing answers. */
const QUESTIONS = ["books about felines", "cats", "quarterly tax return"];
const NAMES = /** @type {const} */ (["sql", "text", "top", "attention"]);
const SHOWN = 3;
const REST_MS = 300;
/** In a statement: a column that is compared with a parameter. */
const DECIDING = /(\b(?!collection\b)\w+ (?:=|MATCH|IN) \(?:\w+\)?)/;

/** @typedef {Page.Schemas["CompareAnswer"]} Compared */
/** @typedef {{q: string, t: number}} State */

/** @type {import("../parts.js").Picture} */
export const four = {
  id: "four",
  of: "hard-and-soft",
  sketch:
    "M4 8h22v10H4zM34 8h22v10H34zM64 8h22v10H64zM94 8h22v10H94zM4 26h22M34 26h22M34 34h14M64 26h22M64 34h22M64 42h22M94 26h22M94 34h16M94 42h10M94 50h6M94 58h3",
  words,
  defaults: { q: QUESTIONS[0], t: 0.05 },

  mount(host, context) {
    const { say, api, set } = context;
    /** @type {State} */
    let state = context.state;
    let waiting = 0;
    const field = /** @type {HTMLInputElement} */ (
      h("input.question", {
        type: "text",
        id: "question",
        maxLength: 300,
        autocomplete: "off",
        "aria-label": say("ask"),
        oninput: () => set({ q: field.value }),
      })
    );
    const questions = h("div.choices", {}, ...QUESTIONS.map((q) => h("button", { type: "button", onclick: () => set({ q }) }, q)));
    const slider = temperatureSlider(say, (t) => set({ t }));
    const columns = NAMES.map((name) => {
      const headline = h("p.headline", { role: "status" });
      const how = h("div.how", {});
      const list = h("ol.found", {});
      return { name, headline, how, list, element: h(`section.way.${name}`, { id: `way-${name}` }, h("h3", {}, say(name)), headline, how, list) };
    });
    const [sql, text, top, attention] = columns;
    const picture = h("div.four", {}, field, questions, h("div.ways", {}, ...columns.map(({ element }) => element)));
    const table = h("p.small.soft", {}, say("rows.of", { keys: ROWS.map(({ key }) => key).join(" · ") }));
    host.append(screen({ title: say("title"), sentence: say("sentence"), picture, below: [slider.element, table] }));
    const asking = latest(context, picture);

    function ask() {
      const { q, t } = state;
      if (!q.trim()) return asking.end();
      const body = { query: q, rows: ROWS, temperature: onTheWire(t), top_k: ROWS.length, null: "auto" };
      return asking.ask(async (signal) => show(await api.post("/v1/compare", body, signal)));
    }

    /** @param {Compared} compared */
    function show({ sql: equal, full_text: fullText, top_k: { matches }, attention: attended }) {
      database(sql, equal);
      database(text, fullText);
      put(top.headline, say("rows.top", { count: SHOWN }));
      fill(top.how, say("top.how", { count: SHOWN }));
      fill(
        top.list,
        matches.slice(0, SHOWN).map((match) => line(match, fixed(match.similarity))),
      );
      const { verdict, effective_documents: documents, null_weight: none } = attended.evidence;
      put(attention.headline, say(`verdict.${verdict}`, { documents: effective(documents) }));
      fill(attention.how, say("attention.how"), " ", say("null", { none: percent(none) }));
      fill(
        attention.list,
        attended.matches.map((match) => line(match, percent(match.weight))),
      );
    }

    /**
     * @param {typeof columns[number]} column
     * @param {Page.Schemas["SQLAnswer"]} found
     */
    function database({ headline, how, list }, { statement, rows }) {
      put(headline, say("rows", { count: rows.length }));
      const where = statement.split("\n").find((clause) => DECIDING.test(clause)) ?? statement;
      fill(how, h("code", { title: statement }, ...where.split(DECIDING).map((part) => (DECIDING.test(part) ? h("strong", {}, part) : part))));
      fill(
        list,
        rows.slice(0, SHOWN).map((row) => line(row, "")),
      );
    }

    function follow() {
      if (document.activeElement !== field) field.value = state.q;
      slider.follow(state.t);
    }

    follow();
    ask();
    return {
      update(now) {
        state = now;
        follow();
        clearTimeout(waiting);
        waiting = window.setTimeout(ask, REST_MS);
      },
      again: ask,
      leave: () => clearTimeout(waiting),
    };
  },
};

/**
 * A row that was found: its value, which a lookup returns, and the key that it was found by.
 *
 * @param {{key?: ?string, value?: unknown}} row
 * @param {string} number
 */
function line({ key, value }, number) {
  return h("li", {}, number ? h("span.number.weight", {}, number, " ") : null, h("span.key", {}, key ?? ""), " → ", h("span.value", {}, String(value)));
}
