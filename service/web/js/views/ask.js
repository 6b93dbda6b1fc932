/** The question, the rows it is put to, the temperature, and the level of "none of these". */

import { spoken, veiled } from "../asking.js";
import { readsChinese } from "../chinese.js";
import { h, fill, put } from "../element.js";
import { count, effective, percent } from "../numbers.js";
import { clipped, say } from "../words.js";
import { CALIBRATED } from "../nullkey.js";
import { NAMED_NULLS } from "../state.js";
import { filtering } from "./filtering.js";
import { temperatureSlider } from "./temperature.js";
import { knowsNull, levelWords, verdictWords } from "./verdict.js";

/** Just below the similarity of a key with itself: what makes attention at T → 0 an exact match. */
export const EXACT = 0.9999;
/** The choice of a level of one's own, and where it begins when there is none to begin from. */
const NUMBER = "number";
const MIDDLE = 0.5;

/** @param {Page.Context} context */
export function ask({ store, asker, api }) {
  const { state } = store;
  const question = h("input.question", {
    type: "text",
    id: "question",
    value: state.query,
    autocomplete: "off",
    spellcheck: false,
    dir: "auto",
    maxLength: 2000,
    placeholder: say("ask.placeholder"),
    oninput: () => store.set({ query: question.value }),
  });
  const label = h("span", {}, say("ask.question"));
  const unread = h("p.unread", { role: "status" });
  const source = h("select", { id: "source", onchange: choose });
  const none = h("select", { id: "none", "aria-describedby": "level named-nulls", onchange: () => store.set({ none: chosenNull() }) });
  const number = h("input", { type: "number", id: "none-level", step: 0.01, "aria-label": say("ask.none.level"), oninput: setLevel });
  const choice = h("div", {}, h("label", { for: "none" }, say("ask.none")), h("span.choice-of-null", {}, none, number));
  const slider = temperatureSlider(state.t, (t) => store.set({ t }));
  const shelf = filtering(store);
  const verdict = h("p.verdict", { id: "verdict", role: "status" });
  const summary = h("p.summary", { id: "summary" });
  const level = h("p.level", { id: "level" });
  const named = h("p.level", { id: "named-nulls" }, say("level.names"));
  const levels = h("details.levels", { hidden: true }, h("summary", {}, say("level.title")), level, named);
  const access = h("p.tiny.soft", { id: "access" });
  const element = h(
    "div.ask",
    {},
    h("div.asking", {}, h("label.query.strong", { for: "question" }, "● ", label), question, unread),
    slider.element,
    h("div.telling", {}, verdict, summary),
    h("div.settings", {}, h("div.pair", {}, h("div", {}, h("label", { for: "source" }, say("ask.rows")), source), choice, shelf.element), levels, access),
  );
  /** @type {?Page.Lookup} */
  let now = null;
  offer();
  offerNone();

  function choose() {
    if (source.value) store.set({ source: source.value, rows: null, masked: [], filter: null, left: 0 });
    else store.set({ source: "scratch", rows: [], masked: [], filter: null, left: 0 });
  }

  /** What is chosen; a level of one's own begins at the one that is shown. */
  function chosenNull() {
    const chosen = JSON.parse(none.value);
    if (chosen !== NUMBER) return chosen;
    const shown = now?.answer.level ?? MIDDLE;
    return Number.isFinite(shown) ? Number(shown.toFixed(2)) : MIDDLE;
  }

  function setLevel() {
    if (number.value !== "" && Number.isFinite(number.valueAsNumber)) store.set({ none: number.valueAsNumber });
  }

  /** Fill the list of collections. */
  function offer() {
    const { rows, source: current } = store.state;
    put(access, asker.access === "read" ? say("ask.read") : "");
    /** @type {[string, ?number][]} */
    const names = [...asker.sizes];
    if (!rows && !asker.sizes.has(current)) names.unshift([current, null]);
    fill(
      source,
      names.map(([name, size]) =>
        h("option", { value: name, selected: !rows && name === current }, size === null ? name : say("ask.collection", { name, count: count(size) })),
      ),
      h("option", { value: "", selected: Boolean(rows) }, say("ask.own")),
    );
  }

  function offerNone() {
    const { none: current, source, rows } = store.state;
    const isCalibrated = current === CALIBRATED || (!rows && asker.calibrated.has(source));
    choice.hidden = !knowsNull(store.state);
    const names = isCalibrated ? [...NAMED_NULLS, CALIBRATED] : NAMED_NULLS;
    const chosen = typeof current === "number" && current !== EXACT ? NUMBER : current;
    /** @type {[Page.State["none"], string][]} */
    const choices = [
      ...names.map((name) => /** @type {[string, string]} */ ([name, say(`ask.none.${name}`)])),
      [NUMBER, say("ask.none.number")],
      [EXACT, say("ask.none.exact")],
      [false, say("ask.none.off")],
    ];
    fill(
      none,
      choices.map(([value, label]) => h("option", { value: JSON.stringify(value), selected: value === chosen }, label)),
    );
    if (document.activeElement === number) return;
    number.hidden = chosen !== NUMBER;
    if (!number.hidden) number.value = String(current);
  }

  /** @param {Page.Lookup} model */
  function weigh(model) {
    now = model;
    const { state: current, result, answer } = model;
    const words = veiled({ state: current, result }) ? "" : sentence(result, answer, current.t);
    slider.follow(current.t, words);
    put(verdict, verdictWords(model));
    put(summary, words);
    put(level, levelWords(model));
    levels.hidden = !level.textContent;
    named.hidden = !result.nullKey?.background || current.none === CALIBRATED || !current.revealed;
  }

  /** @param {Page.Lookup} model */
  function show(model) {
    offer();
    offerNone();
    shelf.show(model);
    if (document.activeElement !== question) question.value = model.state.query;
    const { unread: unknown } = model.result;
    put(unread, unknown ? say("ask.unread", { unknown }) : "");
  }

  /** In Chinese the label says to ask in English, unless the encoder reads both; that may wait for the first answer. */
  function learnLanguages() {
    if (state.lang === "zh") readsChinese(api).then((reads) => reads && put(label, say("ask.question.any")));
  }

  return { element, offer, show, weigh, learnLanguages, follow: (/** @type {Page.State} */ { t }) => slider.follow(t, summary.textContent) };
}

/** The answer in one sentence; with "none of these" in two. @param {Page.Result} result @param {Page.Answer} answer @param {number} temperature */
export function sentence(result, answer, temperature) {
  if (!result.asked) return "";
  const nearest = nearestOf(result);
  if (nearest === null) return say("summary.nothing");
  const rows = result.mask.filter(Boolean).length + (result.tail?.count ?? 0);
  const documents = effective(answer.effective);
  const shares = { key: clipped(spoken(result.rows[nearest]), 44), weight: percent(answer.weights[nearest]), none: percent(answer.nullWeight), documents };
  const none = result.nullKey ? say("summary.null", shares) : "";
  if (temperature === Infinity && rows > 1 && result.keys <= rows) return say("summary.equal", { rows: count(rows), weight: shares.weight }) + none;
  if (answer.verdict === "none") return say("summary.none", shares);
  return say(Number(documents) === 1 ? "summary.one" : "summary.some", shares) + none;
}

/** The row that may be attended to and is most similar, whatever it weighs; null without one. @param {Page.Result} result */
function nearestOf({ similarities, mask }) {
  /** @type {?number} */
  let nearest = null;
  for (const [i, may] of mask.entries()) if (may && (nearest === null || similarities[i] > similarities[nearest])) nearest = i;
  return nearest;
}
