/** Rows and a question: the four answers, the lines, the arithmetic and the table around one result. */

import { isAborted, SoftkvError } from "../api.js";
import { leaning, weighed } from "../asking.js";
import { h } from "../element.js";
import { CALIBRATED } from "../nullkey.js";
import { sceneNamed } from "../scenes.js";
import { addends } from "./addends.js";
import { answers } from "./answers.js";
import { arithmetic } from "./arithmetic.js";
import { ask } from "./ask.js";
import { checking } from "./checking.js";
import { copyAsCurl } from "./copying.js";
import { limits } from "./limits.js";
import { picture } from "./picture.js";
import { sets } from "./sets.js";
import { table } from "./table.js";
import { blendChecked, valuesOf } from "../values.js";
import { say } from "../words.js";

const TYPING_MS = 300;
const REST_MS = 350;
const BELOW_MS = 100;

const ASKING = ["query", "source", "rows", "masked", "none", "filter"];

/** @param {Page.Context} context store, api, asker, story, notice */
export function lookup(context) {
  const { store, asker } = context;
  /** @type {?Page.Result} */
  let result = null;
  let running = new AbortController();
  let waiting = 0;
  let frame = 0;
  let verifying = 0;
  let below = 0;
  let gone = false;

  const parts = { ask: ask(context), answers: answers(), picture: picture(context) };
  /** What is not of the first answer. @type {?ReturnType<typeof others>} */
  let more = null;
  const left = h("section.left", { "aria-label": say("lookup.question") }, context.story, parts.ask.element);
  const under = h("div.under", {});
  const tables = h("div.below", {});
  const element = h(
    `div.lookup.questions.waiting${sceneNamed(store.state.scene).pictured ? ".pictured" : ""}`,
    {},
    h("div.beside", {}, left, h("div.right", {}, parts.answers.element, parts.picture.element, under)),
    tables,
  );

  function others() {
    return {
      limits: limits(context),
      arithmetic: arithmetic(context, (blend) => parts.picture.blend(blend)),
      table: table(context),
      addends: addends(context, isWordy),
      checking: checking(),
      sets: sets(context),
    };
  }

  /** The others come after the first answer. */
  async function rest() {
    if (gone) return;
    more = others();
    parts.ask.element.before(more.sets.element);
    parts.ask.learnLanguages();
    left.append(more.limits.element);
    under.append(
      more.checking.element,
      copyAsCurl(context, () => (result?.words?.lambda ? leaning(store.state) : result?.request) ?? { method: "GET", path: "/v1/collections" }),
    );
    tables.append(more.addends.element, more.arithmetic.element, more.table.element);
    if (!asker.sizes.size) await asker.collections(running.signal).catch(refused);
    if (gone) return;
    show();
    element.classList.remove("partial");
  }

  async function request() {
    running.abort();
    running = new AbortController();
    const { signal } = running;
    element.setAttribute("aria-busy", "true");
    try {
      const first = result === null;
      const found = await asker.ask(store.state, signal);
      if (store.state.lambda) await lean(found, signal);
      result = found;
      context.notice.clear();
      show();
      if (first) {
        element.classList.add("partial");
        context.answered(rest);
      }
    } catch (failure) {
      refused(failure);
    } finally {
      if (!signal.aborted) element.removeAttribute("aria-busy");
    }
  }

  /** @param {unknown} failure */
  function refused(failure) {
    if (isAborted(failure)) return;
    if (!(failure instanceof SoftkvError)) throw failure;
    const rows = context.notice.show(failure);
    rows?.then(() => gone || parts.ask.offer()); // the list of rows is all the more wanted where these are missing
  }

  /**
   * Whether words can be weighed: of a stored collection that the page holds all of, in a scene that compares with full text; a calibrated null key is another one beside words.
   *
   * @param {Page.State} state @param {Page.Result} found
   */
  function isWordy(state, found) {
    return Boolean(
      sceneNamed(state.scene).addends && state.none !== CALIBRATED && !context.exported && found.asked && !state.rows && !found.tail && found.rows.length,
    );
  }

  /** Words too: their ranks are asked once, and then weights follow λ as they follow T. @param {Page.Result} found @param {AbortSignal} signal */
  async function lean(found, signal) {
    const { state } = store;
    if (!isWordy(state, found)) return;
    const ranks = state.lambda || found.ranks ? await asker.ranks(found, state, signal) : null;
    found.words = { lambda: store.state.lambda, ranks };
    found.told = null;
  }

  /** Of the limits one says whether words are in it. */
  function leant() {
    const now = model();
    if (now) more?.limits.show(now);
    reweigh();
  }

  /** @param {number} after milliseconds */
  function later(after) {
    clearTimeout(waiting);
    waiting = setTimeout(request, after);
  }

  /** What is shown; null before the first answer. @returns {?Page.Lookup} */
  function model() {
    return result && { state: store.state, result, answer: weighed(result, store.state.t) };
  }

  function show() {
    const now = model();
    if (!now) return;
    element.classList.remove("waiting");
    for (const part of Object.values(parts)) part.show(now);
    for (const part of more ? [more.limits, more.arithmetic, more.table, more.addends, more.sets] : []) part.show(now);
    under.hidden = !now.state.revealed;
    reweigh(now);
  }

  function reweigh(now = model()) {
    if (!now) return;
    context.told(now);
    for (const part of Object.values(parts)) part.weigh(now);
    more?.checking.weigh(now);
    clearTimeout(verifying);
    if (!more) return;
    more.arithmetic.blend(now);
    below ||= setTimeout(reweighBelow, BELOW_MS);
    const { asked, rows, unread } = now.result;
    if (asked && rows.length && !unread) verifying = setTimeout(verify, REST_MS);
  }

  /** The long tables follow a little later, so that the lines keep up with the slider. */
  function reweighBelow() {
    below = 0;
    const now = model();
    if (now && more) for (const part of [more.arithmetic, more.table, more.addends]) part.weigh(now);
  }

  /** The slider rests: ask the service for the same, and show how far the two are apart. */
  async function verify() {
    const { signal } = running;
    const asked = model();
    if (!asked || !more) return;
    const { words } = asked.result;
    try {
      const [served, blend] = await Promise.all([
        asker.check(asked.state, asked.result, signal),
        context.exported ? null : blendChecked(context.api, asked, signal),
      ]);
      if (asked.result !== result || asked.state.t !== store.state.t || words !== result.words) return;
      more.checking.served({ ...asked, served, blend });
      result.told = { temperature: asked.state.t, verdict: served.evidence.verdict, certain: served.evidence.verdict_certain };
      const checked = { ...asked, state: store.state, answer: weighed(result, store.state.t) };
      await more.arithmetic.served({ ...checked, served, signal });
      const isOther = checked.answer.verdict !== asked.answer.verdict || checked.answer.certain !== asked.answer.certain;
      if (asked.result.tail || isOther) for (const part of [parts.ask, parts.answers, parts.picture, more.table]) part.weigh(checked);
    } catch (failure) {
      refused(failure);
    }
  }

  /** @param {Page.State} state @param {Set<string>} changed */
  function update(state, changed) {
    if (changed.has("t")) parts.ask.follow(state);
    const asks = ASKING.some((name) => changed.has(name));
    if (asks) later(changed.has("query") || changed.has("rows") ? TYPING_MS : 0);
    if (!result) return;
    if (changed.has("rows")) revalue(state, result);
    if (changed.has("lambda")) lean(result, running.signal).then(leant, refused);
    if (changed.has("revealed") || changed.has("guess")) show();
    else if (changed.has("theme")) reweigh();
    else if (changed.has("t") && !frame) {
      frame = requestAnimationFrame(() => {
        frame = 0;
        reweigh();
      });
    }
  }

  /** A value that can be seen moves the output at once: the weights have nothing to wait for. @param {Page.State} state @param {Page.Result} before */
  function revalue({ rows }, before) {
    if (!rows || valuesOf(before).kind === "text") return;
    const now = new Map(rows.map((row) => [row.id, row]));
    if (now.size !== before.rows.length || before.rows.some(({ id, key }) => now.get(id)?.key !== key)) return;
    const edited = { ...before, rows: before.rows.map((row) => ({ ...row, value: now.get(row.id)?.value ?? row.value })) };
    if (valuesOf(edited).kind !== valuesOf(before).kind) return;
    result = edited;
    const shown = model();
    if (shown) more?.arithmetic.weigh(shown);
  }

  function leave() {
    gone = true;
    running.abort();
    clearTimeout(waiting);
    clearTimeout(verifying);
    clearTimeout(below);
    cancelAnimationFrame(frame);
    parts.picture.leave();
    more?.table.leave();
  }

  request();
  return { element, update, leave, again: request };
}
