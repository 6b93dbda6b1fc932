/** The verdict in words, and what level "none of these" has: the same wherever weights are shown. */

import { veiled } from "../asking.js";
import { count, fixed, similarityText } from "../numbers.js";
import { beginning } from "../state.js";
import { say } from "../words.js";

/** What the weights say, and why; empty where nothing was asked, or before a guess. @param {Page.Lookup} model */
export function verdictWords(model) {
  const { state, result, answer } = model;
  if (!result.asked || veiled({ state, result })) return "";
  if (isHot(model)) return say(answer.verdict === "none" ? "verdict.hot.none" : "verdict.hot");
  return say("verdict.because", { verdict: say(`verdict.${answer.verdict}`), why: say(`verdict.${why(model)}`) });
}

/** Whether "none of these" takes part, or would if it had not been switched off: before its own scene nothing is said of it. @param {Page.State} state */
export function knowsNull({ scene, none }) {
  return none !== false || beginning(scene).none !== false;
}

/** So hot that the weights say little of the question: unrelated rows hardly differ, or all rows are equal. @param {Page.Lookup} model */
function isHot({ state, result }) {
  if (!result.documents || state.t === 0) return false;
  return result.nullKey ? result.nullKey.isBlurred(state.t) : state.t === Infinity && result.size > 1;
}

/** The same in two or three words, with a sign. @param {Page.Lookup} model */
export function verdictMark(model) {
  return verdictWords(model) && say(`verdict.${model.answer.verdict}.mark`);
}

/** @param {Page.Lookup} model */
function why({ state, result, answer }) {
  if (!result.documents) return "empty";
  if (!answer.certain) return "uncertain";
  if (!result.nullKey && knowsNull(state)) return "always";
  if (state.t > 0) return `${answer.verdict}.why`;
  return result.nullKey ? `${answer.verdict}.cold` : `${answer.verdict}.nearest`;
}

/** What "none of these" weighs at this temperature, and what it takes for unrelated. @param {Page.Lookup} model */
export function levelWords({ state, result: { asked, nullKey }, answer: { level } }) {
  if (!asked || !state.revealed || !knowsNull(state)) return "";
  if (!nullKey || level === null) return say("level.off");
  if (!nullKey.background) return say("level.number", { level: similarityText(level) });
  const { mean, deviation, of } = nullKey.background;
  const shown = { count: count(nullKey.count), level: similarityText(level), mean: fixed(mean) };
  if (of === "labels") return say("level.labels", shown);
  return say("level.background", { ...shown, deviation: fixed(deviation), of: say(`level.of.${of}`) });
}
