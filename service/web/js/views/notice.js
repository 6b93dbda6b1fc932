/** What stands between the learner and an answer: a key, a service that loads or is away, a refusal. */

import { isAborted, SoftkvError, Unreachable } from "../api.js";
import { fill, h, put } from "../element.js";
import { percent } from "../numbers.js";
import { RecordMissing } from "../recorded.js";
import { say } from "../words.js";

/** How long a service that cannot answer now is left alone; each time twice as long, up to a quarter of a minute. */
const AWAY_MS = 1000;
const LONGEST_MS = 15_000;
/** The service is there, and has not loaded all. */
const LOADING = 503;

/**
 * @param {Page.Shared} shared api, asker, store
 * @param {() => void} anew draw everything again: another key may see other things
 * @param {() => void} [again] ask again what got no answer
 */
export function notice({ api, asker, store, exported }, anew, again = anew) {
  const element = h("div", { "aria-live": "polite", id: "notice" });
  const { signal } = fresh();
  let pause = AWAY_MS;
  let waiting = 0;
  /** @type {(() => Promise<void>) | null} */
  let retry = null;

  function askKey() {
    const input = h("input", { type: "password", id: "api-key", autocomplete: "off", value: api.key });
    const form = h(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          api.key = input.value.trim();
          asker.forget();
          clear();
          anew();
        },
      },
      h("label", { for: "api-key" }, say(api.refused ? "notice.key.refused" : "notice.key")),
      " ",
      input,
      h("button", { type: "submit" }, say("notice.use")),
    );
    fill(element, h("div.notice", {}, form));
    input.focus();
  }

  function clear() {
    clearTimeout(waiting);
    retry = null;
    pause = AWAY_MS;
    stale(false);
    fill(element);
  }

  /** Say in words why there is no answer; what may pass by itself is tried again by itself. @param {SoftkvError} failure */
  function show(failure) {
    stale(true);
    const code = /** @type {string | undefined} */ (failure.code); // an exported page has codes of its own
    if (code === "encoder_needed") offerEncoder();
    else if (code === "not_exported")
      fill(
        element,
        h("p.notice", {}, say("exported.missing"), " ", h("a", { href: `lesson.html?lang=${document.documentElement.lang.slice(0, 2)}` }, say("exported.own"))),
      );
    else if (failure.status === 401) askKey();
    else if (failure instanceof Unreachable) fill(element, h("p.notice", {}, say("notice.away")));
    else if (failure.status === LOADING) fill(element, h("p.notice", {}, say("notice.loading")));
    else if (failure.status === 404) return missing(failure);
    else if (code === "nothing_to_read") fill(element, h("p.notice", {}, say("notice.unread")));
    else if (failure.status === 403) fill(element, h("p.notice", {}, say("notice.read")));
    else fill(element, h("p.notice", {}, say("notice.refused"), " ", h("span", { dir: "auto" }, failure.detail)));
    if (failure instanceof Unreachable || failure.status === LOADING) later(failure);
  }

  /** Say which rows there are instead, as soon as that is known. @param {SoftkvError} failure */
  async function missing(failure) {
    const there = h("span.there", {});
    fill(element, h("div.notice", {}, h("p", {}, say("notice.missing"), " ", h("span", { dir: "auto" }, failure.detail)), there));
    try {
      await asker.collections(signal);
    } catch (refused) {
      if (!(refused instanceof SoftkvError) && !isAborted(refused)) throw refused;
      return;
    }
    const names = [...asker.sizes.keys()];
    const others = { rows: null, masked: [], filter: null, left: 0 };
    fill(
      there,
      say(names.length ? "notice.there" : "notice.nothing"),
      " ",
      names.map((name) => h("button", { type: "button", value: name, onclick: () => store.set({ ...others, source: name }) }, name)),
      h("button", { type: "button", value: "", onclick: () => store.set({ ...others, source: "scratch", rows: [] }) }, say("ask.own")),
    );
  }

  /** An exported page reads new texts by itself, once its encoder is loaded; that is the reader's choice. */
  function offerEncoder() {
    const button = h(
      "button",
      {
        type: "button",
        id: "load-encoder",
        onclick: async () => {
          button.disabled = true;
          try {
            await exported?.loadEncoder((share) => put(button, say("exported.loading", { share: percent(share) })));
            again();
          } catch (failure) {
            if (!(failure instanceof RecordMissing)) throw failure;
            fill(element, h("p.notice", {}, say("exported.lost")));
          }
        },
      },
      say("exported.load"),
    );
    fill(element, h("div.notice", {}, say("exported.encoder"), " ", button));
  }

  /** Ask for a sign of life first where there was none, so that what a learner types meanwhile is left alone. @param {SoftkvError} refusal */
  function later(refusal) {
    clearTimeout(waiting);
    const ask = async () => {
      clearTimeout(waiting);
      retry = null;
      try {
        if (refusal instanceof Unreachable) await api.get("/livez", signal);
        again();
      } catch (failure) {
        if (isAborted(failure)) return;
        if (!(failure instanceof SoftkvError)) throw failure;
        later(refusal);
      }
    };
    retry = ask;
    waiting = setTimeout(ask, pause);
    pause = Math.min(2 * pause, LONGEST_MS);
  }

  /** An answer of before is seen to be none to what is asked now. @param {boolean} is */
  function stale(is) {
    element.nextElementSibling?.classList.toggle("stale", is);
  }

  /** The network is back: what waits need not wait any longer. */
  window.addEventListener("online", () => retry?.(), { signal });
  signal.addEventListener("abort", () => clearTimeout(waiting));
  document.addEventListener("ask-key", askKey, { signal });
  return { element, show, clear, say: (/** @type {string} */ name) => fill(element, h("p.notice", {}, say(name))) };
}

/** @type {?AbortController} */
let stop = null;

/** One at a time: a new frame silences the one before. */
function fresh() {
  stop?.abort();
  return (stop = new AbortController());
}
