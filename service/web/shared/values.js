/**
 * What the values of rows are: colours, numbers of one unit, places, or texts. A value that is not a text is a vector
 * that can be read, and so is the blend: the sum of weight × vector, in which "none of these" counts as zero.
 */

import { blend } from "./formula.js";
import { fixed } from "./numbers.js";
import { onTheWire } from "./scale.js";

/** A longer value is a text. */
const LONGEST = 48;
const COLOUR = /^#[0-9a-f]{6}$/i;
/** Digits, in groups of three or not: at most 15, so that what is read is what was written. */
const NUMBER = /^([A-Z]{0,3}\p{Sc}|[A-Z]{3}|)(\s*)([+−-]?(?:\d{1,3}(?:,\d{3}){1,4}|\d{1,15})(?:\.(\d{1,9}))?)(\s*)([\p{L}\p{Sc}°%‰/²³·]{0,12})$/u;
const PLACE = /^([+−-]?\d{1,2}(?:\.\d{1,9})?)\s*[,，]\s*([+−-]?\d{1,3}(?:\.\d{1,9})?)$/;

/** @typedef {{vector: number[], unit?: string, before?: string, after?: string, decimals?: number}} Parsed */
/** @typedef {(vector: number[]) => string} Write */
/**
 * @typedef {object} Kind
 * @property {string[]} components the words under which the numbers of a vector are told
 * @property {(text: string) => ?Parsed} parse null where a text is none
 * @property {(parsed: Parsed[], decimals: number) => Write} write
 * @property {(parsed: Parsed[]) => number} decimals
 */

/** @typedef {{vectors: (number[] | null)[], components: string[], write: Write, decimals: number}} Vectors a vector a row, null for masked ones */
/** @typedef {{kind: "text", stray: ?string} | ({kind: "colour" | "number" | "place"} & Vectors)} Values of texts nothing but a value that does not fit the others, where most are alike */
/** @typedef {{rows: {value: string, masked: boolean}[], tail?: ?object}} Shown rows and their values; with a tail, not all of them */

/** What becomes of each kind. @type {Record<"colour" | "number" | "place", Kind>} */
const KINDS = {
  colour: {
    components: ["r", "g", "b"],
    parse: (text) => (isColour(text) ? { vector: lightOf(text) } : null),
    write: () => colourOf,
    decimals: () => 4,
  },
  number: {
    components: ["number"],
    parse: numberIn,
    write: ([first, ...others], decimals) => {
      const most = Math.max(...[first, ...others].map(({ vector }) => Math.abs(vector[0])));
      const digits = Math.max(decimals, most < 100 ? 1 : 0);
      return ([number]) => `${first.before}${fixed(number, digits)}${first.after}`.replace(/\s/g, "\u00a0");
    },
    decimals: (parsed) => Math.max(...parsed.map(({ decimals = 0 }) => decimals)),
  },
  place: {
    components: ["latitude", "longitude"],
    parse: placeIn,
    write: () => (degrees) => degrees.map((one) => fixed(one, 2)).join(", "),
    decimals: () => 2,
  },
};

/** @type {WeakMap<object, Values>} */
const read = new WeakMap();

/**
 * What the values of a result's rows are. One that does not fit, or is empty, makes texts of all; rows that may not be
 * attended to do not count. Of a collection that the page does not hold as a whole, all are texts.
 *
 * @param {Shown} result
 * @returns {Values}
 */
export function valuesOf(result) {
  const values = read.get(result) ?? readValues(result.tail ? [] : result.rows);
  read.set(result, values);
  return values;
}

/** @param {Shown["rows"]} rows @returns {Values} */
function readValues(rows) {
  const open = rows.filter((row) => !row.masked).length;
  let stray = null;
  for (const kind of /** @type {const} */ (["colour", "number", "place"])) {
    const { parse, write, decimals, components } = KINDS[kind];
    const parsed = rows.map((row) => (row.masked ? null : parse(row.value.trim())));
    const alike = largest(parsed.filter((one) => one !== null));
    if (alike.length && alike.length === open) {
      const digits = decimals(alike);
      return { kind, components, vectors: parsed.map((one) => one?.vector ?? null), decimals: digits, write: write(alike, digits) };
    }
    if (alike.length > open / 2) stray ??= rows.find((row, i) => !row.masked && alike.every((one) => one !== parsed[i]))?.value ?? null;
  }
  return { kind: "text", stray };
}

/** The values of the unit that most have. @param {Parsed[]} parsed */
function largest(parsed) {
  /** @type {Map<string | undefined, Parsed[]>} */
  const units = new Map(parsed.map(({ unit }) => [unit, []]));
  for (const one of parsed) units.get(one.unit)?.push(one);
  return [...units.values()].sort((a, b) => b.length - a.length)[0] ?? [];
}

/**
 * The blend of values that are not texts.
 *
 * @param {{vectors: (number[] | null)[], components: string[]}} values
 * @param {{weights: Float64Array, nullWeight: number}} answer
 * @returns {{output: number[], answered: number, mean: ?number[]}} the sum of weight × vector; the weight of the rows;
 *   and the sum divided by it, null where nothing answered
 */
export function blendOf({ vectors, components }, { weights, nullWeight }) {
  const output = Array.from(blend(weights, vectors, components.length));
  const answered = weights.some((weight) => weight > 0) ? 1 - nullWeight : 0;
  return { output, answered, mean: answered > 0 ? output.map((component) => component / answered) : null };
}

/**
 * The same blend by the service: a softmax of the similarities that it told, and its own sum. How far the two are
 * apart, as a share of the largest number; null for texts.
 *
 * @param {import("./api.js").API} api
 * @param {object} model
 * @param {{t: number}} model.state
 * @param {Shown & {similarities: Float64Array, nullKey: ?import("./nullkey.js").NullKey}} model.result
 * @param {import("./formula.js").Answer} model.answer
 * @param {AbortSignal} signal
 */
export async function blendChecked(api, { state, result, answer }, signal) {
  const values = valuesOf(result);
  if (values.kind === "text") return null;
  const open = result.rows.flatMap((row, i) => {
    const vector = row.masked ? null : values.vectors[i];
    return vector ? [{ similarity: result.similarities[i], vector }] : [];
  });
  const temperature = onTheWire(state.t);
  const { output } = await api.post(
    "/v1/attend",
    {
      query: [[1]],
      key: open.map(({ similarity }) => [similarity]),
      value: open.map(({ vector }) => vector),
      similarity: "dot",
      temperature,
      null: result.nullKey?.level(temperature) ?? null,
    },
    signal,
  );
  const largest = Math.max(1, ...open.flatMap(({ vector }) => vector.map(Math.abs)));
  return Math.max(...blendOf(values, answer).output.map((component, j) => Math.abs(component - output[0][j]) / largest));
}

/** Whether a value is a colour, as a field for colours writes it. @param {string} text */
export function isColour(text) {
  return COLOUR.test(text);
}

/**
 * The colour of a blend, over paper: the share that did not answer is the paper's.
 *
 * @param {{output: number[], answered: number}} blend
 * @param {string} paper #rrggbb
 */
export function painted({ output, answered }, paper) {
  return colourOf(lightOf(paper).map((light, i) => output[i] + (1 - answered) * light));
}

/**
 * #rrggbb → linear light, 0 to 1: light adds up, and the numbers of sRGB do not.
 * IEC 61966-2-1, the transfer function of sRGB; colourOf is its inverse.
 *
 * @param {string} colour
 */
export function lightOf(colour) {
  return [1, 3, 5].map((at) => {
    const share = parseInt(colour.slice(at, at + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
}

/** @param {number[]} light */
export function colourOf(light) {
  const parts = light.map((linear) => {
    const bounded = Math.min(1, Math.max(0, linear));
    const share = bounded <= 0.0031308 ? 12.92 * bounded : 1.055 * bounded ** (1 / 2.4) - 0.055;
    return Math.round(share * 255)
      .toString(16)
      .padStart(2, "0");
  });
  return `#${parts.join("")}`;
}

/** @param {string} text @returns {?Parsed} */
function numberIn(text) {
  const found = text.length <= LONGEST ? NUMBER.exec(text) : null;
  if (!found) return null;
  const [, sign, gap, digits, decimals = "", space, unit] = found;
  return { vector: [numeral(digits)], decimals: decimals.length, before: sign + gap, after: space + unit, unit: `${sign} ${unit}` };
}

/** @param {string} text @returns {?Parsed} */
function placeIn(text) {
  const found = text.length <= LONGEST ? PLACE.exec(text) : null;
  const vector = found?.slice(1).map(numeral);
  return vector && Math.abs(vector[0]) <= 90 && Math.abs(vector[1]) <= 180 ? { vector } : null;
}

/** @param {string} digits */
function numeral(digits) {
  return Number(digits.replaceAll(",", "").replace("−", "-"));
}
