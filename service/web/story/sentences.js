/**
 * The sentences under the pictures. Each is computed from the numbers in its picture, or is empty: none outlives its picture.
 */

import { count as grouped, fixed, percent } from "../shared/numbers.js";
import { HALF } from "../shared/formula.js";
import { patternOf } from "./headmap.js";

/** @typedef {import("../shared/words.js").Text} Say */
/** @typedef {import("../shared/formula.js").Answer} Answer */

/** Below this weight, the second row is not named beside the first. */
const NAMED = 0.005;
/** Weights that differ by less are the same. */
const SAME = 1e-9;
/** The largest share that is not all. */
const ALMOST = 1 - Number.EPSILON;

/** The number of keys that are equal to a question, as `=` compares them. @param {string} query @param {string[]} keys */
export function equalKeys(query, keys) {
  return keys.filter((key) => key === query).length;
}

/**
 * Chapter 1: how many rows answer.
 *
 * @param {Say} say
 * @param {{query: string, keys: string[], temperature: number, answer: Answer, misread?: {query: string, key: string}}} shown
 *   `misread`: a question and the key that the encoder wrongly holds for the nearest
 */
export function hardAndSoft(say, { query, keys, temperature, answer: { weights, effective, heaviest }, misread }) {
  if (temperature === Infinity) return say("told.infinity", { count: keys.length });
  const wrong = query === misread?.query ? weights[keys.indexOf(misread.key)] : 0;
  if (wrong === heaviest && wrong > HALF) return say("told.misread", { share: percent(wrong) });
  const key = keys[weights.indexOf(1)];
  if (temperature > 0 || key === undefined) return say("told", { count: effective.toFixed(1) });
  return say(key === query ? "told.equal" : "told.zero", { key, hot: weights.join(" ") });
}

/**
 * Chapter 2: what a text that was edited has changed, weights or values.
 *
 * @param {Say} say
 * @param {Record<"before" | "after", {weights: ArrayLike<number>, values: string[]}>} shown
 */
export function whatMoved(say, { before, after }) {
  const haveMoved = Array.from(before.weights).some((weight, i) => Math.abs(weight - after.weights[i]) > SAME);
  const isChanged = before.values.some((value, i) => value !== after.values[i]);
  if (haveMoved && isChanged) return "";
  return say(haveMoved ? "told.key" : isChanged ? "told.value" : "told.same");
}

/**
 * Chapter 3: the rows that share the answer.
 *
 * @param {Say} say
 * @param {{keys: string[], temperature: number, weights: ArrayLike<number>}} shown
 */
export function whoShares(say, { keys, temperature, weights }) {
  if (temperature === Infinity) return say("told.alike", { count: keys.length, share: percent(1 / keys.length) });
  const [first, second] = ranked(weights);
  if (weights[second] < NAMED) return say("told.one", { key: keys[first], share: percent(weights[first]) });
  return say("told.two", { first: keys[first], second: keys[second], share: percent(weights[first] + weights[second]) });
}

/**
 * Chapter 3: the nearest of thousands of rows, and all others together.
 *
 * @param {Say} say
 * @param {{keys: string[], documents: number, temperature: number, answer: Answer}} shown of the nearest keys, with the weight of the rest
 */
export function amongThousands(say, { keys, documents, temperature, answer: { weights } }) {
  if (temperature === Infinity) return say("told.alike", { count: grouped(documents), share: `1/${grouped(documents)}` });
  const alone = temperature === 0 ? weights.indexOf(1) : -1;
  if (alone >= 0) return say("most.zero", { key: keys[alone], others: grouped(documents - 1) });
  const nearest = Math.min(
    weights.reduce((sum, weight) => sum + weight, 0),
    ALMOST,
  );
  return say("most.told", { count: keys.length, share: percent(nearest), others: grouped(documents - keys.length) });
}

/**
 * Chapter 4: whether the question is answered.
 *
 * @param {Say} say
 * @param {{keys: string[], answer: Answer, isBlurred: boolean}} shown `isBlurred`: so warm that the order of weights says little
 */
export function nothingFits(say, { keys, answer: { weights, nullWeight, heaviest, verdict }, isBlurred }) {
  const text = say(`told.${verdict}`, { key: keys[weights.indexOf(heaviest)] ?? "", share: percent(verdict === "one" ? heaviest : nullWeight) });
  return isBlurred ? say("told.blurred", { text }) : text;
}

/**
 * Chapter 4: why "none of these" wins, while its line lies right of all bars.
 *
 * @param {Say} say
 * @param {{similarities: ArrayLike<number>, level: number, temperature: number, answer: Answer}} shown
 */
export function whyNone(say, { similarities, level, temperature, answer: { nullWeight } }) {
  const isRight = level > Math.max(...Array.from(similarities));
  return isRight && temperature < Infinity ? say("predict.why", { share: percent(nullWeight) }) : "";
}

/**
 * Chapter 4: what a mask leaves.
 *
 * @param {Say} say
 * @param {{masked: number, keys: number}} shown
 */
export function maskedRows(say, { masked, keys }) {
  if (masked === 0) return "";
  return masked < keys ? say("mask.told", { count: masked }) : say("mask.all");
}

/**
 * Chapter 5: what happens at a step.
 *
 * @param {Say} say
 * @param {{step: string, temperature: number, isMasked: boolean}} shown
 */
export function layerStep(say, { step, temperature, isMasked }) {
  if (step === "temperature" && temperature === 0) return say("step.temperature.zero");
  if (step === "mask" && !isMasked) return say("step.mask.off");
  return say(`step.${step}`);
}

/**
 * Chapter 6: what a head looks at, on average over the words.
 *
 * @param {Say} say
 * @param {{layer: number, head: number, weights: ArrayLike<number>, tokens: number}} shown layer and head from 1; weights [tokens, tokens]
 */
export function headPattern(say, { layer, head, weights, tokens }) {
  const { pattern, share, isMixed } = patternOf(weights, tokens);
  const told = say(`pattern.${pattern}`, { share: percent(share) });
  return `${say("place", { layer, head })} · ${isMixed ? say("pattern.mixed", { pattern: told }) : told}`;
}

/**
 * Chapter 7: where a written word looks.
 *
 * @param {Say} say
 * @param {{word: string, written: string[], read: string[], weights: number[][]}} shown weights [written, read]
 */
export function whereItLooks(say, { word, written, read, weights }) {
  const row = weights[written.indexOf(word)];
  if (!row) return "";
  const most = Math.max(...row);
  return say("told", { word, read: read[row.indexOf(most)], share: percent(most) });
}

/**
 * Chapter 8: what a level of the zoom shows.
 *
 * @param {Say} say
 * @param {import("./word/scene.js").Reading & {level: string, temperature: number, vocabulary: number}} shown
 */
export function rowToWord(say, { level, words, layer, head, attention, added, guesses, candidates, temperature, vocabulary }) {
  const n = words.length;
  const nearest = (/** @type {Float32Array} */ weights) => {
    const row = Array.from(weights).slice((n - 1) * n);
    const [best] = ranked(row);
    return { read: words[best], place: best + 1, share: percent(row[best]) };
  };
  const heads = attention[layer];
  if (level === "row") return say("told.row", { word: words[n - 1], ...nearest(heads[head]), layer: layer + 1, head: head + 1 });
  if (level === "matrix") return say("told.matrix", { count: n });
  if (level === "heads") return say("told.heads", { heads: heads.length, read: heads.map((weights) => nearest(weights).read).join(", ") });
  if (level === "layer") {
    const [attended, fed] = [added[layer].attended, added[layer].fed].map((vector) => fixed(Math.hypot(...vector), 1));
    return say("told.layer", { attended, fed });
  }
  if (level === "layers") return say("told.layers", { first: guesses[0]?.word ?? "", layers: attention.length, last: guesses.at(-1)?.word ?? "" });
  const [{ word, probability }] = candidates;
  if (temperature === Infinity) return say("told.word.infinity", { count: vocabulary });
  if (temperature === 0) return say("told.word.zero", { word, count: vocabulary });
  return say("told.word", { temperature, word, share: percent(probability), count: vocabulary });
}

/** The places of numbers, the largest first. @param {ArrayLike<number>} all */
export function ranked(all) {
  return Array.from(all, (_, i) => i).sort((a, b) => all[b] - all[a]);
}
