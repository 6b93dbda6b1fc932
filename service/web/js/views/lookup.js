/** Rows and a question: the four answers, the lines, the arithmetic and the table around one result. */

import { weighed } from "../asking.js";
import { h } from "../element.js";
import { answers } from "./answers.js";
import { ask } from "./ask.js";
import { arithmetic } from "./arithmetic.js";
import { checking } from "./checking.js";
import { copyAsCurl } from "./copying.js";
import { limits } from "./limits.js";
import { picture } from "./picture.js";
import { table } from "./table.js";
import { say } from "../words.js";

const TYPING_MS = 300;
const REST_MS = 350;
const BELOW_MS = 100;
const EVERY_FRAME = ["ask", "answers", "picture", "checking"];
const ASKING = ["query", "source", "rows", "masked", "none", "filter"];

/** @param {object} context store, api, asker, story, notice */
export function lookup(context) {
  const { store, asker } = context;
  let result = null;
  let running = new AbortController();
  let waiting = 0;
  let frame = 0;
  let verifying = 0;
  let below = 0;

  const parts = {
    ask: ask(context), limits: limits(context), answers: answers(context), picture: picture(context),
    arithmetic: arithmetic(context, (vector) => parts.picture.blend(vector)), table: table(context), checking: checking(context),
  };
  const copying = copyAsCurl(context, () => result?.request ?? { method: "GET", path: "/v1/collections" });
  const under = h("div.under", {}, parts.checking.element, copying);
  const element = h("div.lookup.waiting", {},
    h("section.left", { "aria-label": say("lookup.question") }, context.story, parts.ask.element, parts.limits.element),
    h("div.right", {}, parts.answers.element, parts.picture.element, under),
    h("div.below", {}, parts.arithmetic.element, parts.table.element));

  async function request() {
    running.abort();
    running = new AbortController();
    const { signal } = running;
    element.setAttribute("aria-busy", "true");
    try {
      if (!asker.sizes.size) {
        await asker.collections(signal);
        parts.ask.offer();
      }
      result = await asker.ask(store.state, signal);
      context.notice.clear();
      show();
    } catch (failure) {
      if (failure.name === "AbortError") return;
      if (failure.status === undefined) throw failure;
      context.notice.show(failure);
      if (failure.status === 503) later(1500);
    } finally {
      if (!signal.aborted) element.removeAttribute("aria-busy");
    }
  }

  function later(after) {
    clearTimeout(waiting);
    waiting = setTimeout(request, after);
  }

  function model() {
    return { state: store.state, result, answer: weighed(result, store.state.t) };
  }

  function show() {
    const now = model();
    element.classList.remove("waiting");
    for (const part of Object.values(parts)) part.show?.(now);
    under.hidden = !now.state.revealed;
    reweigh(now);
  }

  function reweigh(now = model()) {
    context.told(now);
    for (const name of EVERY_FRAME) parts[name].weigh(now);
    parts.arithmetic.blend(now);
    below ||= setTimeout(reweighBelow, BELOW_MS);
    clearTimeout(verifying);
    if (result.asked && !result.unread) verifying = setTimeout(verify, REST_MS);
  }

  /** The long tables follow a little later, so that the lines keep up with the slider. */
  function reweighBelow() {
    below = 0;
    const now = model();
    parts.arithmetic.weigh(now);
    parts.table.weigh(now);
  }

  /** The slider rests: ask the service for the same, and show how far the two are apart. */
  async function verify() {
    const { signal } = running;
    const asked = model();
    try {
      const served = await asker.check(asked.state, asked.result, signal);
      if (asked.result !== result || asked.state.t !== store.state.t) return;
      parts.checking.served({ ...asked, served });
      result.told = { temperature: asked.state.t, answered: served.evidence.answered };
      const checked = model();
      await parts.arithmetic.served({ ...checked, served, signal });
      if (result.tail || checked.answer.answered !== asked.answer.answered) for (const name of ["ask", "answers", "picture", "table"]) parts[name].weigh(checked);
    } catch (failure) {
      if (failure.name === "AbortError") return;
      if (failure.status === undefined) throw failure;
      context.notice.show(failure);
    }
  }

  function update(state, changed) {
    if (changed.has("t")) parts.ask.follow(state);
    const asks = ASKING.some((name) => changed.has(name));
    if (asks) later(changed.has("query") || changed.has("rows") ? TYPING_MS : 0);
    if (!result) return;
    if (changed.has("revealed") || changed.has("guess")) show();
    else if (changed.has("theme")) reweigh();
    else if (changed.has("t") && !frame) {
      frame = requestAnimationFrame(() => {
        frame = 0;
        reweigh();
      });
    }
  }

  function leave() {
    running.abort();
    clearTimeout(waiting);
    clearTimeout(verifying);
    clearTimeout(below);
    cancelAnimationFrame(frame);
    for (const part of Object.values(parts)) part.leave?.();
  }

  request();
  return { element, update, leave };
}
