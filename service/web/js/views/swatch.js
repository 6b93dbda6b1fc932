/** The colour of a value that is one, in its row: to be seen, and changed. */

import { h } from "../element.js";
import { isColour } from "../values.js";
import { say } from "../words.js";

/** @param {HTMLInputElement} field where the value is written @param {string} key the row's */
export function swatch(field, key) {
  const element = h("input.swatch", { type: "color", hidden: true, "aria-label": say("output.row", { key: key.slice(0, 60) }), oninput: choose });
  field.addEventListener("input", follow);

  function choose() {
    field.value = element.value;
    field.dispatchEvent(new Event("input"));
  }

  /** As the field has it; hidden where that is no colour. */
  function follow() {
    element.hidden = !isColour(field.value);
    if (!element.hidden && element.value !== field.value.toLowerCase()) element.value = field.value.toLowerCase();
  }

  return { element, follow };
}
