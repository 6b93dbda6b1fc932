/** Parts of pictures: the sentence below one, and the field in which a reader asks. */

import { h } from "./element.js";

/** @typedef {import("./words.js").Say} Say */

/** The interval at which a sentence follows a knob: reading is slower, and each change lays the page out anew. */
const SENTENCE_MS = 150;

/**
 * The sentence under a picture that tells what it shows: at once, and while a knob moves every now and then.
 *
 * @returns {{element: HTMLElement, show: (text: string) => void}}
 */
export function statusLine() {
  const element = h("p.told", { role: "status" });
  let text = "";
  let waiting = 0;
  const follow = () => {
    waiting = 0;
    if (element.textContent === text) return;
    element.textContent = text;
    waiting = window.setTimeout(follow, SENTENCE_MS);
  };
  return {
    element,
    show(now) {
      text = now;
      if (!waiting) follow();
    },
  };
}

/**
 * A field above the question's card, in which readers ask questions of their own.
 *
 * @param {Say} say
 * @param {(query: string) => void} ask
 * @returns {{element: HTMLFormElement, place: (box: {x: number, y: number, width: number, height: number, size?: number}, query: string) => void}} `size`: of the text
 */
export function asking(say, ask) {
  const field = h("textarea", { rows: 2, maxLength: 300, spellcheck: false, "aria-label": say("ask") });
  const input = /** @type {HTMLTextAreaElement} */ (field);
  let asked = "";
  const send = () => {
    const query = input.value.replace(/\s+/g, " ").trim();
    if (query && query !== asked) ask(query);
    else input.value = asked;
  };
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      send();
    }
    if (event.key === "Escape") input.value = asked;
    event.stopPropagation();
  });
  input.addEventListener("change", send);
  input.addEventListener("input", grow);
  document.fonts.addEventListener("loadingdone", grow);
  // WebKit sizes no field by its content.
  function grow() {
    if (CSS.supports("field-sizing", "content")) return;
    input.style.height = "0";
    input.style.height = `${input.scrollHeight + 1}px`;
  }
  const element = /** @type {HTMLFormElement} */ (h("form.asking", { onsubmit: (/** @type {Event} */ event) => event.preventDefault() }, input));
  return {
    element,
    place({ x, y, width, height, size }, query) {
      for (const [name, value] of Object.entries({ left: x, top: y, width, "min-height": height })) element.style.setProperty(name, `${value}px`);
      if (size) input.style.setProperty("font-size", `${size}px`);
      asked = query;
      input.placeholder = say("ask.shown", { query }); // while the box is empty
      if (!input.matches(":focus")) input.value = query;
      grow();
    },
  };
}
