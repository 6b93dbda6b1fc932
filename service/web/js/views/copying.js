/** The button that copies what is seen as a curl command. */

import { curl } from "../curl.js";
import { h } from "../element.js";
import { say } from "../words.js";

const SHOWN_MS = 1600;

/** @param {Page.Context} context @param {() => Page.Call} request what to repeat, asked when pressed */
export function copyAsCurl({ origin, api }, request) {
  const button = h("button.plain.curl", { type: "button", onclick: copy }, say("curl.copy"));
  const shown = h("textarea.command", { readOnly: true, hidden: true, rows: 4, spellcheck: false, "aria-label": say("curl.command") });
  async function copy() {
    const command = curl(origin, request(), Boolean(api.key));
    button.dataset.command = command;
    try {
      await navigator.clipboard.writeText(command);
      button.textContent = say("curl.copied");
      setTimeout(() => (button.textContent = say("curl.copy")), SHOWN_MS);
    } catch (failure) {
      if (!(failure instanceof DOMException || failure instanceof TypeError)) throw failure;
      shown.hidden = false;
      shown.value = command;
      shown.select();
    }
  }
  return h("span.copying", {}, button, shown);
}
