/** An answer: its verdict, who won, what each row weighs, and how often it was guessed. */

import { h } from "../element.js";
import { percent } from "../numbers.js";
import { say } from "../words.js";
import { guessesOf, weightOf, winner } from "./model.js";
import { rowWords } from "./rows.js";

/**
 * The verdict; and the heaviest rows and "none of these", as bars.
 *
 * @param {object} room
 * @param {number} most how many rows
 * @param {Set<string>} [own] ids of rows to mark
 */
export function bars({ rows, question: { answer, temperature } }, most, own = new Set()) {
  const shown = answer.matches.filter(({ id }, i) => i < most || own.has(id));
  const rest = answer.matches.filter((match) => !shown.includes(match));
  const items = [...shown.map(({ id }) => id), null].sort((one, other) => weightOf(answer, other) - weightOf(answer, one));
  const first = winner(answer);
  return [
    h("p.verdict", {}, say(`answer.verdict.${answer.verdict}`), answer.verdict_certain ? "" : ` ${say("answer.verdict.uncertain")}`),
    h("ol.bars", {}, items.map((id) => bar(id, rows.get(id), answer, id === first, own.has(id)))),
    h("p.soft.small", {}, [
      rest.length ? say("answer.rest", { count: rest.length, weight: percent(rest.reduce((sum, { weight }) => sum + weight, 0)) }) : "",
      say("answer.at", { temperature: String(temperature) }),
    ].filter(Boolean).join(" ")),
  ];
}

function bar(id, row, answer, won, own) {
  const weight = weightOf(answer, id);
  const guesses = guessesOf(answer, id);
  return h(`li.bar-of${won ? ".won" : ""}${own ? ".own" : ""}`, {},
    h("span.length", { "aria-hidden": "true", style: { width: `${weight * 100}%` } }),
    h("span.of", {}, row ? rowWords(row) : id === null ? h("span.soft", {}, say("answer.none")) : "…", own ? h("span.yours", {}, ` ${say("join.yours")}`) : null),
    h("span.number.weight", {}, percent(weight)),
    h("span.guessed.small", {}, guesses ? say("answer.guessed", { count: guesses }) : ""));
}

/** Who won, in words. */
export function wonWords({ rows, question: { answer } }) {
  const id = winner(answer);
  const weight = percent(weightOf(answer, id));
  return id === null ? say("answer.won.none", { weight }) : say("answer.won", { key: rows.get(id)?.key ?? "…", weight });
}
