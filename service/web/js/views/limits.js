/** The three limits that make a database lookup and an average the same function, each proven with live numbers. */

import { spoken, veiled, weighed } from "../asking.js";
import { h, put } from "../element.js";
import { NullKey } from "../nullkey.js";
import { count, fixed, percent } from "../numbers.js";
import { clipped, say } from "../words.js";
import { EXACT } from "./ask.js";
import { heaviest } from "./answers.js";

/** What each limit is: every number that its button sets. @type {Record<"nearest" | "exact" | "average", Limit>} */
const LIMITS = {
  nearest: { t: 0, none: false, lambda: 0 },
  exact: { t: 0, none: EXACT, lambda: 0 },
  average: { t: Infinity, none: false, lambda: 0 },
};
/** @typedef {Pick<Page.State, "t" | "none" | "lambda">} Limit */
/** @typedef {[words: string, holds: ?boolean]} Proof */

/** @param {Page.Context} context */
export function limits({ store }) {
  /** What held before the first of the buttons was pressed. @type {?Limit} */
  let before = null;
  const claims = { nearest: made("nearest"), exact: made("exact"), average: made("average") };
  const back = h("button.plain", { type: "button", id: "limit-back", hidden: true, onclick: goBack }, say("limits.back"));
  const element = h(
    "section.limits",
    { "aria-label": say("limits.label") },
    h("h2", {}, say("limits.label")),
    h(
      "ul",
      {},
      Object.values(claims).map((one) => one.element),
    ),
    back,
  );

  /** @param {keyof typeof LIMITS} name */
  function made(name) {
    return claim(name, () => approach(LIMITS[name]));
  }

  /** @param {Limit} limit */
  function approach(limit) {
    const { t, none, lambda } = store.state;
    before ??= { t, none, lambda };
    store.set(limit);
    follow();
  }

  function goBack() {
    const patch = before ?? {};
    before = null;
    store.set(patch);
    follow();
    claims.nearest.button.focus();
  }

  /** Another null key was chosen by hand since: there is nothing to go back to. */
  function follow() {
    if (before && ![false, EXACT, before.none].includes(store.state.none)) before = null;
    back.hidden = !before;
  }

  /** @param {Page.Lookup} model */
  function show({ result, state }) {
    follow();
    element.hidden = veiled({ state, result }) || !result.asked || !result.rows.length;
    if (element.hidden) return Object.values(claims).forEach((one) => one.tell("", null));
    claims.nearest.tell(...towardsNearest(result));
    claims.exact.tell(...towardsSQL(result));
    claims.average.tell(...towardsAverage(result));
  }

  return { element, show };
}

/** @param {string} name @param {() => void} apply */
function claim(name, apply) {
  const proof = h("span.proof", {});
  const sign = h("span.sign", { "aria-hidden": "true" });
  const button = h("button", { type: "button", id: `limit-${name}`, onclick: apply }, say(`limits.${name}.button`));
  const element = h(`li.limit`, {}, button, h("span", {}, say(`limits.${name}.claim`), " ", proof, sign));
  return {
    element,
    button,
    /** @param {Proof[0]} words @param {Proof[1]} holds */
    tell(words, holds) {
      put(proof, words);
      put(sign, holds === null ? "" : holds ? "\u00a0✓" : "\u00a0✗");
      element.dataset.holds = String(holds);
    },
  };
}

/** T → 0 without the null, as its button sets it: everything on the row that top-k puts first. @param {Page.Result} result @returns {Proof} */
function towardsNearest(result) {
  const { weights } = weighed(result, 0, null);
  const [first] = heaviest(weights, 1);
  const best = result.topK.matches[0];
  if (first === undefined || !best) return ["", null];
  const ties = weights.filter((weight) => weight > 0).length;
  return [
    say("limits.nearest.proof", { key: clipped(spoken(result.rows[first]), 32), weight: percent(weights[first]) }),
    ties > 1 || result.rows[first].id === best.id,
  ];
}

/** T → 0 with the null just below one: the rows that SQL's = finds, and nothing else. @param {Page.Result} result @returns {Proof} */
function towardsSQL(result) {
  const { weights, nullWeight } = weighed(result, 0, new NullKey({ similarity: EXACT }));
  const kept = new Set(result.rows.filter((_, i) => weights[i] > 0).map((row) => row.id));
  const sql = result.sql.rows.map((row) => row.id);
  const holds = kept.size === sql.length && sql.every((id) => kept.has(id));
  return [say("limits.exact.proof", { attention: kept.size, none: fixed(nullWeight, 0), sql: sql.length }), holds];
}

/** T → ∞ without the null and without words, as its button sets it: every key the same. @param {Page.Result} result @returns {Proof} */
function towardsAverage(result) {
  const { weights } = weighed({ ...result, words: null }, Infinity, null);
  const shares = [...weights.filter((weight) => weight > 0)];
  const rows = result.mask.filter(Boolean).length + (result.tail?.count ?? 0);
  const keys = Math.max(rows, result.keys);
  const part = 1 / keys;
  // A row of several keys has as many parts, read from a sweep: whole ones, but for a thousandth.
  const whole = (/** @type {number} */ share) => Math.abs(share / part - Math.max(1, Math.round(share / part))) < share / part / 500;
  const holds = shares.every((share) => (keys > rows ? whole(share) : Math.abs(share - part) < 1e-12));
  return [say("limits.average.proof", { weight: percent(part), rows: say(keys > rows ? "limits.keys" : "limits.rows", { count: count(keys) }) }), holds];
}
