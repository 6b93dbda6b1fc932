/** The words of a chapter: its own, those of the frame in `frame.json`, and those of all pictures. */

import { speaker as pictureSpeaker } from "../../../../service/softkv_service/web/shared/speaker.js";
import frame from "./frame.json";

/** @typedef {import("../../../../service/softkv_service/web/shared/words.js").Words} Words */

/**
 * A function that says a chapter's words, or the frame's if the chapter has none of that name.
 *
 * @param {{en: Words, zh: Words}} words
 * @param {import("../../../../service/softkv_service/web/shared/words.js").Language} language
 */
export function speaker(words, language) {
  return pictureSpeaker(language, frame, words);
}
