/** The certificate as an error bar: one question to the largest collection, answered exactly or from 8-bit codes. */

import { fill, h, put } from "../../../../../service/softkv_service/web/shared/element.js";
import { count, fixed, power } from "../../../../../service/softkv_service/web/shared/numbers.js";
import { onTheWire } from "../../../../../service/softkv_service/web/shared/scale.js";
import { clipped } from "../../../../../service/softkv_service/web/shared/words.js";
import { statusLine } from "../../../../../service/softkv_service/web/shared/parts.js";
import { hood, screen } from "../../story/parts.js";
import { bar, inThreeDigits, upTo } from "../bar.js";
import { latest, temperatureSlider } from "../parts.js";
import words from "./certificate.json";

/** The sources that an answer can be read from, with the error that each allows. @type {{name: string, allows: {max_error?: number}}[]} */
const STOPS = [
  { name: "exact", allows: { max_error: 1e-12 } },
  { name: "codes", allows: {} },
];
/** Bytes of each number of a key, as it is read. */
const BYTES = { exact: 4, quantised: 1 };
const SHOWN = 8;
const TIMES = 3;
const LONGEST = 40;
/** The demo that the first question is about. */
const DEMO = "unicode";
const REST_MS = 250;

/** @typedef {{name: string, documents: number, dimension?: ?number}} Collection */
/** @typedef {{id: string, key?: ?string, weight: number}} Match */
/**
 * @typedef {object} Answer
 * @property {Match[]} matches
 * @property {number} keys
 * @property {number} took_ms
 * @property {{method: keyof typeof BYTES, total_variation: number}} certificate
 */
/**
 * @typedef {object} State `codes` is a place in STOPS; an empty `source` is the demo of all characters, or without it the largest collection
 * @property {string} q
 * @property {number} t
 * @property {string} source
 * @property {number} codes
 */

/** @type {import("../parts.js").Picture} */
export const certificate = {
  id: "certificate",
  of: "who-shares",
  sketch:
    "M8 14h104M8 36h104M8 58h104M34 8v12M30 8h8M30 20h8M50 30v12M46 30h8M46 42h8M22 52v12M18 52h8M18 64h8M70 14a3 3 0 1 0 .1 0M88 36a3 3 0 1 0 .1 0M46 58a3 3 0 1 0 .1 0",
  words,
  defaults: { q: "smiling cat", t: 0.05, source: "", codes: 1 },

  mount(host, context) {
    const { say, api, set } = context;
    /** @type {State} */
    let state = context.state;
    let waiting = 0;
    /** @type {Collection[]} */
    let collections = [];
    const slider = temperatureSlider(say, (t) => set({ t }));
    const question = /** @type {HTMLInputElement} */ (
      h("input.question", {
        type: "text",
        id: "question",
        autocomplete: "off",
        maxLength: 300,
        "aria-label": say("ask"),
        oninput: () => set({ q: question.value }),
      })
    );
    const source = /** @type {HTMLSelectElement} */ (h("select", { id: "source", "aria-label": say("source"), onchange: () => set({ source: source.value }) }));
    const stops = STOPS.map(({ name }, i) => h("button", { type: "button", onclick: () => set({ codes: i }) }, say(`stop.${name}`)));
    const status = statusLine();
    const amount = h("p");
    const body = h("tbody");
    const columns = ["key", "weight", "off", "bar"].map((name) => h("th", { scope: "col" }, say(name)));
    const table = h("table.certified", {}, h("thead", {}, h("tr", {}, columns)), body);
    const picture = h(
      "div.certificate",
      {},
      h("div.asked-of", {}, question, source),
      h("div.choices", { role: "group", "aria-label": say("codes") }, ...stops),
      h("div.scrolling", { tabIndex: 0, role: "group", "aria-label": say("title") }, table),
    );
    host.append(
      screen({
        title: say("title"),
        sentence: say("sentence"),
        picture: context.isExported ? h("p.notice", {}, say("exported")) : picture,
        below: context.isExported ? [] : [slider.element, status.element],
        hood: hood(say, h("p", {}, say("how")), amount, h("h3", {}, say("million")), h("p", {}, say("figures"))),
      }),
    );
    const asking = latest(context, picture);

    /** The collection that was chosen, else the one that the question is about, else the largest. */
    function collection() {
      const named = collections.find(({ name }) => name === (state.source || DEMO));
      return named ?? collections.reduce((largest, one) => (one.documents > largest.documents ? one : largest));
    }

    function stop() {
      return STOPS[state.codes === 0 ? 0 : 1];
    }

    async function ask() {
      if (context.isExported) return;
      await asking.ask(async (signal) => {
        if (!collections.length) {
          ({ collections } = await api.get("/v1/collections?limit=1000", signal));
          fill(
            source,
            collections.map(({ name, documents }) => h("option", { value: name }, `${name} (${count(documents)})`)),
          );
        }
        if (!collections.length) return status.show(say("empty"));
        source.value = collection().name;
        const path = `/v1/collections/${encodeURIComponent(collection().name)}/attend`;
        const request = { query: state.q, temperature: onTheWire(state.t), top_k: SHOWN, include: ["key"], rerank: null };
        const exact = await api.post(path, { ...request, ...STOPS[0].allows, top_k: 2 * SHOWN }, signal);
        /** @type {Answer[]} */
        const answers = [];
        for (let time = 0; time < TIMES; time++) answers.push(await api.post(path, { ...request, ...stop().allows }, signal));
        show(answers, exact);
      });
    }

    /**
     * @param {Answer[]} answers
     * @param {Answer} exact
     */
    function show(answers, exact) {
      const [answer] = answers;
      const { method, total_variation: most } = answer.certificate;
      const truth = new Map(exact.matches.map(({ id, weight }) => [id, weight]));
      const rows = answer.matches.map((match) => {
        const weight = truth.get(match.id);
        return { ...match, off: weight === undefined ? null : Math.abs(match.weight - weight) };
      });
      fill(
        body,
        rows.map(({ key, weight, off }) =>
          h(
            "tr",
            {},
            h("td.key", { dir: "auto" }, clipped(key ?? "", LONGEST)),
            h("td.number.weight", {}, `${inThreeDigits(weight)} ± ${upTo(most)}`),
            h("td.number", {}, off === null ? "–" : power(off)),
            h("td", {}, bar(off, most)),
          ),
        ),
      );
      const milliseconds = answers.map((one) => one.took_ms).sort((a, b) => a - b)[Math.floor(TIMES / 2)];
      const worst = Math.max(...rows.map(({ off }) => off ?? 0));
      status.show(say(`words.${method}`, { count: answer.keys, most: upTo(most), worst: power(worst), ms: fixed(milliseconds, 1) }));
      const numbers = answer.keys * (collection().dimension ?? 0);
      const megabytes = (/** @type {number} */ bytes) => fixed((numbers * bytes) / 1e6, 1);
      put(amount, say("read", { count: answer.keys, dimension: collection().dimension ?? 0, read: megabytes(BYTES[method]), whole: megabytes(BYTES.exact) }));
    }

    function follow() {
      slider.follow(state.t);
      if (document.activeElement !== question) question.value = state.q;
      for (const [i, button] of stops.entries()) button.setAttribute("aria-pressed", String(STOPS[i] === stop()));
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
