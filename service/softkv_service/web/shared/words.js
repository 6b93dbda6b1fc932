/**
 * The words of the page, in English or Chinese. A part of the page has its words in JSON files, by name and language.
 * `reader` makes a function `say` of them: `say(name, places)` returns text, `say.rich(name, places)` nodes with coloured
 * terms. In a text `{name}` is filled in, and `{count|one row|{count} rows}` is chosen by the number `count`.
 */

import { h } from "./element.js";
import { count as grouped } from "./numbers.js";

/** @typedef {"en" | "zh"} Language */
/** @typedef {Record<string, string>} Words */
/** @typedef {Record<string, string | number>} Places what is filled in, by name */
/** @typedef {(name: string, places?: Places) => string} Text */
/** @typedef {Text & {rich: (name: string, places?: Places) => (string | HTMLElement)[]}} Say */

const LANGUAGES = /** @type {const} */ (["en", "zh"]);
const CHOICE = /\{(\w+)\|([^|}]*)\|((?:[^{}]|\{\w+\})*)\}/g;
/** Letters and marks that turn the direction of what follows them. */
const TURNING = /[\u0590-\u08ff\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufefc]/;
const TERM = /\[(query|key|value|weight|code|b)\|([^\]]*)\]/;

/**
 * The first language of a list that the page has; English if it has none of them.
 * @param {readonly string[]} wanted
 * @returns {Language}
 */
export function preferred(wanted) {
  return wanted.map((language) => LANGUAGES.find((one) => one === language.toLowerCase().split("-")[0])).find(Boolean) ?? "en";
}

/**
 * A function that says the texts of one language.
 * @param {Words} texts
 * @param {Language} language
 * @returns {Say}
 */
export function reader(texts, language) {
  const plural = new Intl.PluralRules(language);
  const named = (/** @type {string} */ name) => {
    const text = texts[name];
    if (text === undefined) throw new Error(`no words named ${name}`);
    return text;
  };
  /**
   * @param {string} text
   * @param {Places} places
   */
  const filled = (text, places) =>
    text
      .replace(CHOICE, (_, name, one, other) => (plural.select(Number(String(places[name]).replaceAll(",", ""))) === "one" ? one : other))
      .replace(/\{(\w+)\}/g, (whole, name) => (name in places ? written(places[name]) : whole));
  return Object.assign((/** @type {string} */ name, /** @type {Places} */ places = {}) => filled(named(name), places), {
    rich: (/** @type {string} */ name, /** @type {Places} */ places = {}) => marked(named(name), (text) => filled(text, places)),
  });
}

/**
 * A text with its terms as elements: `[query|the question]` is coloured, `[code|…]` is code, `[b|…]` is bold.
 *
 * @param {string} text
 * @param {(text: string) => string} fill fills in a part; terms are found before, so that no text of a reader makes one
 * @returns {(string | HTMLElement)[]}
 */
function marked(text, fill) {
  const found = TERM.exec(text);
  if (!found) return subscripted(fill(text));
  const [whole, kind, inside] = found;
  const [before, after] = [text.slice(0, found.index), text.slice(found.index + whole.length)];
  return [...subscripted(fill(before)), term(kind, fill(inside)), ...marked(after, fill)];
}

/**
 * @param {string} kind
 * @param {string} text
 */
function term(kind, text) {
  if (kind === "code") return h("code", {}, text);
  return h(kind === "b" ? "strong" : `span.${kind}`, {}, subscripted(text));
}

/**
 * A text with its subscripts: `W_Q` and `d_k` as they are written by hand.
 * @param {string} text
 * @returns {(string | HTMLElement)[]}
 */
export function subscripted(text) {
  return text.split(/(?<=\b[A-Za-z])_([A-Za-z])\b/).map((part, i) => (i % 2 ? h("sub", {}, part) : part));
}

/** A Chinese heading whose terms are not broken over two lines; another text stays as it is. @param {string} text */
export function unbroken(text) {
  return text.replace(/注意力|核回归|存储|查询|数据库|输出|权重|问题|温度/g, (term) => Array.from(term).join("\u2060"));
}

/**
 * The beginning of a text, with an ellipsis if something was left out.
 * @param {string} text
 * @param {number} most
 */
export function clipped(text, most) {
  const letters = Array.from(text);
  if (letters.length <= most) return text;
  const beginning = letters.slice(0, most - 1).join("");
  return `${beginning.trimEnd()}…`;
}

/** A whole number from 1,000 on has its digits in groups. @param {string | number} place */
function written(place) {
  return typeof place === "number" && Number.isInteger(place) && place >= 1000 ? grouped(place) : isolated(String(place));
}

/** A text for a sentence, whose direction it cannot turn. @param {string} text */
export function isolated(text) {
  return TURNING.test(text) ? `\u2068${text}\u2069` : text;
}
