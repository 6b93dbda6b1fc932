/** How sure is it? A learner labels first matches as right or wrong; the reliability diagram is made of that. */

import { h, put } from "../../element.js";
import { fixed, percent, temperatureText } from "../../numbers.js";
import { onTheWire, positionOf, STEPS, temperatureAt } from "../../scale.js";
import { beginning } from "../../state.js";
import { rich, say } from "../../words.js";
import { copyAsCurl } from "../copying.js";
import { latest } from "../latest.js";
import { temperatureSlider } from "../temperature.js";
import { brier, calibration } from "./calibration.js";
import { card } from "./card.js";
import { curve } from "./curve.js";
import { diagram } from "./diagram.js";
import { labels } from "./labels.js";
import { EXAMPLE, labelsOf, QUESTIONS, questionsOf, RIGHT, WRONG } from "./questions.js";
import { sweep, Swept } from "./swept.js";

const POSITIONS = Array.from({ length: STEPS + 1 }, (_, position) => position);
const TICKS = [0, 0.01, 0.05, 0.2, 1, Infinity];
/** What the mean weight and the share that is right may differ by and still be called the same. */
const SAME = 0.03;
/** From so much more on, what the bins are off by is told beside what the mean is. */
const FURTHER = 0.05;
const MOST_OWN = 20;

/** @param {Page.Context} context */
export function sure(context) {
  const { store, api } = context;
  const { scene, source } = store.state;
  const path = `/v1/collections/${encodeURIComponent(source)}`;
  const there = new AbortController();
  const swept = new Swept(api, path, there.signal);
  let frame = 0;
  /** @type {{of: string, scores: number[], least: ?number}} */
  let scored = { of: "", scores: [], least: null };
  const asked = card({ source, judged: judge, dropped: drop, elsewhere: source === beginning(scene).source ? null : () => store.go(scene, true) });
  const slider = temperatureSlider(store.state.t, (t) => store.set({ t }), TICKS);
  const scores = curve();
  const least = h("p.small", { id: "least" });
  const go = h("button", { type: "button", id: "to-least", onclick: () => scored.least !== null && store.set({ t: temperatureAt(scored.least) }) });
  const none = h("input", { type: "checkbox", id: "none", onchange: () => store.set({ none: none.checked ? "auto" : false }) });
  const words = h("p.sure-words", { id: "sure-words", role: "status", tabIndex: -1 });
  const measures = h("p.small.measures", { id: "measures" });
  const own = h("input.question", { type: "text", id: "own", autocomplete: "off", dir: "auto", maxLength: 2000 });
  const asking = h(
    "form.own",
    { onsubmit: add },
    h("label.query.strong", { for: "own" }, "● ", say("sure.own")),
    h("div.own-line", {}, own, h("button", {}, say("sure.own.ask"))),
  );
  const picture = diagram();
  const table = labels(turn, () => store.set({ labels: "", own: null, t: 0.05 }));
  const warm = h(
    "section.warm",
    { "aria-label": say("temperature.label") },
    slider.element,
    h("p.tiny.soft", {}, say("sure.curve.title")),
    scores.element,
    least,
    go,
    h("p.tiny.soft", { id: "few" }, rich("sure.few", { name: source })),
  );
  const element = h(
    "div.lookup.sure",
    {},
    h("section.left", {}, context.story, asked.element, warm, asking, h("label.check", {}, none, say("sure.none"))),
    h(
      "section.right",
      {},
      words,
      measures,
      picture.element,
      h("p.small.soft", {}, say("sure.read")),
      table.element,
      h(
        "div.under",
        {},
        copyAsCurl(context, () => ({ method: "POST", path: `${path}/sweep`, body: shown() })),
      ),
    ),
  );
  const latestOf = latest(context, element);

  /** The question that is to be labelled, or else the last one, at the temperature that is shown. */
  function shown() {
    const questions = questionsOf(store.state);
    const query = questions[Math.min(labelsOf(store.state).length, questions.length - 1)];
    return sweep(query, store.state.none, [onTheWire(store.state.t)]);
  }

  /** @param {string} label */
  function judge(label) {
    const given = labelsOf(store.state);
    const query = questionsOf(store.state)[given.length];
    if (query !== undefined && swept.known(query, store.state.none)) store.set({ labels: [...given, label].join("") });
  }

  /** @param {number} at */
  function turn(at) {
    store.set({
      labels: labelsOf(store.state)
        .map((label, i) => (i !== at ? label : label === RIGHT ? WRONG : RIGHT))
        .join(""),
    });
  }

  function drop() {
    const kept = store.state.own?.slice(0, -1);
    store.set({ own: kept?.length ? kept : null });
  }

  /** @param {Event} event */
  function add(event) {
    event.preventDefault();
    const query = own.value.trim();
    const before = store.state.own ?? [];
    if (!query || before.length >= MOST_OWN) return;
    own.value = "";
    store.set({ own: [...before, query] });
    asked.element.focus();
  }

  /** What the picture needs comes first, and the question after the one that is shown last. */
  async function ask() {
    const { state } = store;
    const questions = questionsOf(state);
    const known = labelsOf(state).length;
    show();
    await latestOf.ask(async (signal) => {
      for (const query of [EXAMPLE, ...questions.slice(0, known + 2)]) {
        if (swept.known(query, state.none)) continue;
        await swept.of(query, state.none);
        if (signal.aborted) return;
        show();
      }
    });
  }

  /** What is labelled and has come, with what it weighs at a temperature. */
  function labelled(temperature = store.state.t) {
    const { state } = store;
    const questions = questionsOf(state);
    return labelsOf(state).flatMap((label, i) => {
      const answer = swept.known(questions[i], state.none);
      if (!answer?.match) return [];
      return [{ ...answer, match: answer.match, weight: answer.weight(temperature), right: label === RIGHT, own: i >= QUESTIONS.length }];
    });
  }

  function show() {
    const { state } = store;
    const questions = questionsOf(state);
    const at = labelsOf(state).length;
    const query = questions[at];
    const wasLabelling = query === undefined && asked.element.contains(document.activeElement);
    asked.show(
      query === undefined ? null : { number: at + 1, count: questions.length, query, own: at >= QUESTIONS.length, answer: swept.known(query, state.none) },
    );
    const all = at >= QUESTIONS.length;
    warm.hidden = !all;
    asking.hidden = !all || query !== undefined;
    if (wasLabelling) (all && state.own ? own : words).focus();
    none.checked = state.none !== false;
    weigh();
  }

  /** Everything that follows the slider: nothing is asked. */
  function weigh() {
    frame = 0;
    const { state } = store;
    const now = labelled();
    const numbers = now.length ? calibration(now) : null;
    picture.draw(now, numbers);
    table.show(now);
    words.setAttribute("aria-live", document.activeElement?.matches(".slider") ? "off" : "polite");
    put(words, sentence(numbers));
    put(measures, numbers ? say("sure.measures", { brier: fixed(numbers.brier, 3), error: fixed(numbers.error, 3) }) : "");
    slider.follow(state.t, words.textContent);
    if (!warm.hidden && now.length) search(now);
    const example = swept.known(EXAMPLE, state.none);
    if (example?.match) context.told({ state, labelled: now, numbers, example: { ...example, match: example.match } });
  }

  /** The Brier score at every position, and where it is least; of labels of one kind that says nothing. @param {Page.Labelled[]} now */
  function search(now) {
    const of = JSON.stringify([store.state.none, now.map(({ query, right }) => [query, right])]);
    if (of !== scored.of) {
      const found = POSITIONS.map((position) => brier(labelled(temperatureAt(position))));
      const isMixed = new Set(now.map(({ right }) => right)).size > 1;
      scored = { of, scores: found, least: isMixed ? found.indexOf(Math.min(...found)) : null };
    }
    scores.draw(scored.scores, scored.least, store.state.t);
    go.hidden = scored.least === null || positionOf(store.state.t) === scored.least;
    if (scored.least === null) return put(least, say("sure.one.kind"));
    const best = { T: temperatureText(temperatureAt(scored.least)), brier: fixed(scored.scores[scored.least], 3) };
    put(go, say("sure.least.go", best));
    put(least, say("sure.least", { ...best, n: now.length }));
  }

  /** @param {Page.State} state @param {Set<string>} changed */
  function update(state, changed) {
    if (["labels", "own", "none"].some((name) => changed.has(name))) ask();
    else if (changed.has("t")) {
      slider.follow(state.t, words.textContent);
      frame ||= requestAnimationFrame(weigh);
    }
  }

  function leave() {
    latestOf.end();
    there.abort();
    cancelAnimationFrame(frame);
    for (const part of [asked, picture, scores]) part.leave();
  }

  ask();
  return { element, update, again: ask, leave };
}

/**
 * The mean weight against the share that is right, and which of the two is more; and how far bins are off where the mean hides it.
 *
 * @param {?import("./calibration.js").Calibration} numbers
 */
function sentence(numbers) {
  if (!numbers) return say("sure.words.none");
  const { n, mean, right, error } = numbers;
  const apart = Math.abs(mean - right);
  const kind = apart <= SAME ? "same" : mean > right ? "over" : "under";
  const places = { n, mean: percent(mean), right: percent(right), points: fixed(100 * apart, 0), bins: fixed(100 * error, 0) };
  return say(`sure.words.${kind}${error - apart > FURTHER ? ".bins" : ""}`, places);
}
