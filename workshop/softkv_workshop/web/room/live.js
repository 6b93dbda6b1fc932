/** An answer at any temperature: the service's own where the service has answered, else from its similarities. */

import { HALF, weigh } from "../../../../service/softkv_service/web/shared/formula.js";
import { NullKey } from "../shared/nullkey.js";

/** @typedef {{id: string, weight: number, similarity: number, guesses: number}} Match */
/**
 * @typedef {object} Answer
 * @property {Match[]} matches the heaviest first, at every temperature
 * @property {number} null_weight
 * @property {?number} null_similarity
 * @property {number} null_guesses
 * @property {?{mean: number, deviation: number, of: string}} background
 * @property {string} verdict
 * @property {boolean} verdict_certain
 */
/**
 * @typedef {object} Answered a question with its answer
 * @property {number} number
 * @property {string} query
 * @property {number} guesses
 * @property {number} temperature
 * @property {number} [shown_temperature]
 * @property {Answer} answer
 */

/** The number in JSON in place of ∞. */
const HOTTEST = 1e300;
/** The browser's weights and the service's are equal if they differ by less. */
const AGREED = 1e-6;

/** The temperature at which a question's answer is shown. @param {Answered} question */
export function temperatureOf({ temperature, shown_temperature: shown = temperature }) {
  return shown >= HOTTEST ? Infinity : shown;
}

/**
 * The answer at a temperature. The order of the rows is the same at each. "None of these" is one key, as similar as it
 * was in the service's answer: so at T = ∞ it weighs as much as each row, and no more.
 *
 * @param {Answered} question
 * @param {number} [temperature]
 * @returns {Answer}
 */
export function answerAt(question, temperature = temperatureOf(question)) {
  const { answer } = question;
  if (temperature === question.temperature) return answer;
  const { null_similarity: similarity } = answer;
  const none = similarity === null ? null : { similarity, count: 1 };
  const { weights, nullWeight, verdict } = weigh(
    answer.matches.map((match) => match.similarity),
    { temperature, none },
  );
  return {
    ...answer,
    matches: answer.matches.map((match, i) => ({ ...match, weight: weights[i] })),
    null_weight: nullWeight,
    verdict,
    verdict_certain: true,
  };
}

/**
 * Whether so hot that unrelated rows hardly differ.
 * @param {Answered} question
 * @param {number} temperature
 */
export function isBlurred({ answer: { background } }, temperature) {
  return background !== null && new NullKey({ background }).isBlurred(temperature);
}

/**
 * The difference of the browser's weights from the service's; 1 if the verdicts differ and no rounding explains it.
 *
 * @param {Answer} answer
 * @param {{matches: {id: string, weight: number}[], evidence: {null_weight: number, verdict: string}}} attention of the service's own answer
 */
export function difference({ matches, null_weight: nullWeight, verdict }, { matches: own, evidence }) {
  const weights = new Map(own.map(({ id, weight }) => [id, weight]));
  const worst = Math.max(Math.abs(nullWeight - evidence.null_weight), ...matches.map(({ id, weight }) => Math.abs(weight - (weights.get(id) ?? 0))));
  const isUndecided = [nullWeight, matches[0]?.weight ?? 0].some((weight) => Math.abs(weight - HALF) <= worst);
  return verdict === evidence.verdict || isUndecided ? worst : 1;
}

/** Whether a difference is one of rounding. @param {number} worst */
export function agrees(worst) {
  return worst < AGREED;
}
