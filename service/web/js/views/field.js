/** A text of one line that wraps where it does not fit: it grows with what is written, and holds no line breaks. */

import { h } from "../element.js";

const GROWS = CSS.supports("field-sizing", "content");

/** @param {string} kind a class @param {string} label @param {function(string): void} change told what was written */
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
    change(element.value);
  });
  element.addEventListener("blur", () => (element.scrollTop = 0));

  /** For a browser that cannot size a field by its text. */
  function grow() {
    if (GROWS) return;
    element.style.setProperty("height", "auto");
    element.style.setProperty("height", `${element.scrollHeight}px`);
  }

  function write(text) {
    if (document.activeElement === element || element.value === text) return;
    element.value = text;
    element.scrollTop = 0;
    grow();
  }

  return { element, write };
}

/** Line breaks as blanks, one for one, so that the caret stays where it was. */
export function oneLine(text) {
  return text.replace(/[\r\n]/g, " ");
}
