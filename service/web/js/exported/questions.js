/** The questions that an exported page has answers to, to choose from. */

import { fill, h } from "../element.js";
import { say } from "../words.js";

/** @param {object} context store, exported */
export function questions({ store, exported }) {
  const select = h("select", { id: "exported-questions", "aria-label": say("exported.questions"), onchange: () => select.value && store.set({ query: select.value }) });
  const texts = [...exported.query.texts].sort((a, b) => a.localeCompare(b, "en"));
  fill(select, h("option", { value: "" }, say("exported.questions")), texts.map((text) => h("option", { value: text }, text)));
  return select;
}
