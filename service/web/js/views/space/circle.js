/**
 * An order of vectors around a circle in which neighbours are alike: a short closed tour through them.
 *
 * The tour begins with the angles on the plane of most variance and is shortened by 2-opt (Croes, 1958): as long as
 * reversing a stretch of it makes it shorter, that stretch is reversed.
 */

import { dot, Plane, unit } from "./plane.js";

const ROUNDS = 40;
/** A tour must become shorter by more than what rounding explains. */
const SHORTER = 1e-9;

/**
 * The vectors' numbers in their order around the circle. The tour is cut where its neighbours are least alike.
 *
 * @param {Float64Array[]} vectors of one width
 * @param {Plane} plane of these vectors
 * @returns {number[]}
 */
export function tour(vectors, plane) {
  const n = vectors.length;
  const directions = vectors.map((vector) => unit(vector.map((component, j) => component - plane.mean[j])));
  const distances = new Float64Array(n * n);
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) distances[i * n + j] = distances[j * n + i] = 1 - dot(directions[i], directions[j]);
  const angles = vectors.map((vector) => {
    const [a, b] = plane.place(vector);
    return Math.atan2(b, a);
  });
  const order = shortened(
    vectors.map((_, i) => i).sort((i, j) => angles[i] - angles[j] || i - j),
    distances,
  );
  let cut = 0;
  const step = (/** @type {number} */ at) => distances[order[at] * n + order[(at + 1) % n]];
  for (let at = 1; at < n; at++) if (step(at) > step(cut)) cut = at;
  return order.map((_, i) => order[(cut + 1 + i) % n]);
}

/** @param {number[]} order @param {Float64Array} distances [n, n] */
function shortened(order, distances) {
  const n = order.length;
  const between = (/** @type {number} */ i, /** @type {number} */ j) => distances[order[i % n] * n + order[j % n]];
  for (let round = 0, better = true; better && round < ROUNDS; round++) {
    better = false;
    for (let from = 0; from < n - 2; from++) {
      for (let to = from + 2; to < n; to++) {
        if (between(from, to) + between(from + 1, to + 1) > between(from, from + 1) + between(to, to + 1) - SHORTER) continue;
        order.splice(from + 1, to - from, ...order.slice(from + 1, to + 1).reverse());
        better = true;
      }
    }
  }
  return order;
}
