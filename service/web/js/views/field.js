/** What a row is written in: texts of one line that wrap, and the colour of a value that is one. */

import { h } from "../element.js";
import { legible } from "./glyphs.js";
import { isColour } from "../values.js";
import { say } from "../words.js";

const GROWS = CSS.supports("field-sizing", "content");

/**
 * A text that grows with what is written where it does not fit, and holds no line breaks. A character without a font is
 * named until the field is entered.
 *
 * @param {string} kind a class @param {string} label @param {(it: string) => void} change told what was written
 */
export function field(kind, label, change) {
  const element = h(`textarea.field.${kind}`, { rows: 1, dir: "auto", spellcheck: false, autocomplete: "off", "aria-label": label });
  element.addEventListener("keydown", (event) => event.key === "Enter" && !event.isComposing && event.preventDefault());
  element.addEventListener("input", () => {
    if (element.value.includes("\n")) {
      const at = element.selectionStart;
      element.value = oneLine(element.value);
      element.setSelectionRange(at, at);
    }
    grow();
    written = element.value;
    change(written);
  });
  let written = "";
  element.addEventListener("focus", () => element.value === legible(written) && (element.value = written));
  element.addEventListener("blur", () => {
    element.scrollTop = 0;
    element.value = legible(written);
  });

  /** For a browser that cannot size a field by its text. */
  function grow() {
    if (GROWS) return;
    element.style.setProperty("height", "auto");
    element.style.setProperty("height", `${element.scrollHeight}px`);
  }

  /** @param {string} text */
  function write(text) {
    if (document.activeElement === element || written === text) return;
    written = text;
    element.value = legible(text);
    element.scrollTop = 0;
    grow();
  }

  return { element, write };
}

/** Line breaks as blanks, one for one, so that the caret stays where it was. @param {string} text */
export function oneLine(text) {
  return text.replace(/[\r\n]/g, " ");
}

/**
 * A colour to be seen, and changed.
 *
 * @param {HTMLTextAreaElement} text where the value is written @param {string} key the row's
 */
export function swatch(text, key) {
  const element = h("input.swatch", { type: "color", hidden: true, "aria-label": say("output.row", { key: key.slice(0, 60) }), oninput: choose });
  text.addEventListener("input", follow);

  function choose() {
    text.value = element.value;
    text.dispatchEvent(new Event("input"));
  }

  /** As the field has it; hidden where that is no colour. */
  function follow() {
    element.hidden = !isColour(text.value);
    if (!element.hidden && element.value !== text.value.toLowerCase()) element.value = text.value.toLowerCase();
  }

  return { element, follow };
}
