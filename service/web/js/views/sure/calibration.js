/** How far weights are from shares: bins, Brier score, expected calibration error (Guo et al. 2017). */

export const BINS = 4;

/** @typedef {{weight: number, right: boolean}} Label what the first match weighs, and whether the learner called it right */
/** @typedef {{labels: Label[], mean: number, right: number}} Bin its mean weight, and the share of it that is right */
/** @typedef {{n: number, mean: number, right: number, brier: number, error: number, bins: Bin[]}} Calibration `error` is the mean gap of a bin, weighed by its labels; a bin without a label has NaN */

/** @param {Label[]} labels at least one @returns {Calibration} */
export function calibration(labels) {
  const bins = Array.from({ length: BINS }, (_, i) => summed(labels.filter(({ weight }) => binOf(weight) === i)));
  const error = bins.reduce((sum, bin) => (bin.labels.length ? sum + bin.labels.length * Math.abs(bin.mean - bin.right) : sum), 0) / labels.length;
  const { mean, right } = summed(labels);
  return { n: labels.length, mean, right, brier: brier(labels), error, bins };
}

/** The mean of (weight − 1 if right, else 0)²: 0 is the best. @param {Label[]} labels */
export function brier(labels) {
  return labels.reduce((sum, { weight, right }) => sum + (weight - Number(right)) ** 2, 0) / labels.length;
}

/** @param {number} weight */
function binOf(weight) {
  return Math.min(BINS - 1, Math.floor(weight * BINS));
}

/** @param {Label[]} labels @returns {Bin} */
function summed(labels) {
  const mean = (/** @type {(label: Label) => number} */ of) => labels.reduce((sum, label) => sum + of(label), 0) / labels.length;
  return { labels, mean: mean(({ weight }) => weight), right: mean(({ right }) => Number(right)) };
}
