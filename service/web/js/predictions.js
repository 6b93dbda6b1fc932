/**
 * One question a scene, asked before anything is seen. Its words are in words/: predict.<scene>.ask, one for each choice,
 * and predict.<scene>.because, the sentence that gives the right one its reason, with the numbers of the moment.
 */

import { spoken } from "./asking.js";
import { count, effective, fixed, percent, power } from "./numbers.js";
import { clipped, say } from "./words.js";
import { heaviest } from "./views/answers.js";

const OFFERED = 2;
const NEAREST = 4;
const LONGEST = 90;

/**
 * What can be asked of a scene: its choices, which of them is right (null: none of them), and what the words need.
 *
 * @template {Page.Model} M
 * @typedef {{choices: string[], right(model: M): ?string, facts?(model: M): Facts}} Asked
 */
/** @typedef {Record<string, string | number>} Facts */
/** @typedef {{ask: string, choices: {id: string, text: string, key?: boolean}[], right: ?string, because: string}} Question */

/** The questions of scenes with rows. @type {Record<string, Asked<Page.Lookup>>} */
const OF_ROWS = {
  library: { choices: ["none", "one", "word", "subject"], right: ({ result }) => ["none", "one"][result.sql.rows.length] ?? null },
  python: { choices: ["nearest", "word", "shown", "all"], right: () => "all" },
  unicode: {
    choices: ["one", "few", "many", "all"],
    right: ({ answer: { effective: rows } }) => (rows < 2 ? "one" : rows < 10 ? "few" : rows < 1000 ? "many" : "all"),
  },
  nothing: {
    choices: ["little", "part", "most", "off"],
    right: ({ answer: { nullWeight: none } }) => (none < 0.1 ? "little" : none < 0.5 ? "part" : none < 1 ? "most" : null),
  },
  share: { choices: ["one", "both", "neither", "even"], right: ({ answer }) => shared(answer) },
  filter: { choices: ["zero", "little", "same", "minus"], right: ({ result }) => (result.rows.some((row) => row.masked) ? "zero" : null) },
  values: { choices: ["nearest", "average", "largest", "nothing"], right: () => "average" },
  rows: { choices: ["weights", "output", "both", "nothing"], right: () => "output" },
};

/** The questions of all other scenes, by their views. @type {{[V in Exclude<keyof Page.Models, "lookup">]: Asked<Page.Models[V]>}} */
const OF_VIEWS = {
  sure: { choices: ["yes", "checked", "half", "never"], right: () => "checked", facts: sureFacts },
  steps: { choices: ["dot", "scale", "softmax", "blend"], right: () => "softmax" },
  scores: {
    choices: ["one", "two", "several", "six"],
    right: ({ best }) => ["one", "two", "several", "several", "several", "six"][new Set(Object.values(best)).size - 1],
    facts: ({ best }) => best,
  },
  encoder: { choices: ["dictionary", "next", "sentence", "library"], right: () => "sentence", facts: tokenFacts },
  hopfield: { choices: ["one", "few", "cells", "never"], right: (model) => ["never", "one", "few"][Math.min(2, repaired(model))], facts: memoryFacts },
  regression: { choices: ["through", "slope", "flat", "zero"], right: () => "flat", facts: pointFacts },
  space: { choices: ["same", "half", "quarter", "hardly"], right: (model) => (twiceAsFar(model) < 0.01 ? "hardly" : null), facts: spaceFacts },
  million: {
    choices: ["percent", "thousandth", "less", "rounding"],
    right: ({ most }) => (most < 1e-9 ? "rounding" : most < 1e-4 ? "less" : most < 5e-3 ? "thousandth" : "percent"),
    facts: ({ bound, worst, keys }) => ({ most: bound, worst: power(worst), count: count(keys) }),
  },
  photo: { choices: ["same", "sharp", "grey", "black"], right: () => "same", facts: pictureFacts },
  lowrank: { choices: ["two", "half", "whole", "width"], right: ({ width, rank }) => (2 * rank < width ? "half" : null), facts: doorFacts },
  pairs: {
    choices: ["all", "most", "few", "none"],
    right: ({ begun: { right, n } }) => (right === n ? "all" : 2 * right > n ? "most" : right ? "few" : "none"),
    facts: ({ begun }) => begun,
  },
  learning: { choices: ["transformer", "attention", "plain", "all"], right: () => "plain" },
  vision: { choices: ["pixels", "patches", "words", "pictures"], right: () => "patches" },
};

/**
 * @param {Page.Model} model what the scene shows: always its state
 * @returns {?Question} null while nothing can be asked
 */
export function question(model) {
  const { scene, view } = model.state;
  if (view !== "lookup") {
    /** @type {Record<string, Asked<Page.Model>>} */
    const asked = OF_VIEWS;
    return scene in asked ? worded(model, asked[scene], asked[scene].facts?.(model) ?? {}) : null;
  }
  if (!("result" in model) || !model.result.asked || model.result.unread || !model.result.rows.length) return null;
  return scene in OF_ROWS ? worded(model, OF_ROWS[scene], rowFacts(model)) : whichKey(model);
}

/** @template {Page.Model} M @param {M} model @param {Asked<M>} asked @param {Facts} facts @returns {Question} */
function worded(model, asked, facts) {
  const words = (/** @type {string} */ name) => say(`predict.${model.state.scene}.${name}`, facts);
  return { ask: words("ask"), choices: asked.choices.map((id) => ({ id, text: words(id) })), right: asked.right(model), because: words("because") };
}

/**
 * Which key weighs most: it and one more of the nearest, and two others by chance, always the same ones for the same rows.
 *
 * @param {Page.Lookup} model
 * @returns {?Question}
 */
function whichKey({ state, result, answer }) {
  const open = result.rows.map((row, i) => ({ ...row, weight: answer.weights[i] })).filter((row) => !row.masked && row.key.trim());
  const near = [...open].sort((a, b) => b.similarity - a.similarity).slice(0, NEAREST);
  const best = near[0];
  if (!best) return null;
  const drawn = (/** @type {typeof open} */ rows, /** @type {number} */ most) =>
    [...rows].sort((a, b) => chance(a.id, state.query) - chance(b.id, state.query)).slice(0, most);
  const offered = [
    best,
    ...drawn(near.slice(1), OFFERED - 1),
    ...drawn(
      open.filter((row) => !near.includes(row)),
      OFFERED,
    ),
  ];
  offered.sort((a, b) => a.key.localeCompare(b.key, "en"));
  const yours = open.find((row) => row.id === state.guess);
  const places = { key: short(best), similarity: fixed(best.similarity), weight: percent(best.weight), yours: yours ? percent(yours.weight) : "" };
  return {
    ask: say("predict.heaviest.ask"),
    choices: offered.map((row) => ({ id: row.id, text: short(row), key: true })),
    right: best.id,
    because: say(yours && yours.id !== best.id ? "predict.heaviest.instead" : "predict.heaviest.because", places),
  };
}

/** @param {Page.ShownRow} row */
function short(row) {
  return clipped(spoken(row), LONGEST);
}

/** A number that a row has by its name and the question: as good as drawn, and the same the next time. @param {string} id @param {string} query */
function chance(id, query) {
  let hash = 2166136261;
  for (const letter of `${query}\n${id}`) hash = Math.imul(hash ^ Number(letter.codePointAt(0)), 16777619);
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** Who shares: of the two nearest keys one, both, or neither, where nothing answers; or all alike. @param {Page.Answer} answer */
function shared(answer) {
  if (answer.verdict === "none") return "neither";
  if (answer.effective > 20) return "even";
  const [first, second] = heaviest(answer.weights, 2).map((i) => answer.weights[i]);
  return first > 9 * (second ?? 0) ? "one" : "both";
}

/** @param {Page.Lookup} model */
function rowFacts({ state, result, answer }) {
  const [first, second] = heaviest(answer.weights, 2).map((i) => ({ key: short(result.rows[i]), weight: percent(answer.weights[i]) }));
  return {
    query: state.query,
    size: count(result.documents),
    sql: count(result.sql.rows.length),
    rows: effective(answer.effective),
    none: percent(answer.nullWeight),
    key: first?.key ?? "–",
    weight: first?.weight ?? "0%",
    other: second?.key ?? "–",
    share: second?.weight ?? "0%",
    out: count(result.rows.filter((row) => row.masked).length),
    open: count(result.rows.filter((row) => !row.masked).length),
  };
}

/** What one match weighs, in the cold and in the warm. @param {Page.Models["sure"]} model */
function sureFacts({ example: { query, match, weight } }) {
  return { query, key: match.key, cold: percent(weight(0.02)), now: percent(weight(0.05)), warm: percent(weight(0.2)) };
}

/** @param {Page.Models["encoder"]} model */
function tokenFacts({ tokens, weights, word }) {
  const best = weights.indexOf(Math.max(...weights));
  return { word: tokens[word], best: tokens[best], weight: percent(weights[best]), words: tokens.length };
}

/** @param {Page.Models["hopfield"]} model */
function memoryFacts(model) {
  const { weights, names } = model;
  const steps = repaired(model);
  const final = weights[weights.length - 1];
  const best = final.indexOf(Math.max(...final));
  return { steps: steps || "–", name: names[best], weight: percent(weights[0][best]) };
}

/** After how many steps every cell has the sign of one stored picture; 0: of none. @param {Page.Models["hopfield"]} model */
function repaired({ states, stored }) {
  const found = states.findIndex((cells, step) => step && stored.some((pattern) => pattern.every((cell, i) => cell * cells[i] > 0)));
  return Math.max(0, found);
}

/** @param {Page.Models["regression"]} model */
function pointFacts({ points }) {
  return { mean: fixed(points.reduce((sum, [, y]) => sum + y, 0) / points.length) };
}

/** @param {Page.Models["space"]} model */
function spaceFacts(model) {
  const { near, state } = model;
  return { near: fixed(near), times: fixed(near / state.t, 0), share: percent(twiceAsFar(model)) };
}

/** What a row twice as far as the nearest one has of that one's weight. @param {Page.Models["space"]} model */
function twiceAsFar({ near, state }) {
  return Math.exp(-near / state.t);
}

/** @param {Page.Models["photo"]} model */
function pictureFacts({ patches, own }) {
  return { patches: count(patches), own: percent(own) };
}

/** @param {Page.Models["lowrank"]} model */
function doorFacts({ width, rank }) {
  const times = width / rank;
  return {
    d: count(width),
    r: count(rank),
    half: fixed(times / 2, times < 20 ? 1 : 0),
    whole: fixed(times, times < 10 ? 1 : 0),
    full: count(width * width),
    low: count(2 * width * rank),
  };
}
