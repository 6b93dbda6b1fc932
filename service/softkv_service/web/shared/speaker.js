/** The words of pictures: their own, and those that all of them have, in `pictures.json`. */

import pictures from "./pictures.json";
import { reader } from "./words.js";

/** @typedef {import("./words.js").Words} Words */

/**
 * A function that says words of these, or of all pictures if none has that name. Of two of a name, it says the last.
 *
 * @param {import("./words.js").Language} language
 * @param {...{en: Words, zh: Words}} words
 */
export function speaker(language, ...words) {
  return reader(Object.assign({}, pictures[language], ...words.map((one) => one[language])), language);
}
