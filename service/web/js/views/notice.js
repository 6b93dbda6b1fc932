/** What stands between the learner and an answer: a key, a service that loads, a refusal. */

import { fill, h } from "../element.js";
import { say } from "../words.js";

/** @param {function(): void} again what to do when something may have changed (a key was given) */
export function notice({ api }, again) {
  const element = h("div", { "aria-live": "polite", id: "notice" });

  function askKey() {
    const input = h("input", { type: "password", id: "api-key", autocomplete: "off", value: api.key });
    const form = h("form", { onsubmit: (event) => {
      event.preventDefault();
      api.key = input.value.trim();
      clear();
      again();
    } }, h("label.unseen", { for: "api-key" }, say("notice.key")), input, h("button", { type: "submit" }, say("notice.use")));
    fill(element, h("div.notice", {}, say("notice.key"), form));
    input.focus();
  }

  function clear() {
    fill(element);
  }

  /** Say in words why there is no answer. */
  function show(failure) {
    if (failure.status === 401) askKey();
    else if (failure.status === 0) fill(element, h("p.notice", {}, say("notice.away")));
    else if (failure.status === 503) fill(element, h("p.notice", {}, say("notice.loading")));
    else if (failure.status === 404) fill(element, h("p.notice", {}, say("notice.missing"), " ", h("span", { dir: "auto" }, failure.message)));
    else if (failure.status === 403) fill(element, h("p.notice", {}, say("notice.read")));
    else fill(element, h("p.notice", {}, say("notice.refused"), " ", h("span", { dir: "auto" }, failure.message)));
  }

  document.addEventListener("ask-key", askKey, { signal: fresh() });
  return { element, show, clear, say: (name, places) => fill(element, h("p.notice", {}, say(name, places))) };
}

let stop = null;

/** One listener at a time: a new frame silences the one before. */
function fresh() {
  stop?.abort();
  stop = new AbortController();
  return stop.signal;
}
