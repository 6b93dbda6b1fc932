/** The verdict in words, and what level "none of these" has: the same wherever weights are shown. */

import { veiled } from "../asking.js";
import { count, fixed, similarityText } from "../numbers.js";
import { say } from "../words.js";

/** What the weights say, and why; empty where nothing was asked, or before a guess. @param {object} model */
export function verdictWords(model) {
  const { state, result, answer } = model;
  if (!result.asked || veiled({ state, result })) return "";
  return say("verdict.because", { verdict: say(`verdict.${answer.verdict}`), why: say(`verdict.${why(model)}`) });
}

/** The same in two or three words, with a sign. */
export function verdictMark(model) {
  return verdictWords(model) && say(`verdict.${model.answer.verdict}.mark`);
}

function why({ state, result, answer }) {
  if (!result.documents) return "empty";
  if (!answer.certain) return "uncertain";
  if (!result.nullKey) return "always";
  if (state.t === 0) return `${answer.verdict}.cold`;
  return result.nullKey.isBlurred(state.t) ? "hot" : `${answer.verdict}.why`;
}

/** What "none of these" weighs at this temperature, and what it takes for unrelated. */
export function levelWords({ state, result: { asked, nullKey }, answer: { level } }) {
  if (!asked || !state.revealed) return "";
  if (!nullKey) return say("level.off");
  if (!nullKey.background) return say("level.number", { level: similarityText(level) });
  const { mean, deviation, of } = nullKey.background;
  const shown = { count: count(nullKey.count), level: similarityText(level), mean: fixed(mean) };
  if (of === "labels") return say("level.labels", shown);
  return say("level.background", { ...shown, deviation: fixed(deviation), of: say(`level.of.${of}`) });
}
