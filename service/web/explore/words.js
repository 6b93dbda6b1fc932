/** The words of the explorer: each tab brings its own, in both languages; the frame's are in `frame.json`. */

import { reader } from "../story/words.js";
import frame from "./frame.json";

/** @typedef {import("../story/words.js").Language} Language */
/** @typedef {import("../story/words.js").Words} Words */
/** @typedef {import("../story/words.js").Say} Say */

/**
 * What says a tab's words, or the frame's where the tab has none of that name.
 *
 * @param {{en: Words, zh: Words}} words
 * @param {Language} language
 * @returns {Say}
 */
export function speaker(words, language) {
  return reader({ .../** @type {Words} */ (frame[language]), ...words[language] }, language);
}
