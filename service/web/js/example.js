/** The small example of the step-by-step view: three words, four numbers each, three 4 × 4 maps. */

export const WORDS = ["cat", "chases", "mouse"];

/** Embeddings, chosen by hand: animal, hunts, is hunted, moves. */
export const EMBEDDINGS = [
  [1.0, 0.8, 0.1, 0.4],
  [0.1, 0.6, 0.6, 1.0],
  [0.9, 0.1, 0.9, 0.5],
];

/** What a word looks for: a hunter (first two numbers) looks for the hunted, a movement for who moves. */
export const W_Q = [
  [0.5, 0.0, 0.5, 0.0],
  [0.0, 0.5, 2.0, 0.0],
  [0.0, 1.5, 0.0, 0.5],
  [1.0, 0.0, 0.0, 0.5],
];

/** What a word offers to be found by. */
export const W_K = [
  [1.5, 0.0, 0.0, 0.0],
  [0.0, 1.5, -0.5, 0.0],
  [0.0, -0.5, 1.5, 0.0],
  [0.0, 0.0, 0.0, 1.0],
];

/** What a word hands over when it is found. */
export const W_V = [
  [1.0, 0.0, 0.0, 0.5],
  [0.0, 1.0, 0.0, 0.0],
  [0.0, 0.0, 1.0, 0.0],
  [0.5, 0.0, 0.0, 1.0],
];

/** One head: its output is handed on as it is. */
export const W_O = [
  [1, 0, 0, 0],
  [0, 1, 0, 0],
  [0, 0, 1, 0],
  [0, 0, 0, 1],
];

/** A @ B, for the arithmetic that is written out beside the service's own numbers. @param {number[][]} a @param {number[][]} b */
export function product(a, b) {
  return a.map((row) => b[0].map((_, j) => row.reduce((sum, value, k) => sum + value * b[k][j], 0)));
}

/** The mean of a row and its deviation. @param {number[]} row */
export function spread(row) {
  const mean = row.reduce((sum, number) => sum + number, 0) / row.length;
  return { mean, deviation: Math.sqrt(row.reduce((sum, number) => sum + (number - mean) ** 2, 0) / row.length) };
}

/** Rows become columns. @param {number[][]} a */
export function transposed(a) {
  return a[0].map((_, j) => a.map((row) => row[j]));
}

/** True where row i may attend to column j: itself and what came before. @param {number} n */
export function causalMask(n) {
  return Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => j <= i));
}
