/** The certificate as an error bar: the same question, answered exactly or from codes, on the largest collection there is. */

import { fill, h, put } from "../../element.js";
import { count, fixed, power } from "../../numbers.js";
import { onTheWire } from "../../scale.js";
import { clipped, say } from "../../words.js";
import { copyAsCurl } from "../copying.js";
import { latest } from "../latest.js";
import { temperatureSlider } from "../temperature.js";
import { bar, inThreeDigits, upTo } from "./bar.js";

/** What is allowed at each stop of the slider. @type {{name: string, asks: {max_error?: number}}[]} */
const STOPS = [
  { name: "exact", asks: { max_error: 1e-12 } },
  { name: "codes", asks: {} },
];
/** Bytes of a component that are read of every key. */
const BYTES = { exact: 4, quantised: 1 };
const SHOWN = 8;
const TIMES = 3;
const LONGEST = 40;
const REST_MS = 250;

/** @typedef {{name: string, documents: number, dimension?: ?number}} Collection */
/** @typedef {{id: string, key?: ?string, weight: number}} Match */
/** @typedef {{matches: Match[], keys: number, took_ms: number, certificate: {method: keyof typeof BYTES, total_variation: number}}} Answer */

/** @param {Page.Context} context */
export function million(context) {
  const { store, api, asker } = context;
  let waiting = 0;
  /** @type {Collection[]} */
  let found = [];
  const slider = temperatureSlider(store.state.t, (t) => store.set({ t }));
  const question = h("input.question", {
    type: "text",
    id: "question",
    value: store.state.query,
    autocomplete: "off",
    dir: "auto",
    maxLength: 2000,
    oninput: () => store.set({ query: question.value }),
  });
  const source = h("select", { id: "largest", onchange: () => store.set({ source: source.value }) });
  const stops = h("input.slider.plain-slider", {
    type: "range",
    id: "codes",
    min: 0,
    max: STOPS.length - 1,
    step: 1,
    oninput: () => store.set({ codes: Number(stops.value) }),
  });
  const stop = h("output.strong", { for: "codes" });
  const words = h("p", { id: "million-words", role: "status" });
  const read = h("p.small", { id: "million-read" });
  const body = h("tbody");
  const columns = ["key", "weight", "off", "bar"].map((name) => h("th", { scope: "col" }, say(`million.${name}`)));
  const element = h(
    "div.lookup.million",
    {},
    h(
      "section.left",
      {},
      context.story,
      h("div", {}, h("label.query.strong", { for: "question" }, "● ", say("ask.question")), question),
      h("div", {}, h("label", { for: "largest" }, say("ask.rows")), source),
      h("div", {}, h("div.across", {}, h("label", { for: "codes" }, say("million.codes")), stop), stops),
      slider.element,
      words,
    ),
    h(
      "section.right",
      {},
      h(
        "div.scrolling",
        { tabIndex: 0, role: "group", "aria-label": say("million.bar") },
        h("table.certified", {}, h("thead", {}, h("tr", {}, columns)), body),
      ),
      h("p.small.soft", {}, say("million.how")),
      read,
      h("h2", {}, say("million.title")),
      h("p.small", { id: "million-figures" }, say("million.figures")),
      h(
        "div.under",
        {},
        copyAsCurl(context, () => ({ method: "POST", path: path(), body: request(chosen()) })),
      ),
    ),
  );

  const asking = latest(context, element);

  /** The collection that was chosen; else the largest. */
  function collection() {
    const named = found.find(({ name }) => name === store.state.source);
    return named ?? found.reduce((largest, one) => (one.documents > largest.documents ? one : largest));
  }

  function path() {
    return `/v1/collections/${encodeURIComponent(collection().name)}/attend`;
  }

  function chosen() {
    return STOPS[Math.min(STOPS.length - 1, Math.max(0, Math.round(store.state.codes)))];
  }

  /** @param {typeof STOPS[0]} stop */
  function request({ asks }) {
    return { query: store.state.query, temperature: onTheWire(store.state.t), top_k: SHOWN, include: ["key"], ...asks };
  }

  async function ask() {
    await asking.ask(async (signal) => {
      if (!found.length) {
        ({ collections: found } = await asker.collections(signal));
        fill(
          source,
          found.map(({ name, documents }) => h("option", { value: name }, say("ask.collection", { name, count: count(documents) }))),
        );
      }
      if (!found.length) return put(words, say("million.empty"));
      source.value = collection().name;
      const exact = await api.post(path(), { ...request(STOPS[0]), top_k: 2 * SHOWN }, signal);
      /** @type {Answer[]} */
      const answers = [];
      for (let time = 0; time < TIMES; time++) answers.push(await api.post(path(), request(chosen()), signal));
      show(answers, exact);
    });
  }

  /** @param {Answer[]} answers @param {Answer} exact */
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
    put(stop, say(`million.stop.${chosen().name}`));
    stops.value = String(STOPS.indexOf(chosen()));
    stops.setAttribute("aria-valuetext", stop.textContent);
    put(words, say(`million.words.${method}`, { count: count(answer.keys), most: upTo(most), worst: power(worst), ms: fixed(milliseconds, 1) }));
    const { dimension } = collection();
    put(
      read,
      say("million.read", {
        count: count(answer.keys),
        dimension: count(dimension ?? 0),
        read: fixed((answer.keys * (dimension ?? 0) * BYTES[method]) / 1e6, 1),
        whole: fixed((answer.keys * (dimension ?? 0) * BYTES.exact) / 1e6, 1),
      }),
    );
    slider.follow(store.state.t, words.textContent);
    context.told({ state: store.state, most, bound: upTo(most), worst, method, keys: answer.keys });
  }

  /** @param {Page.State} state @param {Set<string>} changed */
  function update(state, changed) {
    slider.follow(state.t);
    if (document.activeElement !== question) question.value = state.query;
    if (!["query", "source", "t", "codes"].some((name) => changed.has(name))) return;
    clearTimeout(waiting);
    waiting = setTimeout(ask, REST_MS);
  }

  ask();
  return { element, update, again: ask, leave: () => (asking.end(), clearTimeout(waiting)) };
}
