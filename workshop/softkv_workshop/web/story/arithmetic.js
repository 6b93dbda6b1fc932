/**
 * One layer of attention, matrix by matrix, by the core's definition: `softkv_attention.heads.Heads` of X with itself, then
 * post-norm as `softkv_attention.transformer.LayerNorm` with scale 1 and shift 0.
 */

/** @typedef {number[][]} Matrix its rows */

/**
 * @typedef {object} Parameters
 * @property {number} heads
 * @property {Matrix} X a row for each of n words, d wide
 * @property {Matrix} W_Q
 * @property {Matrix} W_K
 * @property {Matrix} W_V
 * @property {Matrix} W_O
 */

/**
 * @typedef {object} Layer every matrix on the way; an array has one for each head
 * @property {Matrix} Q
 * @property {Matrix} K
 * @property {Matrix} V
 * @property {Matrix[]} query the columns of Q that belong to a head; so `key`, turned, and `value`
 * @property {Matrix[]} key
 * @property {Matrix[]} value
 * @property {Matrix[]} dot QKᵀ
 * @property {Matrix[]} scaled QKᵀ / √d_k
 * @property {Matrix[]} masked the same, −∞ where a word may not look
 * @property {Matrix[]} weights
 * @property {Matrix[]} blended weights · V
 * @property {Matrix} joined the heads beside each other
 * @property {Matrix} output joined · W_O
 * @property {Matrix} sum X + output
 * @property {Matrix} normed
 */

/** The core's LayerNorm has the same: it keeps a row of equal numbers from a division by zero. */
const EPSILON = 1e-5;

/**
 * @param {Parameters} parameters
 * @param {boolean} isMasked whether a word may look at itself and earlier words only
 * @returns {Layer}
 */
export function layer({ heads, X, W_Q, W_K, W_V, W_O }, isMasked) {
  const [Q, K, V] = [W_Q, W_K, W_V].map((W) => multiply(X, W));
  const query = split(Q, heads);
  const key = split(K, heads).map(transpose);
  const value = split(V, heads);
  const dot = query.map((one, i) => multiply(one, key[i]));
  const scaled = dot.map((one) => map(one, (number) => number / Math.sqrt(key[0].length)));
  const masked = scaled.map((one) => one.map((row, i) => row.map((score, j) => (isMasked && j > i ? -Infinity : score))));
  const weights = masked.map((one) => one.map(softmax));
  const blended = weights.map((one, i) => multiply(one, value[i]));
  const joined = X.map((_, i) => blended.flatMap((one) => one[i]));
  const output = multiply(joined, W_O);
  const sum = X.map((row, i) => row.map((number, j) => number + output[i][j]));
  return { Q, K, V, query, key, value, dot, scaled, masked, weights, blended, joined, output, sum, normed: sum.map(norm) };
}

/**
 * A · B.
 * @param {Matrix} a
 * @param {Matrix} b
 * @returns {Matrix}
 */
export function multiply(a, b) {
  return a.map((row) => b[0].map((_, j) => row.reduce((sum, number, k) => sum + number * b[k][j], 0)));
}

/** exp(x) / Σ exp(x), of a row of logits of which one at least is not −∞. @param {number[]} logits */
export function softmax(logits) {
  const most = Math.max(...logits);
  const terms = logits.map((logit) => Math.exp(logit - most));
  const total = terms.reduce((sum, term) => sum + term, 0);
  return terms.map((term) => term / total);
}

/** A row with mean 0 and variance 1. @param {number[]} row */
export function norm(row) {
  const mean = row.reduce((sum, number) => sum + number, 0) / row.length;
  const variance = row.reduce((sum, number) => sum + (number - mean) ** 2, 0) / row.length;
  return row.map((number) => (number - mean) / Math.sqrt(variance + EPSILON));
}

/**
 * The columns of a matrix, an equal part for each head.
 * @param {Matrix} a
 * @param {number} heads
 * @returns {Matrix[]}
 */
function split(a, heads) {
  const width = a[0].length / heads;
  return Array.from({ length: heads }, (_, h) => a.map((row) => row.slice(h * width, (h + 1) * width)));
}

/**
 * @param {Matrix} a
 * @returns {Matrix}
 */
function transpose(a) {
  return a[0].map((_, j) => a.map((row) => row[j]));
}

/**
 * @param {Matrix} a
 * @param {(number: number) => number} to
 * @returns {Matrix}
 */
function map(a, to) {
  return a.map((row) => row.map(to));
}
