/**
 * The sentences under pictures of attention, whose words are in `pictures.json`. Each is computed from the numbers in its
 * picture, or is empty: none outlives its picture.
 */

import { patternOf } from "./headmap.js";
import { count as grouped, percent } from "./numbers.js";

/** @typedef {import("./words.js").Text} Say */
/** @typedef {import("./formula.js").Answer} Answer */

/** Below this weight, the second row is not named beside the first. */
const NAMED = 0.005;
/** The largest share that is not all. */
const ALMOST = 1 - Number.EPSILON;

/**
 * The rows that share the answer.
 * @param {Say} say
 * @param {{keys: string[], temperature: number, weights: ArrayLike<number>}} shown
 */
export function whoShares(say, { keys, temperature, weights }) {
  if (temperature === Infinity) return say("shares.alike", { count: keys.length, share: percent(1 / keys.length) });
  const [first, second] = ranked(weights);
  if (weights[second] < NAMED) return say("shares.one", { key: keys[first], share: percent(weights[first]) });
  return say("shares.two", { first: keys[first], second: keys[second], share: percent(weights[first] + weights[second]) });
}

/**
 * The nearest of thousands of rows, and all others together.
 *
 * @param {Say} say
 * @param {{keys: string[], documents: number, temperature: number, answer: Answer}} shown of the nearest keys, with the weight of the rest
 */
export function amongThousands(say, { keys, documents, temperature, answer: { weights } }) {
  if (temperature === Infinity) return say("shares.alike", { count: grouped(documents), share: `1/${grouped(documents)}` });
  const alone = temperature === 0 ? weights.indexOf(1) : -1;
  if (alone >= 0) return say("thousands.zero", { key: keys[alone], others: grouped(documents - 1) });
  const nearest = Math.min(
    weights.reduce((sum, weight) => sum + weight, 0),
    ALMOST,
  );
  return say("thousands.told", { count: keys.length, share: percent(nearest), others: grouped(documents - keys.length) });
}

/**
 * Whether the question is answered.
 *
 * @param {Say} say
 * @param {{keys: string[], answer: Answer, isBlurred: boolean}} shown `isBlurred`: so warm that the order of weights says little
 */
export function nothingFits(say, { keys, answer: { weights, nullWeight, heaviest, verdict }, isBlurred }) {
  const text = say(`fits.${verdict}`, { key: keys[weights.indexOf(heaviest)] ?? "", share: percent(verdict === "one" ? heaviest : nullWeight) });
  return isBlurred ? say("fits.blurred", { text }) : text;
}

/**
 * Describe where a head looks, on average over the words.
 *
 * @param {Say} say
 * @param {{layer: number, head: number, weights: ArrayLike<number>, tokens: string[]}} shown layer and head from 1; weights [tokens, tokens]
 */
export function headPattern(say, { layer, head, weights, tokens }) {
  const { pattern, share, word, isMixed } = patternOf(weights, tokens.length, tokens);
  const told = say(`pattern.${pattern}`, { share: percent(share), word });
  return `${say("place", { layer, head })} · ${isMixed ? say("pattern.mixed", { pattern: told }) : told}`;
}

/** The places of numbers, the largest first. @param {ArrayLike<number>} all */
export function ranked(all) {
  return Array.from(all, (_, i) => i).sort((a, b) => all[b] - all[a]);
}
