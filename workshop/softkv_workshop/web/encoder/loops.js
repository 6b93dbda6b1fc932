/**
 * The loops of a Transformer in plain JavaScript, of the encoder and of the language model. Weights are int8 with one scale
 * a row; sums are float64, since V8 converts every float32 that it reads.
 */

/** So many tokens share a pass over the weights: the unit of the inner loop. */
export const TOKENS = 4;

/**
 * Bring each of n rows to mean 0 and variance 1, then scale and shift it.
 *
 * @param {Float64Array} x [n, width], which is written
 * @param {number} n
 * @param {{scale: Float32Array, shift: Float32Array, epsilon: number}} norm the scale and the shift have the width
 */
export function normalise(x, n, { scale, shift, epsilon }) {
  const width = scale.length;
  for (let start = 0; start < n * width; start += width) {
    let sum = 0;
    for (let i = start; i < start + width; i++) sum += x[i];
    const centre = sum / width;
    let squares = 0;
    for (let i = start; i < start + width; i++) squares += (x[i] - centre) ** 2;
    const factor = 1 / Math.sqrt(squares / width + epsilon);
    for (let i = 0; i < width; i++) x[start + i] = (x[start + i] - centre) * factor * scale[i] + shift[i];
  }
}

/** @typedef {{weight: Int8Array, scale: Float32Array, bias: Float32Array, columns: number, rows: number}} Matrix */

/**
 * Write rows `from` to `to` of y. Two rows meet four tokens in the inner loop: eight sums and six numbers fit into the
 * registers of a processor, and a weight is converted from int8 once for all tokens.
 *
 * @param {Matrix} matrix
 * @param {number} from
 * @param {number} to from + an even number
 * @param {Float64Array} x
 * @param {Float64Array} y
 * @param {Float64Array} pair scratch for two rows
 */
export function multiply({ weight, scale, bias, columns, rows }, from, to, x, y, pair) {
  const n = x.length / columns;
  for (let row = from; row < to; row += 2) {
    const [first, second] = [row * columns, (row + 1) * columns];
    for (let i = 0; i < columns; i++) {
      pair[2 * i] = weight[first + i];
      pair[2 * i + 1] = weight[second + i];
    }
    const [s0, s1, c0, c1] = [scale[row], scale[row + 1], bias[row], bias[row + 1]];
    for (let token = 0; token < n; token += TOKENS) {
      const p0 = token * columns;
      const p1 = p0 + columns;
      const p2 = p1 + columns;
      const p3 = p2 + columns;
      let a0 = 0,
        a1 = 0,
        a2 = 0,
        a3 = 0,
        b0 = 0,
        b1 = 0,
        b2 = 0,
        b3 = 0;
      for (let i = 0; i < columns; i++) {
        const w0 = pair[2 * i];
        const w1 = pair[2 * i + 1];
        const x0 = x[p0 + i];
        const x1 = x[p1 + i];
        const x2 = x[p2 + i];
        const x3 = x[p3 + i];
        a0 += w0 * x0;
        a1 += w0 * x1;
        a2 += w0 * x2;
        a3 += w0 * x3;
        b0 += w1 * x0;
        b1 += w1 * x1;
        b2 += w1 * x2;
        b3 += w1 * x3;
      }
      let at = token * rows + row;
      y[at] = a0 * s0 + c0;
      y[at + 1] = b0 * s1 + c1;
      at += rows;
      y[at] = a1 * s0 + c0;
      y[at + 1] = b1 * s1 + c1;
      at += rows;
      y[at] = a2 * s0 + c0;
      y[at + 1] = b2 * s1 + c1;
      at += rows;
      y[at] = a3 * s0 + c0;
      y[at + 1] = b3 * s1 + c1;
    }
  }
}

/**
 * @typedef {object} Head one head, at m tokens that attend to n
 * @property {number} head its number
 * @property {number} width of all heads together
 * @property {number} size of this one
 * @property {number} m how many tokens attend, the last of the n
 * @property {number} n
 * @property {boolean} isCausal whether each attends only to itself and the tokens before it
 */

/**
 * Write q·k/√d of one head, which softmax turns into its weights.
 *
 * @param {Float64Array} queries [m, 3·width]: the queries, keys and values of the tokens that attend
 * @param {Float64Array} keys [n, 3·width]: those of all tokens
 * @param {Head} of
 * @param {Float64Array} logits [m, n], which is written
 */
export function compare(queries, keys, { head, width, size, m, n, isCausal }, logits) {
  for (let i = 0; i < m; i++) {
    const query = 3 * i * width + head * size;
    for (let j = 0; j < n; j++) {
      const key = (3 * j + 1) * width + head * size;
      let dot = 0;
      for (let k = 0; k < size; k++) dot += queries[query + k] * keys[key + k];
      logits[i * n + j] = isCausal && j > i + n - m ? -Infinity : dot / Math.sqrt(size);
    }
  }
}

/**
 * Write the sums of values, each times its weight, of one head.
 *
 * @param {Float64Array} weights [m, n]
 * @param {Float64Array} values [n, 3·width]: the queries, keys and values of all tokens
 * @param {Head} of
 * @param {Float64Array} attended [m, width], of which the columns of the head are written
 */
export function mix(weights, values, { head, width, size, m, n }, attended) {
  for (let i = 0; i < m; i++) {
    const at = i * width + head * size;
    attended.fill(0, at, at + size);
    for (let j = 0; j < n; j++) {
      const value = (3 * j + 2) * width + head * size;
      for (let k = 0; k < size; k++) attended[at + k] += weights[i * n + j] * values[value + k];
    }
  }
}

/**
 * Replace each row of logits by its softmax.
 * @param {Float64Array} weights [rows, n]
 * @param {number} n
 */
export function softmax(weights, n) {
  for (let start = 0; start < weights.length; start += n) {
    let highest = -Infinity;
    for (let j = start; j < start + n; j++) highest = Math.max(highest, weights[j]);
    let sum = 0;
    for (let j = start; j < start + n; j++) {
      weights[j] = Math.exp(weights[j] - highest);
      sum += weights[j];
    }
    for (let j = start; j < start + n; j++) weights[j] /= sum;
  }
}

/**
 * Return the columns of one head of n tokens, [n, size].
 *
 * @param {Float64Array} projected [n, 3·width]: queries, keys, values
 * @param {number} part 0, 1 or 2 of them
 * @param {Head} of
 */
export function partOf(projected, part, { head, width, size, n }) {
  const columns = new Float32Array(n * size);
  for (let i = 0; i < n; i++) {
    const at = (3 * i + part) * width + head * size;
    columns.set(projected.subarray(at, at + size), i * size);
  }
  return columns;
}

/** Nodes of erf between 0 and 4; beyond, it is 1 in float32. */
const STEP = 1 / 128;
const NODES = 4 / STEP;
const ERF = Float64Array.from({ length: NODES + 1 }, (_, i) => erf(i * STEP));

/** Return x·Φ(x), Φ the normal distribution function, from three terms of the Taylor series at the nearest node. @param {number} x */
export function gelu(x) {
  const size = Math.min(Math.abs(x) * Math.SQRT1_2, 4);
  const nearest = Math.round(size / STEP);
  const a = nearest * STEP;
  const d = size - a;
  const y = ERF[nearest] + (2 / Math.sqrt(Math.PI)) * Math.exp(-a * a) * d * (1 - d * (a - (d * (2 * a * a - 1)) / 3));
  return (x * (1 + (x < 0 ? -y : y))) / 2;
}

/** Return erf(x) for x from 0 to 4, from its Maclaurin series (Abramowitz and Stegun 7.1.6), exact to ten digits. @param {number} x */
function erf(x) {
  let term = x;
  let sum = x;
  for (let k = 1; term > 1e-16 * sum; k++) {
    term *= (2 * x * x) / (2 * k + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}
