/** The words of the story: each chapter brings its own, in both languages; the frame's are in `frame.json`. */

import { h } from "../js/element.js";
import frame from "./frame.json";

/** @typedef {"en" | "zh"} Language */
/** @typedef {Record<string, string>} Words */
/** @typedef {(name: string, places?: Record<string, string | number>) => string} Say */

/**
 * What says a chapter's words, or the frame's where the chapter has none of that name. `{name}` is filled in;
 * `{count|one row|{count} rows}` is chosen by number.
 *
 * @param {{en: Words, zh: Words}} words
 * @param {Language} language
 * @returns {Say}
 */
export function speaker(words, language) {
  return reader({ .../** @type {Words} */ (frame[language]), ...words[language] }, language);
}

/**
 * What says texts of one language by their names.
 *
 * @param {Words} texts
 * @param {Language} language
 * @returns {Say}
 */
export function reader(texts, language) {
  const plural = new Intl.PluralRules(language);
  return (name, places = {}) => {
    const text = texts[name];
    if (text === undefined) throw new Error(`no words named ${name}`);
    const chosen = text.replace(/\{(\w+)\|([^|}]*)\|((?:[^{}]|\{\w+\})*)\}/g, (_, count, one, other) =>
      plural.select(Number(places[count])) === "one" ? one : other,
    );
    return chosen.replace(/\{(\w+)\}/g, (whole, place) => (place in places ? String(places[place]) : whole));
  };
}

/** A text with its subscripts: `W_Q` and `d_k` as they are written by hand. @param {string} text @returns {(string | HTMLElement)[]} */
export function subscripted(text) {
  return text.split(/(?<=\b[A-Za-z])_([A-Za-z])\b/).map((part, i) => (i % 2 ? h("sub", {}, part) : part));
}

/** A Chinese heading whose terms are not broken over two lines; another text stays as it is. @param {string} text */
export function unbroken(text) {
  return text.replace(/注意力|数据库|输出|权重|问题/g, (term) => Array.from(term).join("\u2060"));
}
