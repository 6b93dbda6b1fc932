/** The temperature slider: 0 at one end, ∞ at the other, a log scale from 0.001 to 100 between. */

export const STEPS = 400;
const LOWEST = -3;
const DECADES = 5;
const ROUND = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 10];

/** Slider position (0 … STEPS) → temperature, as exact as the label shows it. @param {number} position */
export function temperatureAt(position) {
  if (position <= 0) return 0;
  if (position >= STEPS) return Infinity;
  const exact = 10 ** (LOWEST + ((position - 1) / (STEPS - 2)) * DECADES);
  return Number(rounded(exact).toPrecision(3));
}

/** A round number where one is within half a step of the slider, so that 0.05 can be met by dragging. @param {number} exact */
function rounded(exact) {
  const decade = 10 ** Math.floor(Math.log10(exact));
  const near = ROUND.find((digits) => Math.abs(Math.log10((digits * decade) / exact)) < DECADES / (STEPS - 2) / 2);
  return near ? near * decade : exact;
}

/** Temperature → the nearest slider position. @param {number} temperature */
export function positionOf(temperature) {
  if (temperature === 0) return 0;
  if (temperature === Infinity) return STEPS;
  const share = (Math.log10(temperature) - LOWEST) / DECADES;
  return Math.min(STEPS - 1, Math.max(1, Math.round(1 + share * (STEPS - 2))));
}

/** The temperature in a request: JSON has no ∞, and at 1e300 every weight is equal to the last digit. @param {number} temperature */
export function onTheWire(temperature) {
  return temperature === Infinity ? 1e300 : temperature;
}
