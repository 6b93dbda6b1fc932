/** The rows to switch between in the scene of visible values. */

import { h } from "../element.js";
import { SETS } from "../scenes.js";
import { valuesOf } from "../values.js";
import { say } from "../words.js";

/** @param {object} context */
export function sets({ store }) {
  const buttons = Object.keys(SETS).map((kind) => h("button", { type: "button", id: `set-${kind}`, onclick: () => store.set({ ...SETS[kind], masked: [], none: "auto" }) }, say(`values.set.${kind}`)));
  const element = h("div.sets", { role: "group", "aria-label": say("values.sets"), hidden: store.state.scene !== "values" }, buttons);

  function show({ result }) {
    const { kind } = valuesOf(result);
    Object.keys(SETS).forEach((name, i) => buttons[i].setAttribute("aria-pressed", String(name === kind)));
  }

  return { element, show };
}
