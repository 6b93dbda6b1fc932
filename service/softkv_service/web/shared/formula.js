/**
 * Attention's arithmetic in the browser: the same formula as the service's, so that a slider answers
 * at once. Every result is compared with the service's own as soon as the slider rests.
 */

/** A null key with at least this share of the weight says that there is nothing; a document with more stands out. */
export const HALF = 0.5;

/** @typedef {Page.Verdict} Verdict */
/** @typedef {{similarity: number, count: number}} NullKeys a number of keys of one similarity */
/**
 * @typedef {object} Unseen keys of which only sums are known
 * @property {(temperature: number) => number} logMass
 * @property {(temperature: number) => number} effective
 */
/** @typedef {{heaviest: number, verdict: Verdict}} Standing */
/** @typedef {{weights: Float64Array, nullWeight: number, restWeight: number, logPartition: number, effective: number} & Standing} Answer */

/**
 * Weights of similarities at a temperature: softmax(s / T), with an optional null key and an unseen tail.
 *
 * @param {ArrayLike<number>} similarities one a key, any order
 * @param {object} options
 * @param {number} options.temperature 0 or more; 0 and Infinity are the limits themselves
 * @param {?NullKeys} [options.none] "none of these": a number of keys of one similarity; null without it
 * @param {?ArrayLike<boolean>} [options.mask] true = may attend; null lets every key
 * @param {?{logMass: (temperature: number) => number, effective: (temperature: number) => number}} [options.tail]
 *   keys that exist but are not in `similarities`: ln Σ exp(s/T) over them, and how many they are
 * @param {?ArrayLike<number>} [options.added] what other keys of the same rows add to their logits
 * @returns {Answer}
 *   weights + nullWeight + restWeight sum to one, unless nothing may be attended to: then all are 0; `heaviest` is the
 *   largest of the weights
 */
export function weigh(similarities, { temperature, none = null, mask = null, tail = null, added = null }) {
  const n = similarities.length;
  const weights = new Float64Array(n);
  let best = -Infinity;
  for (let i = 0; i < n; i++) if (may(mask, i) && similarities[i] > best) best = similarities[i];
  /** @type {Answer} */
  const nothing = { weights, nullWeight: 0, restWeight: 0, logPartition: -Infinity, effective: 0, heaviest: 0, verdict: "none" };
  if (best === -Infinity && none === null) return nothing;
  if (temperature === 0) return coldest(similarities, none, mask, best, weights);

  const peak = none === null ? best : Math.max(best, none.similarity);
  let mass = 0;
  for (let i = 0; i < n; i++) {
    if (!may(mask, i)) continue;
    weights[i] = Math.exp((similarities[i] - peak) / temperature + (added?.[i] ?? 0));
    mass += weights[i];
  }
  const unseen = tail ? Math.exp(tail.logMass(temperature) - peak / temperature) : 0;
  const nulls = none === null ? 0 : none.count * Math.exp((none.similarity - peak) / temperature);
  const documents = mass + unseen;
  const total = documents + nulls;
  const effective = effectiveDocuments(weights, documents, tail, temperature);
  for (let i = 0; i < n; i++) weights[i] /= total;
  const nullWeight = nulls / total;
  return {
    weights,
    nullWeight,
    restWeight: unseen / total,
    logPartition: peak / temperature + Math.log(total),
    effective,
    ...standing(weights, nullWeight),
  };
}

/**
 * T → 0: the keys that tie for the best share everything, the null key as one of them if it ties too.
 * The number of documents that the answer rests on is counted without the null, also if the null wins.
 *
 * @param {ArrayLike<number>} similarities
 * @param {?NullKeys} nullKey
 * @param {?ArrayLike<boolean>} mask
 * @param {number} best of the similarities
 * @param {Float64Array} weights all 0, to be filled
 * @returns {Answer}
 */
function coldest(similarities, nullKey, mask, best, weights) {
  const level = nullKey === null ? -Infinity : nullKey.similarity;
  const peak = Math.max(best, level);
  let effective = 0;
  for (let i = 0; i < similarities.length; i++) if (may(mask, i) && similarities[i] === best) effective++;
  const none = level === peak ? 1 : 0;
  const ties = (best === peak ? effective : 0) + none;
  for (let i = 0; i < similarities.length; i++) if (may(mask, i) && similarities[i] === peak) weights[i] = 1 / ties;
  const nullWeight = none / ties;
  return { weights, nullWeight, restWeight: 0, logPartition: Math.log(ties), effective, ...standing(weights, nullWeight) };
}

/**
 * "none" where the null key has half or more, or no document has any weight; else "one" where the heaviest document has
 * more than half; else "several". A heavier document that is not seen is left to the service's own verdict.
 *
 * @param {Float64Array} weights
 * @param {number} nullWeight
 * @returns {Standing}
 */
export function standing(weights, nullWeight) {
  const heaviest = weights.reduce((most, weight) => Math.max(most, weight), 0);
  if (nullWeight >= HALF || heaviest === 0) return { heaviest, verdict: "none" };
  return { heaviest, verdict: heaviest > HALF ? "one" : "several" };
}

/**
 * exp(entropy) of the weights, renormalised without the null key; where not all keys are seen, as the tail has it.
 *
 * @param {Float64Array} masses weights before they are divided by their sum
 * @param {number} documents that sum, without the null key
 * @param {?Unseen} tail
 * @param {number} temperature
 */
function effectiveDocuments(masses, documents, tail, temperature) {
  if (documents === 0) return 0;
  if (tail) return tail.effective(temperature);
  let entropy = 0;
  for (const mass of masses) {
    const p = mass / documents;
    if (p > 0) entropy -= p * Math.log(p);
  }
  return Math.exp(entropy);
}

/**
 * @param {?ArrayLike<boolean>} mask
 * @param {number} i
 */
function may(mask, i) {
  return mask === null || mask[i];
}

/**
 * Σ wᵢ vᵢ over rows of equal width.
 *
 * @param {ArrayLike<number>} weights
 * @param {(ArrayLike<number> | null)[]} values null of a row without weight
 * @param {number} width
 */
export function blend(weights, values, width) {
  const output = new Float64Array(width);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (!weights[i] || !value) continue;
    for (let j = 0; j < width; j++) output[j] += weights[i] * value[j];
  }
  return output;
}

/**
 * −‖a − b‖²/2, the similarity whose softmax is kernel regression with a Gaussian of variance T.
 * @param {number} a
 * @param {number} b
 */
export function gaussian(a, b) {
  return -((a - b) ** 2) / 2;
}
