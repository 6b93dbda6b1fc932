/**
 * The null key, "none of these", at every temperature: the law of the service's own, so that the level and the
 * order of weights are right while the slider moves. Both are compared with the service's as soon as it rests.
 */

/** Deviations of the background: the temperature below which its few nearest keys count, and no longer their mean. */
const FROZEN = 0.45;
/** Keys: as few as one or none are counted as two, since the logarithm of one says nothing. */
const FEWEST = 2;

/** @typedef {{similarity: number, count: number}} Keys a number of keys of one similarity */

/** A null key of one similarity, or one that weighs as much as all keys would if they meant nothing. */
export class NullKey {
  /**
   * @param {{background?: ?Page.Background, similarity?: number, keys?: number}} what
   *   the background it stands on and how many keys pass; or one similarity if there is no background
   */
  constructor({ background = null, similarity = -Infinity, keys = 0 }) {
    this.background = background;
    this.similarity = similarity;
    this.count = Math.max(keys, FEWEST);
  }

  /**
   * The null key of the service's answer; null if it has none.
   *
   * @param {{background: ?Page.Background, attention: {keys: number, evidence: {null_similarity: ?number}}}} compared answer of …/compare
   */
  static of({ background, attention }) {
    const { null_similarity: similarity } = attention.evidence;
    if (similarity === null) return null;
    return new NullKey(background ? { background, keys: attention.keys } : { similarity });
  }

  /**
   * The keys that weigh as much at a temperature.
   * @param {number} temperature
   * @returns {Keys}
   */
  at(temperature) {
    if (!this.background) return { similarity: this.similarity, count: 1 };
    const { at_least: least, fades_from: fadesFrom } = this.background;
    const keys = this.#capped(this.background, temperature);
    const share = fadesFrom ? Math.min(Math.max(2 - temperature / fadesFrom, 0), 1) : 1;
    if (!least || share === 0) return keys;
    const { similarity, count } = this.#capped(least, temperature);
    const above = levelOf({ similarity, count }, temperature) - levelOf(keys, temperature);
    return above > 0 ? { similarity: similarity - (1 - share) * above, count } : keys;
  }

  /**
   * @param {Page.Capped} spread
   * @param {number} temperature
   * @returns {Keys}
   */
  #capped(spread, temperature) {
    const keys = this.#unrelated(spread, temperature);
    const highest = spread.at_most ? this.#unrelated(spread.at_most, temperature) : keys;
    return levelOf(highest, temperature) < levelOf(keys, temperature) ? highest : keys;
  }

  /**
   * @param {Page.Spread} spread
   * @param {number} temperature
   * @returns {Keys}
   */
  #unrelated({ mean, deviation }, temperature) {
    const coldest = FROZEN * deviation;
    const warmth = Math.max(temperature, coldest);
    const tilted = mean + (warmth > 0 ? deviation ** 2 / (2 * warmth) : 0);
    if (temperature > 0 && temperature >= coldest) return { similarity: tilted, count: this.count };
    return { similarity: tilted + warmth * Math.log(this.count), count: 1 };
  }

  /** s₀: the similarity of a single key that weighs as much; infinite at T = ∞ if there is more than one. @param {number} temperature */
  level(temperature) {
    return levelOf(this.at(temperature), temperature);
  }

  /** Whether it is so warm that unrelated documents hardly differ: the order of weights then says little. Labels have no deviation. @param {number} temperature */
  isBlurred(temperature) {
    const deviation = this.background?.deviation ?? 0;
    return deviation > 0 && temperature > deviation;
  }
}

/**
 * The similarity of a single key that weighs as much as these.
 * @param {Keys} keys
 * @param {number} temperature
 */
function levelOf({ similarity, count }, temperature) {
  return count > 1 ? similarity + temperature * Math.log(count) : similarity;
}
