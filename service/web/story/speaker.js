/** The words of a chapter: its own, those of the frame in `frame.json`, and those of all pictures. */

import { speaker as pictureSpeaker } from "../shared/speaker.js";
import frame from "./frame.json";

/** @typedef {import("../shared/words.js").Words} Words */

/**
 * A function that says a chapter's words, or the frame's if the chapter has none of that name.
 *
 * @param {{en: Words, zh: Words}} words
 * @param {import("../shared/words.js").Language} language
 */
export function speaker(words, language) {
  return pictureSpeaker(language, frame, words);
}
