/** The words of the page, in English or 中文. `say` gives text, `rich` gives nodes with coloured terms. */

import { asset } from "./assets.js";
import { h } from "./element.js";
import { count } from "./numbers.js";

const LANGUAGES = /** @type {const} */ (["en", "zh"]);
/** @type {Record<string, string>} */
let current = {};

/** @typedef {Record<string, string | number>} Places what is filled in, by its names */

/** The first of a browser's languages that the page has; English where it has none. @param {readonly string[]} wanted @returns {Page.Language} */
export function preferred(wanted) {
  return wanted.map((language) => LANGUAGES.find((one) => one === language.toLowerCase().split("-")[0])).find(Boolean) ?? "en";
}

/** Take these words for all that is said: a page of its own has words of its own. @param {Record<string, string>} words @param {Page.Language} language */
export function take(words, language) {
  current = words;
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
}

/**
 * Choose the language of everything said from now on. The document brings the words of one language; those of another
 * are fetched, unless it was exported.
 *
 * @param {Page.Language} language
 * @throws {TypeError} the service is away, or has another version of the page by now
 */
export async function speak(language) {
  const brought = document.querySelector(`script.words[lang="${language}"]`);
  take(brought ? JSON.parse(brought.textContent ?? "") : await fetched(language), language);
}

/** @param {Page.Language} language @returns {Promise<Record<string, string>>} */
async function fetched(language) {
  const { document: name } = /** @type {HTMLElement} */ (document.querySelector("script.words")).dataset;
  const answer = await fetch(asset(`words/${name}.${language}.json`));
  if (!answer.ok) throw new TypeError(`no words in ${language}: ${answer.status}`);
  return answer.json();
}

/**
 * The words under a name, with {places} filled in.
 * @param {string} name
 * @param {Places} [places]
 */
export function say(name, places = {}) {
  const words = current[name];
  if (words === undefined) throw new Error(`no words named ${name}`);
  return place(words, places);
}

/** Like say, as nodes: `[query|the question]` becomes a coloured term, `[code|…]` code, `[b|…]` bold. @param {string} name @param {Places} [places] */
export function rich(name, places = {}) {
  /** @type {(string | HTMLElement)[]} */
  const nodes = [];
  let rest = say(name);
  const pattern = /\[(query|key|value|weight|code|b|number)\|([^\]]*)\]/;
  for (let found = pattern.exec(rest); found; found = pattern.exec(rest)) {
    nodes.push(place(rest.slice(0, found.index), places), term(found[1], place(found[2], places)));
    rest = rest.slice(found.index + found[0].length);
  }
  nodes.push(place(rest, places));
  return nodes.flatMap((node) => (typeof node === "string" ? subscripted(node) : node));
}

/** Text with its subscripts: `W_Q` and `d_k` as they are written by hand. @param {string} text */
export function subscripted(text) {
  return text.split(/(?<=\b[A-Za-z])_([A-Za-z])\b/).map((part, i) => (i % 2 ? h("sub", {}, part) : part));
}

/** Text whose terms are not broken over two lines, in a language without spaces. @param {string} text */
export function unbroken(text) {
  return text.split(/(注意力|核回归|存储|查询|权重|数据库|温度)/).map((part, i) => (i % 2 ? h("span.whole", {}, part) : part));
}

/** The beginning of a text, with an ellipsis where something was left out. @param {string} text @param {number} most */
export function clipped(text, most) {
  const letters = Array.from(text);
  return letters.length > most
    ? `${letters
        .slice(0, most - 1)
        .join("")
        .trimEnd()}…`
    : text;
}

/** Fill in `{count}`, and choose by a number that is filled in: `{count:row|rows}` is the word for one, or for any other. @param {string} text @param {Places} places */
function place(text, places) {
  return text
    .replace(/\{(\w+):([^|{}]*)\|([^|{}]*)\}/g, (whole, name, one, other) => (name in places ? (isOne(places[name]) ? one : other) : whole))
    .replace(/\{(\w+)\}/g, (whole, name) => (name in places ? written(places[name]) : whole));
}

/** One format for all whole numbers. @param {string | number} given */
function written(given) {
  return typeof given === "number" && Number.isInteger(given) && given >= 1000 ? count(given) : String(given);
}

/** Whether a number takes the singular where words are in English. Chinese has one form. @param {string | number} number */
function isOne(number) {
  return new Intl.PluralRules("en").select(Number(String(number).replaceAll(",", ""))) === "one";
}

/** @param {string} kind @param {string} text */
function term(kind, text) {
  if (kind === "code") return h("code", {}, text);
  if (kind === "b") return h("strong", {}, subscripted(text));
  return h(`span.${kind}`, {}, subscripted(text));
}
