/** Whether the collection knew, in words, and what level "none of these" has: the same wherever weights are shown. */

import { veiled } from "../asking.js";
import { count, fixed, similarityText } from "../numbers.js";
import { say } from "../words.js";

/** A sentence; empty where nothing was asked, or before a guess. @param {object} model */
export function answeredWords({ state, result, answer }) {
  if (!result.asked || veiled({ state, result })) return "";
  if (!result.documents) return say("answered.empty");
  if (!result.nullKey) return say("answered.always");
  const name = answer.answered ? "answered.yes" : "answered.no";
  if (state.t === 0) return say(`${name}.cold`);
  return say(result.nullKey.isBlurred(state.t) ? `${name}.hot` : name);
}

/** The same in two words. */
export function answeredMark(model) {
  return answeredWords(model) && say(model.answer.answered ? "answered.yes.mark" : "answered.no.mark");
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
