/** The reason of an answer, in the service's two sentences: where the weight lies, and how near the best match is. */

import { HOTTEST } from "./arrays.js";

/** @typedef {{id: string, similarity: number, weight: number}} Match */
/** @typedef {{verdict: Page.Verdict, null_weight: number, null_similarity: ?number}} Evidence */

const MAX_ID_CHARACTERS = 60;
const NULL = "“none of these”";
const LEAST_SHOWN = 0.01;
/** From this temperature on, in units of the best similarity and at least 1, similarities hardly move weights. */
const HOT = 1000;
/** The largest similarity: the keys of an exported page are compared by cosine. */
const LARGEST = 1;
const [FEWEST_DIGITS, MOST_DIGITS] = [3, 17];

/**
 * The reason, as `service/softkv_service/retrieval/queries/reason.py` writes it.
 *
 * @param {Match[]} matches best first
 * @param {Evidence} evidence
 * @param {{documents: number, temperature: number, isAlike: boolean}} of `isAlike`: whether the documents that share the weight say nearly the same
 */
export function explain([first], evidence, { documents, temperature, isAlike }) {
  if (!documents) return "No document can answer: the collection has none with a key.";
  const headline = isAlike ? "Several documents that say nearly the same share the weight" : headlineOf(first, evidence.verdict);
  const shares = `${headline}: ${sharesOf(first, evidence, documents)}.`;
  return first ? `${shares} ${describe(first, evidence, temperature)}` : shares;
}

/**
 * @param {Match | undefined} first
 * @param {Page.Verdict} verdict
 */
function headlineOf(first, verdict) {
  if (verdict === "none") return "Nothing here is about that";
  return `${verdict === "several" ? "No document" : first ? quoted(first.id) : "One document"} stands out`;
}

/**
 * @param {Match | undefined} first
 * @param {Evidence} evidence
 * @param {number} documents
 */
function sharesOf(first, { verdict, null_weight: none, null_similarity: level }, documents) {
  /** @type {[string, number][]} */
  const parts = [];
  if (first) parts.push([verdict === "one" ? "it" : quoted(first.id), first.weight]);
  if (!first || documents > 1) parts.push([first ? "all other documents" : "all documents together", Math.max(0, 1 - none - (first?.weight ?? 0))]);
  if (level !== null) parts.splice(verdict === "none" ? 0 : parts.length, 0, [NULL, none]);
  const verb = parts[0][0].startsWith("all") ? "have" : "has";
  const clauses = parts.map(([name, weight], i) => (i ? `${name} ${share(weight)}` : `${name} ${verb} ${share(weight)} of the weight`));
  return [clauses.slice(0, -1).join(", "), clauses[clauses.length - 1]].filter(Boolean).join(" and ");
}

/**
 * @param {Match} first
 * @param {Evidence} evidence
 * @param {number} temperature
 */
function describe({ similarity }, { verdict, null_similarity: level, null_weight: none }, temperature) {
  const labels = "without labels, its weight does not say whether it answers";
  const best = `The best match has similarity ${digits(similarity, FEWEST_DIGITS)}`;
  if (temperature >= HOT * Math.max(1, Math.abs(similarity))) return `${best}, but at so high a temperature all keys weigh nearly alike; ${labels}.`;
  if (level === null || !Number.isFinite(level)) return `${best}; ${labels}.`;
  if (level > LARGEST) return `${best}, but at this temperature no single key, even of similarity ${LARGEST}, could outweigh ${NULL}; ${labels}.`;
  // A match that stands out weighs more than the null key. Otherwise all documents together compete with it.
  const together = verdict === "one" && similarity > level ? null : jointly(level, none, temperature);
  if (together !== null && together > LARGEST) {
    const above = `more than one of similarity ${LARGEST} would, above ${digits(level, FEWEST_DIGITS)}, where ${NULL} lies`;
    return `${best}, and all documents together weigh ${above}; ${labels}.`;
  }
  const compared = together ?? similarity;
  const relation = compared === level ? "at" : compared > level ? "above" : "below";
  const [near, far] = distinguished(compared, level);
  const joint = together === null ? "" : `${digits(similarity, FEWEST_DIGITS)}, and all documents together weigh as much as one of similarity `;
  return `The best match has similarity ${joint}${near}, ${relation} ${far}, where ${NULL} lies; ${labels}.`;
}

/**
 * The similarity at which a single key weighs as much as all documents together.
 * @param {number} level
 * @param {number} none
 * @param {number} temperature
 */
function jointly(level, none, temperature) {
  if (!(none > 0 && none < 1 && temperature > 0 && temperature < HOTTEST)) return null;
  return level + temperature * Math.log((1 - none) / none);
}

/**
 * Two numbers with as few digits as show that they differ.
 * @param {number} one
 * @param {number} other
 */
function distinguished(one, other) {
  for (let count = FEWEST_DIGITS; count < MOST_DIGITS - 1; count++) {
    const texts = [digits(one, count), digits(other, count)];
    if (texts[0] !== texts[1] || one === other) return texts;
  }
  return [String(one), String(other)];
}

/**
 * @param {number} number
 * @param {number} count
 */
function digits(number, count) {
  return String(Number(number.toPrecision(count)));
}

/** @param {string} id */
function quoted(id) {
  const letters = Array.from(id);
  return `“${letters.length <= MAX_ID_CHARACTERS ? id : `${letters.slice(0, MAX_ID_CHARACTERS - 1).join("")}…`}”`;
}

/** @param {number} weight */
function share(weight) {
  if (weight > 0 && weight < LEAST_SHOWN) return "less than 1 %";
  if (weight > 1 - LEAST_SHOWN && weight < 1) return "more than 99 %";
  return `${Math.round(100 * weight)} %`;
}
