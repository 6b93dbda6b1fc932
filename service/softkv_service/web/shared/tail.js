/**
 * The rows of a large collection that the page does not hold, at any temperature: from one sweep.
 *
 * ln Σ exp(s/T) over the unseen rows is smooth and convex in 1/T, and known at each rung of the sweep, of which one is at
 * T = ∞. Between rungs it is a cubic along 1/T. A rung is added wherever the service has answered exactly.
 */

import { onTheWire } from "./scale.js";

/**
 * @typedef {object} SweptAt
 * @property {number} temperature
 * @property {number} rest_weight
 * @property {{log_partition: ?number, effective_documents: number}} evidence
 */
/**
 * @typedef {object} Sweep of the answer of POST …/sweep
 * @property {{similarity: number}[]} matches
 * @property {(SweptAt & {weights: number[]})[]} temperatures
 */
/** @typedef {Record<string, number>} Rung what is known at 1/T, its `inverse` */

/** The known sums over the unseen rows. */
export class Tail {
  /** @type {Rung[]} */
  #rungs;

  /** @param {{documents: number, matches: ArrayLike<unknown>, temperatures: SweptAt[]}} sweep of the answer of POST …/sweep */
  constructor(sweep) {
    this.count = sweep.documents - sweep.matches.length;
    this.#rungs = sweep.temperatures.map(({ temperature, rest_weight: rest, evidence }) => ({
      inverse: inverseOf(temperature),
      logMass: rest > 0 ? Math.log(rest) + (evidence.log_partition ?? -Infinity) : -Infinity,
      logEffective: Math.log(evidence.effective_documents),
    }));
    this.#rungs.sort((a, b) => a.inverse - b.inverse);
  }

  /** ln Σ exp(s/T) over the unseen rows. @param {number} temperature */
  logMass(temperature) {
    return between(this.#rungs, 1 / temperature, "logMass");
  }

  /** Effective documents of the whole collection, each key of one of several counted. @param {number} temperature */
  effective(temperature) {
    return Math.exp(between(this.#rungs, 1 / temperature, "logEffective"));
  }

  /**
   * The service answered at this temperature: from here on it is exact there.
   * @param {number} temperature
   * @param {number} effective
   * @param {number} [logMass]
   */
  learn(temperature, effective, logMass = this.logMass(temperature)) {
    if (temperature === 0 || temperature === Infinity) return;
    const inverse = 1 / temperature;
    this.#rungs = this.#rungs.filter((rung) => Math.abs(rung.inverse - inverse) > 1e-9 * inverse);
    this.#rungs.push({ inverse, logMass, logEffective: Math.log(effective) });
    this.#rungs.sort((a, b) => a.inverse - b.inverse);
  }
}

/** 1/T, of the temperature that stands for ∞ on the wire too. @param {number} temperature */
function inverseOf(temperature) {
  return temperature >= onTheWire(Infinity) ? 0 : 1 / temperature;
}

/**
 * Cubic Hermite between the neighbours, with three-point slopes; a straight line where one further out is infinite. In
 * the cold the rest is 0 at some rungs and a rounding error at others: between two of them it is 0.
 *
 * @param {Rung[]} rungs at least one, in the order of 1/T
 * @param {number} inverse 1/T
 * @param {string} name of what is wanted there
 */
export function between(rungs, inverse, name) {
  const above = rungs.findIndex((rung) => rung.inverse >= inverse);
  if (above < 0) return rungs[rungs.length - 1][name];
  if (rungs[above].inverse === inverse) return rungs[above][name];
  const [a, b] = [rungs[above - 1], rungs[above]];
  if (a[name] === -Infinity || b[name] === -Infinity) return -Infinity;
  const width = b.inverse - a.inverse;
  const share = (inverse - a.inverse) / width;
  const secant = (b[name] - a[name]) / width;
  const left = slope(rungs[above - 2], a, b, name, secant) * width;
  const right = slope(a, b, rungs[above + 1], name, secant) * width;
  const [s2, s3] = [share ** 2, share ** 3];
  return (2 * s3 - 3 * s2 + 1) * a[name] + (s3 - 2 * s2 + share) * left + (3 * s2 - 2 * s3) * b[name] + (s3 - s2) * right;
}

/**
 * @param {Rung | undefined} before
 * @param {Rung} at
 * @param {Rung | undefined} after
 * @param {string} name
 * @param {number} otherwise the slope where a neighbour is missing or infinite
 */
function slope(before, at, after, name, otherwise) {
  if (!before || !after || !Number.isFinite(before[name]) || !Number.isFinite(after[name])) return otherwise;
  const [h1, h2] = [at.inverse - before.inverse, after.inverse - at.inverse];
  return (((at[name] - before[name]) / h1) * h2 + ((after[name] - at[name]) / h2) * h1) / (h1 + h2);
}
