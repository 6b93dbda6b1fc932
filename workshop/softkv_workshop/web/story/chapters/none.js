/** 4 Nothing fits, and some may not: the null key with its level, and rows that are masked. */

import { h, put } from "../../../../../service/softkv_service/web/shared/element.js";
import { weigh } from "../../../../../service/softkv_service/web/shared/formula.js";
import { NullKey } from "../../shared/nullkey.js";
import { fixed } from "../../../../../service/softkv_service/web/shared/numbers.js";
import { EXPLORE } from "../../../../../service/softkv_service/web/shared/purpose.js";
import { hood, prediction, screen } from "../parts.js";
import data from "../rows.json";
import { factorOf, maskedRows, whyNone, withFactor } from "../sentences.js";
import { numbers } from "../table.js";
import { Threads } from "../../../../../service/softkv_service/web/shared/threads.js";
import { asking, statusLine } from "../../../../../service/softkv_service/web/shared/parts.js";
import { nothingFits } from "../../../../../service/softkv_service/web/shared/sentences.js";
import words from "./none.json";

const { queries, rows: ROWS } = data.shelf;
const KEYS = ROWS.map(({ key }) => key);
const [NOTHING, SOMETHING, ANIMALS] = queries;
const BEGINNING = 0.05;
/** Warm enough that three rows share. */
const MASKED = 0.1;

/**
 * @typedef {object} State `level` below −1: as the service has it
 * @property {number} t
 * @property {string} q
 * @property {number} level
 * @property {string[][]} masked
 * @property {number} mt
 * @property {string} g
 */

/** @type {import("../story.js").Chapter} */
export const none = {
  id: "nothing-fits",
  words,
  defaults: { t: BEGINNING, q: NOTHING, level: -2, masked: [], mt: MASKED, g: "" },
  screens: { masked: 2, mt: 2 },

  mount(host, context) {
    const parts = [withNone(context), withMask(context)];
    host.append(...parts.map(({ element }) => element));
    return {
      picture: parts[0].picture,
      update(state, changed) {
        for (const part of parts) part.update(state, changed);
      },
    };
  },
};

/** The first screen: "none of these" among the keys. @param {import("../story.js").Context} context */
function withNone(context) {
  const { say, answers } = context;
  /** @type {State} */
  let state = context.state;
  let found = /** @type {import("../answers.js").Answer} */ (answers.recorded(NOTHING, KEYS));
  let asked = NOTHING;
  /** The reason for "none of these"; "" if it does not win. */
  let reason = "";
  const threads = new Threads(
    say,
    (t) => context.set({ t }),
    (level) => context.set({ level }),
  );
  /** Another question, with the line where the service has it; at T = ∞ each question would be answered alike. @param {string} q */
  const pose = (q) => context.set({ q, level: -2, t: state.t === Infinity ? BEGINNING : state.t });
  const ask = asking(say, pose);
  const status = statusLine();
  const table = numbers(say, threads, true);
  const law = h("p");
  const questions = h("div.choices", {}, ...[NOTHING, SOMETHING].map((q) => h("button", { type: "button", onclick: () => pose(q) }, q)));
  const guess = prediction(context, {
    question: say("predict"),
    choices: [
      { label: say("predict.nearest"), isRight: false },
      { label: say("predict.none"), isRight: true },
      { label: say("predict.alike"), isRight: false },
    ],
    why: () => reason,
    reveal: () => uncover(),
  });
  const picture = h("div.asked-picture", {}, threads.element, ask.element, table.card);
  const element = screen({
    title: say("title"),
    sentence: say("sentence"),
    picture,
    below: [guess.element, status.element],
    hood: hood(
      say,
      law,
      h("p.formula", {}, say("hood.formula")),
      table.element,
      h("p", {}, say("hood.choice"), context.isExported ? null : [" ", h("a", { href: EXPLORE }, say("hood.calibrate"))]),
    ),
  });
  const isAtBeginning = () => state.q === NOTHING && state.level <= -1 && state.t === BEGINNING;
  element.classList.add("covered");
  if (guess.isTold() || !isAtBeginning()) uncover();

  /** The reader has guessed, or has moved something: show the threads, and two questions to compare. */
  function uncover() {
    element.classList.remove("covered");
    guess.element.after(questions);
    show();
  }

  /** Nothing is guessed any more. */
  function cover() {
    element.classList.add("covered");
    questions.remove();
  }

  /** The null key: the reader's, else the service's. */
  function nullKeyNow() {
    if (state.level > -1) return new NullKey({ similarity: state.level });
    return new NullKey(found.background ? { background: found.background, keys: KEYS.length } : { similarity: 0 });
  }

  function show() {
    const isCovered = element.classList.contains("covered");
    const { similarities, background } = found;
    const nullKey = nullKeyNow();
    const level = nullKey.level(state.t);
    const answer = weigh(similarities, { temperature: state.t, none: nullKey.at(state.t) });
    const { weights, nullWeight } = answer;
    const factor = isCovered ? null : factorOf(weigh(similarities, { temperature: state.t }).weights, weights);
    const hidden = isCovered ? { grown: 0, poured: 0, glow: 0 } : {};
    threads.draw({ temperature: state.t, weights, similarities, noneWeight: nullWeight, level, factor, ...hidden });
    const isBlurred = new NullKey({ background }).isBlurred(state.t);
    reason = whyNone(say, { similarities, level, temperature: state.t, answer });
    guess.show();
    status.show(isCovered ? "" : nothingFits(say, { keys: KEYS, answer, isBlurred }));
    table.show([...ROWS, { key: say("none"), value: "" }], [...similarities, level], [...weights, nullWeight], state.t);
    put(law, found.background ? say("hood.law", { mean: fixed(found.background.mean), deviation: fixed(found.background.deviation) }) : "");
  }

  async function answer() {
    const query = state.q;
    const answered = await context.patiently(answers.ask(query, KEYS));
    if (!answered || query !== state.q) return;
    found = answered;
    asked = query;
    guess.element.hidden = query !== NOTHING; // it is about that question
    threads.take({ query, rows: ROWS, none: true, bars: true, named: true });
    ask.place(threads.queryBox, query);
    show();
  }

  threads.take({ query: asked, rows: ROWS, none: true, bars: true, named: true });
  context.sized(picture, (width, height) => {
    threads.layout(width, height);
    ask.place(threads.queryBox, asked);
    show();
  });
  if (state.q !== asked) answer();
  return {
    element,
    picture: threads.element,
    update(/** @type {State} */ now, /** @type {Set<string>} */ changed) {
      state = now;
      if (changed.has("g") && !guess.isTold() && isAtBeginning()) cover();
      else if (["t", "q", "level"].some((name) => changed.has(name))) uncover();
      if (changed.has("q")) answer();
      else show();
    },
  };
}

/** The second screen: rows that the reader masks. @param {import("../story.js").Context} context */
function withMask(context) {
  const { say, answers } = context;
  /** @type {State} */
  let state = context.state;
  const { similarities } = /** @type {import("../answers.js").Answer} */ (answers.recorded(ANIMALS, KEYS));
  const threads = new Threads(say, (mt) => context.set({ mt }));
  const status = statusLine();
  const heaviest = KEYS[similarities.indexOf(Math.max(...similarities))];
  const guess = prediction(context, {
    question: say("mask.predict"),
    choices: [
      { label: say("mask.nowhere"), isRight: false },
      { label: say("mask.next"), isRight: false },
      { label: say("mask.share"), isRight: true },
    ],
    why: () => (state.mt > 0 ? say("mask.why") : ""), // at T = 0 the next row has it all
    reveal: () => context.set({ masked: [[heaviest]], mt: state.mt || MASKED }),
    place: 1,
  });
  const table = numbers(say, threads);
  const picture = h("div.asked-picture", {}, threads.element, table.card);
  const element = screen({
    title: say("mask.title"),
    sentence: say("mask.sentence"),
    picture,
    below: [guess.element, status.element],
    hood: hood(say, h("p", {}, say("hood.mask")), table.element),
  });
  const maskedKeys = () => new Set(state.masked.flat());
  const turn = (/** @type {string} */ key) => {
    const masked = maskedKeys();
    if (!masked.delete(key)) masked.add(key);
    context.set({ masked: masked.size ? [[...masked]] : [] });
  };
  threads.onRow((i) => turn(KEYS[i]));

  function show() {
    const masked = maskedKeys();
    const { weights } = weigh(similarities, { temperature: state.mt, mask: KEYS.map((key) => !masked.has(key)) });
    threads.mask(KEYS.map((key) => masked.has(key)));
    const factor = masked.size ? factorOf(weigh(similarities, { temperature: state.mt }).weights, weights) : null;
    threads.draw({ temperature: state.mt, weights, similarities, factor });
    const rows = KEYS.map((key) => ({ key, isMasked: masked.has(key) }));
    table.show(rows, similarities, weights, state.mt);
    status.show(withFactor(say, maskedRows(say, { masked: masked.size, keys: KEYS.length }), factor, "mask.factor"));
  }

  threads.take({ query: ANIMALS, rows: ROWS, named: true });
  context.sized(picture, (width, height) => {
    threads.layout(width, height);
    show();
  });
  return {
    element,
    picture: threads.element,
    update(/** @type {State} */ now) {
      state = now;
      guess.show();
      show();
    },
  };
}
