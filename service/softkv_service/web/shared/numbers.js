/** Numbers as text: the same in both languages, with real minus signs. */

/** A share of one as a percentage that says 0 % or 100 % only if it is exact. @param {number} share */
export function percent(share) {
  if (share === 0) return "0%";
  if (share === 1) return "100%";
  const hundredths = share * 100;
  if (hundredths < 0.1) return "<0.1%";
  if (hundredths > 99.9) return ">99.9%";
  return `${hundredths < 10 ? hundredths.toFixed(1) : hundredths.toFixed(hundredths > 99 ? 1 : 0)}%`;
}

/** The number of documents that an answer rests on: with a decimal only below ten. @param {number} documents */
export function effective(documents) {
  return fixed(documents, documents < 10 ? 1 : 0);
}

/**
 * A number with a fixed count of decimals.
 * @param {?number} number null is unknown
 * @param {number} [decimals]
 */
export function fixed(number, decimals = 2) {
  if (number === null || Number.isNaN(number)) return "–";
  if (number === Infinity) return "∞";
  if (number === -Infinity) return "−∞";
  const text = Math.abs(number).toFixed(decimals);
  return number < 0 && Number(text) !== 0 ? `−${text}` : text;
}

/** A similarity in two decimals, in four where two would say it is 1. @param {number} similarity */
export function similarityText(similarity) {
  return fixed(similarity, similarity >= 0.995 && similarity < 1 ? 4 : 2);
}

/** The similarity of "none of these" stands as a number up to here. */
const HIGHEST_LEVEL = 1e4;

/**
 * The similarity of "none of these"; a dash for one that no key can come near.
 * @param {number} level
 * @param {string} measure the similarity of the keys
 * @param {number} [decimals]
 */
export function levelText(level, measure, decimals = 3) {
  return Math.abs(level) > (measure === "cosine" ? 1 : HIGHEST_LEVEL) ? "–" : fixed(level, decimals);
}

/** A temperature as short as it is exact. @param {number} temperature */
export function temperatureText(temperature) {
  return temperature === Infinity ? "∞" : String(temperature);
}

/** A whole number with thin groups. @param {number} number */
export function count(number) {
  return String(Math.round(number)).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

/**
 * A tiny number in words of ten: 3·10⁻¹⁶.
 * @param {number} number
 * @param {number} [decimals]
 * @param {number} [logarithm] to 10, of a number beyond float64
 */
export function power(number, decimals = 0, logarithm = Math.log10(Math.abs(number))) {
  if (number === 0) return "0";
  const exponent = Math.floor(logarithm);
  const superscript = String(exponent)
    .replace("-", "⁻")
    .replace(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)]);
  return `${(Math.sign(number) * 10 ** (logarithm - exponent)).toFixed(decimals)}·10${superscript}`;
}

/**
 * A positive number in three digits, or in two and a power of ten.
 * @param {number} number
 * @param {number} [logarithm] as in `power`
 */
export function threeDigits(number, logarithm = Math.log10(number)) {
  if (logarithm >= 5 || logarithm < -3) return power(number, 1, logarithm);
  const rounded = Number(number.toPrecision(3));
  return rounded < 1000 ? String(rounded) : count(rounded);
}
