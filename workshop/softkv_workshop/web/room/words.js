/** The words of the room, in the language of the address, else of the browser. */

import { preferred, reader } from "../../../../service/softkv_service/web/shared/words.js";
import words from "./words.json";

export const language = preferred([new URLSearchParams(window.location.search).get("lang") ?? "", ...navigator.languages]);
export const say = reader(words[language], language);
