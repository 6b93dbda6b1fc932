/** The sentences under pictures of the story alone. Each is computed from the numbers in its picture, or is empty: none outlives its picture. */

import { fixed, percent, threeDigits } from "../../../../service/softkv_service/web/shared/numbers.js";
import { HALF, weigh } from "../../../../service/softkv_service/web/shared/formula.js";
import { ranked } from "../../../../service/softkv_service/web/shared/sentences.js";

/** @typedef {import("../../../../service/softkv_service/web/shared/words.js").Text} Say */
/** @typedef {import("../../../../service/softkv_service/web/shared/formula.js").Answer} Answer */

/** Weights that differ by less are the same. */
const SAME = 1e-9;

/**
 * The one factor by which the weights of rows have grown; null if none of them has weight in both.
 * @param {ArrayLike<number>} before one a row; NaN for a new row
 * @param {ArrayLike<number>} after
 */
export function factorOf(before, after) {
  const row = ranked(after).find((i) => before[i] > 0);
  return row !== undefined && after[row] > 0 ? after[row] / before[row] : null;
}

/**
 * The factor of the rows that are left of earlier ones.
 * @param {?{keys: string[], similarities: ArrayLike<number>}} earlier null without them
 * @param {{keys: string[], weights: ArrayLike<number>, temperature: number}} now
 */
export function factorSince(earlier, { keys, weights, temperature }) {
  if (!earlier) return null;
  const before = weigh(earlier.similarities, { temperature }).weights;
  return factorOf(
    keys.map((key) => before[earlier.keys.indexOf(key)] ?? NaN),
    weights,
  );
}

/**
 * A sentence, and the factor of other weights if there is one.
 * @param {Say} say
 * @param {string} text
 * @param {?number} factor
 * @param {string} [name] of the words that say of which
 */
export function withFactor(say, text, factor, name = "factor") {
  return factor === null ? text : `${text} ${say(name, { factor: threeDigits(factor) })}`.trim();
}

/**
 * The number of keys that are equal to a question, as `=` compares them.
 * @param {string} query
 * @param {string[]} keys
 */
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
  const count = effective.toFixed(1);
  if (temperature > 0 || key === undefined) return count === "1.0" ? say("told.alone", { share: percent(heaviest) }) : say("told", { count });
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
 * @param {Say} say
 * @param {{masked: number, keys: number}} shown
 */
export function maskedRows(say, { masked, keys }) {
  if (masked === 0) return "";
  return masked < keys ? say("mask.told", { count: masked }) : say("mask.all");
}

/**
 * Chapter 5: what happens at a step.
 * @param {Say} say
 * @param {{step: string, isMasked: boolean}} shown
 */
export function layerStep(say, { step, isMasked }) {
  if (step === "mask" && !isMasked) return say("step.mask.off");
  return say(`step.${step}`);
}

/**
 * Chapter 6: which tokens ask and which are read, and what a mask leaves of a row.
 *
 * @param {Say} say
 * @param {{use: string, word: string, nearest: string, read: number, weight: number, free: number}} shown
 *   `nearest`: the token with the largest weight; `weight` and `free`: of the first token, with the mask and without it
 */
export function whoAsks(say, { use, word, nearest, read, weight, free }) {
  if (use === "cross" && word === "pas" && nearest === "does") return say("told.cross.pas");
  const isCut = Math.abs(weight - free) > SAME;
  return say(use === "masked" && !isCut ? "told.masked.last" : `told.${use}`, { word, read, factor: fixed(weight / free, 2) });
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
export function rowToWord(say, { level, words, layer, head, attention, shares, neurons, inner, guesses, candidates, temperature, vocabulary }) {
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
    const [before, attended, fed] = shares.map(percent);
    return say("told.layer", { layer: layer + 1, before, attended, fed });
  }
  if (level === "neurons") {
    const [first] = neurons;
    if (!first) return say("told.neurons.none", { count: inner });
    return say("told.neurons", { count: inner, key: first.key, word: first.writes[0], share: percent(first.share) });
  }
  if (level === "layers") return say("told.layers", { first: guesses[0]?.word ?? "", layers: attention.length, last: guesses.at(-1)?.word ?? "" });
  const [{ word, probability }] = candidates;
  if (temperature === Infinity) return say("told.word.infinity", { count: vocabulary });
  if (temperature === 0) return say("told.word.zero", { word, count: vocabulary });
  return say("told.word", { temperature, word, share: percent(probability), count: vocabulary });
}
