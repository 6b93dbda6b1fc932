/** The offer of the encoder, 30 MB, for a text that is new to an exported page. */

import { h } from "../../../../service/softkv_service/web/shared/element.js";
import { RecordMissing } from "../shared/recorded.js";
import { reader } from "../../../../service/softkv_service/web/shared/words.js";
import words from "./offer.json";

/**
 * The contents of a notice: a sentence and a button.
 *
 * @param {import("../../../../service/softkv_service/web/shared/words.js").Language} language
 * @param {(report: (share: number) => void) => Promise<void>} load
 * @param {() => void} loaded called when the encoder is there
 */
export function offer(language, load, loaded) {
  const say = reader(words[language], language);
  const told = h("span", {}, say("encoder.needed"));
  const button = h(
    "button",
    {
      type: "button",
      id: "load-encoder",
      onclick: async () => {
        button.disabled = true;
        try {
          await load((share) => (button.textContent = say("encoder.loading", { share: Math.round(100 * share) })));
          loaded();
        } catch (failure) {
          if (!(failure instanceof RecordMissing)) throw failure;
          told.textContent = say("encoder.lost");
          button.remove();
        }
      },
    },
    say("encoder.load"),
  );
  return [told, " ", button];
}
