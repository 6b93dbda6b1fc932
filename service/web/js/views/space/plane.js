/** The plane in which vectors are spread most: their first two principal components (Pearson, 1901). */

const ROUNDS = 300;
const STILL = 1e-12;

/** The plane through the mean of vectors, along the two directions in which they differ most. */
export class Plane {
  /** @param {Float64Array[]} vectors of one width */
  constructor(vectors) {
    this.width = vectors[0].length;
    this.mean = Float64Array.from({ length: this.width }, (_, j) => vectors.reduce((sum, vector) => sum + vector[j], 0) / vectors.length);
    let left = vectors.map((vector) => vector.map((component, j) => component - this.mean[j]));
    const whole = spread(left);
    this.axes = [0, 1].map(() => {
      const axis = principal(left);
      left = left.map((vector) => added(vector, axis, -dot(vector, axis)));
      return axis;
    });
    /** The share of the variance that the plane keeps. */
    this.share = 1 - spread(left) / whole;
  }

  /** Where a vector falls on the plane. @param {Float64Array} vector @returns {number[]} two coordinates */
  place(vector) {
    const centred = vector.map((component, j) => component - this.mean[j]);
    return this.axes.map((axis) => dot(centred, axis));
  }
}

/**
 * The direction in which centred vectors differ most, by power iteration; its largest component is positive.
 *
 * @param {Float64Array[]} vectors
 */
function principal(vectors) {
  let axis = unit(vectors.reduce((longest, vector) => (dot(vector, vector) > dot(longest, longest) ? vector : longest)));
  for (let round = 0; round < ROUNDS; round++) {
    const next = unit(vectors.reduce((sum, vector) => added(sum, vector, dot(vector, axis)), new Float64Array(axis.length)));
    const moved = 1 - Math.abs(dot(next, axis));
    axis = next;
    if (moved < STILL) break;
  }
  const largest = axis.reduce((best, component) => (Math.abs(component) > Math.abs(best) ? component : best), 0);
  return largest < 0 ? axis.map((component) => -component) : axis;
}

/** @param {Float64Array[]} vectors */
function spread(vectors) {
  return vectors.reduce((sum, vector) => sum + dot(vector, vector), 0);
}

/** @param {Float64Array} vector @param {Float64Array} axis @param {number} times */
function added(vector, axis, times) {
  return vector.map((component, j) => component + times * axis[j]);
}

/** @param {Float64Array} vector */
export function unit(vector) {
  const length = Math.sqrt(dot(vector, vector)) || 1;
  return vector.map((component) => component / length);
}

/** @param {ArrayLike<number>} a @param {ArrayLike<number>} b */
export function dot(a, b) {
  let sum = 0;
  for (let j = 0; j < a.length; j++) sum += a[j] * b[j];
  return sum;
}
