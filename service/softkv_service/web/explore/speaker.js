/** The words of a tab of the explorer: its own, and those of the frame in `frame.json`. */

import { reader } from "../shared/words.js";
import frame from "./frame.json";

/** @typedef {import("../shared/words.js").Words} Words */

/**
 * A function that says a tab's words, or the frame's if the tab has none of that name.
 *
 * @param {{en: Words, zh: Words}} words
 * @param {import("../shared/words.js").Language} language
 */
export function speaker(words, language) {
  return reader({ .../** @type {Words} */ (frame[language]), ...words[language] }, language);
}
