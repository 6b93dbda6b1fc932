/** The question, the rows it is put to, the temperature, and the level of "none of these". */

import { h, fill, put } from "../element.js";
import { count, effective, fixed, percent } from "../numbers.js";
import { clipped, say } from "../words.js";
import { veiled } from "../reading.js";
import { temperatureSlider } from "./temperature.js";

/** Just below the similarity of a key with itself: what makes attention at T → 0 an exact match. */
export const EXACT = 0.9999;

/** @param {object} context */
export function ask({ store, asker }) {
  const { state } = store;
  const question = h("input.question", {
    type: "text", id: "question", value: state.query, autocomplete: "off", spellcheck: false, dir: "auto", maxLength: 2000,
    placeholder: say("ask.placeholder"), oninput: () => store.set({ query: question.value }),
  });
  const unread = h("p.unread", { role: "status" });
  const source = h("select", { id: "source", onchange: choose });
  const none = h("select", { id: "none", onchange: () => store.set({ none: JSON.parse(none.value) }) });
  const slider = temperatureSlider(state.t, (t) => store.set({ t }));
  const summary = h("p.summary", { id: "summary" });
  const access = h("p.tiny.soft", { id: "access" });
  const element = h("div.ask", {},
    h("div", {}, h("label.query.strong", { for: "question" }, "● ", say("ask.question")), question, unread),
    slider.element, summary,
    h("div.pair", {},
      h("div", {}, h("label", { for: "source" }, say("ask.rows")), source),
      h("div", {}, h("label", { for: "none" }, say("ask.none")), none)), access);
  offer();

  function choose() {
    if (source.value) store.set({ source: source.value, rows: null, masked: [], filter: null });
    else store.set({ source: "scratch", rows: [], masked: [], filter: null });
  }

  /** Fill the list of collections. */
  function offer() {
    const now = store.state;
    put(access, asker.access === "read" ? say("ask.read") : "");
    const names = [...asker.sizes];
    if (!now.rows && !asker.sizes.has(now.source)) names.unshift([now.source, null]);
    fill(source,
      names.map(([name, size]) => h("option", { value: name, selected: !now.rows && name === now.source },
        size === null ? name : say("ask.collection", { name, count: count(size) }))),
      h("option", { value: "", selected: Boolean(now.rows) }, say("ask.own")));
  }

  function offerNone({ state: now, result }) {
    const level = result?.nullSimilarity;
    const choices = [
      ["auto", say("ask.none.auto", { level: now.none === "auto" && level !== null ? fixed(level) : "…" })],
      [EXACT, say("ask.none.exact")],
      [false, say("ask.none.off")],
    ];
    if (!choices.some(([value]) => value === now.none)) choices.push([now.none, fixed(now.none, 3)]);
    fill(none, choices.map(([value, label]) => h("option", { value: JSON.stringify(value), selected: value === now.none }, label)));
  }

  function weigh({ state: now, result, answer }) {
    const words = veiled({ state: now, result }) ? "" : sentence(result, answer);
    slider.follow(now.t, words);
    put(summary, words);
  }

  function show(model) {
    offer();
    offerNone(model);
    if (document.activeElement !== question) question.value = model.state.query;
    const { unread: unknown } = model.result;
    put(unread, unknown ? say("ask.unread", { unknown }) : "");
  }

  return { element, offer, show, weigh, follow: (now) => slider.follow(now.t, summary.textContent) };
}

/** The answer in one sentence. */
export function sentence(result, answer) {
  if (!result.asked) return "";
  let heaviest = 0;
  for (let i = 1; i < answer.weights.length; i++) if (answer.weights[i] > answer.weights[heaviest]) heaviest = i;
  const row = result.rows[heaviest];
  if (!row || (answer.weights[heaviest] === 0 && answer.nullWeight === 0)) return say("summary.nothing");
  const shares = { key: clipped(row.key, 44), weight: percent(answer.weights[heaviest]), none: percent(answer.nullWeight), documents: effective(answer.effective) };
  if (answer.nullWeight > answer.weights[heaviest] && answer.nullWeight > answer.restWeight) return say("summary.none", shares);
  return say("summary.some", shares);
}
