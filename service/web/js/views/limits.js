/** The three limits that make a database lookup and an average the same function, each proven with live numbers. */

import { spoken, veiled, weighed } from "../asking.js";
import { h, put } from "../element.js";
import { NullKey } from "../nullkey.js";
import { fixed, percent } from "../numbers.js";
import { clipped, say } from "../words.js";
import { EXACT } from "./ask.js";
import { heaviest } from "./answers.js";

/** @param {object} context */
export function limits({ store }) {
  const claims = [
    claim("nearest", () => store.set({ t: 0, none: false })),
    claim("exact", () => store.set({ t: 0, none: EXACT })),
    claim("average", () => store.set({ t: Infinity, lambda: 0 })),
  ];
  const [nearest, exact, average] = claims;
  const element = h("section.limits", { "aria-label": say("limits.label") }, h("h2", {}, say("limits.label")), h("ul", {}, claims.map((one) => one.element)));

  function show({ result, state }) {
    element.hidden = veiled({ state, result }) || !result.asked || !result.rows.length;
    if (element.hidden) return claims.forEach((one) => one.tell("", null));
    nearest.tell(...towardsNearest(result));
    exact.tell(...towardsSQL(result));
    average.tell(...towardsAverage(result));
  }

  return { element, show };
}

function claim(name, apply) {
  const proof = h("span.proof", {});
  const sign = h("span.sign", { "aria-hidden": "true" });
  const element = h(`li.limit`, {}, h("button", { type: "button", id: `limit-${name}`, onclick: apply }, say(`limits.${name}.button`)),
    h("span", {}, say(`limits.${name}.claim`), " ", proof, sign));
  return {
    element,
    tell(words, holds) {
      put(proof, words);
      put(sign, holds === null ? "" : holds ? "\u00a0✓" : "\u00a0✗");
      element.dataset.holds = String(holds);
    },
  };
}

/** T → 0 without the null, as its button sets it: everything on the row that top-k puts first. */
function towardsNearest(result) {
  const { weights } = weighed(result, 0, null);
  const [first] = heaviest(weights, 1);
  const best = result.topK.matches[0];
  if (first === undefined || !best) return ["", null];
  const ties = weights.filter((weight) => weight > 0).length;
  return [say("limits.nearest.proof", { key: clipped(spoken(result.rows[first]), 32), weight: percent(weights[first]) }), ties > 1 || result.rows[first].id === best.id];
}

/** T → 0 with the null just below one: the rows that SQL's = finds, and nothing else. */
function towardsSQL(result) {
  const { weights, nullWeight } = weighed(result, 0, new NullKey({ similarity: EXACT }));
  const kept = new Set(result.rows.filter((_, i) => weights[i] > 0).map((row) => row.id));
  const sql = result.sql.rows.map((row) => row.id);
  const holds = kept.size === sql.length && sql.every((id) => kept.has(id));
  return [say("limits.exact.proof", { attention: kept.size, none: fixed(nullWeight, 0), sql: sql.length }), holds];
}

/** T → ∞, without words: every key the same, and "none of these" as much as the keys that it stands for. */
function towardsAverage(result) {
  const { weights, nullWeight } = weighed({ ...result, words: null }, Infinity);
  const shares = [...weights.filter((weight) => weight > 0)];
  const rows = result.mask.filter(Boolean).length + (result.tail?.count ?? 0);
  const keys = Math.max(rows, result.keys ?? 0);
  const nulls = result.nullKey?.at(Infinity).count ?? 0;
  const part = 1 / (keys + nulls);
  // A row of several keys has as many parts, read from a sweep: whole ones, but for a thousandth.
  const whole = (share) => Math.abs(share / part - Math.max(1, Math.round(share / part))) < share / part / 500;
  const holds = shares.every(keys > rows ? whole : (share) => Math.abs(share - part) < 1e-12);
  const proof = `limits.average.proof${nulls ? ".none" : ""}`;
  const wordless = result.words?.lambda ? say("limits.average.wordless") : "";
  return [wordless + say(proof, { weight: percent(part), rows: say(keys > rows ? "limits.keys" : "limits.rows", { count: keys }), none: percent(nullWeight) }), holds];
}
