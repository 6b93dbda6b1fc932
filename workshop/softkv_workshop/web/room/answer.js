/** An answer: its verdict, the winner, the weight of each row, and its number of guesses. */

import { h } from "../../../../service/softkv_service/web/shared/element.js";
import { percent, temperatureText } from "../../../../service/softkv_service/web/shared/numbers.js";
import { say } from "./words.js";
import { answerAt, isBlurred, temperatureOf } from "./live.js";
import { guessesOf, isTie, leaders, weightOf, winner } from "./model.js";
import { rowWords } from "./rows.js";

/** @typedef {import("./live.js").Answer} Answer */
/** @typedef {import("./live.js").Answered} Answered */
/** @typedef {Page.RoomRow} Row */

/**
 * The verdict; and the heaviest rows and "none of these", as bars.
 *
 * @param {{rows: Map<string, Row>, question: Answered}} room
 * @param {number} most how many rows
 * @param {Set<string>} own ids of rows to mark
 */
export function bars({ rows, question }, most, own) {
  const temperature = temperatureOf(question);
  const answer = answerAt(question);
  // On a tie no row comes before another: all are listed.
  const shown = answer.matches.filter(({ id }, i) => i < most || own.has(id) || isTie(answer));
  const rest = answer.matches.filter((match) => !shown.includes(match));
  const items = [...shown.map(({ id }) => id), null].sort((one, other) => weightOf(answer, other) - weightOf(answer, one));
  const first = winner(answer);
  const others = rest.reduce((sum, { weight }) => sum + weight, 0);
  const at = say(question.shown_temperature === undefined ? "answer.at" : "answer.held", { temperature: temperatureText(temperature) });
  return [
    h("p.verdict", {}, verdictWords(question, answer, temperature)),
    h(
      "ol.bars",
      {},
      items.map((id) => bar(id, id === null ? undefined : rows.get(id), answer, id === first, id !== null && own.has(id))),
    ),
    h("p.soft.small", {}, rest.length ? `${say("answer.rest", { count: rest.length, weight: percent(others) })} ` : "", at),
  ];
}

/**
 * The verdict of an answer, and how much it says.
 * @param {Answered} question
 * @param {Answer} answer
 * @param {number} temperature
 */
export function verdictWords(question, answer, temperature) {
  if (isTie(answer)) return say(temperature === Infinity ? "answer.verdict.average" : "answer.verdict.tie");
  const words = say(`answer.verdict.${answer.verdict}`);
  if (isBlurred(question, temperature)) return `${words} ${say("answer.blurred")}`;
  return answer.verdict_certain ? words : `${words} ${say("answer.verdict.uncertain")}`;
}

/**
 * @param {?string} id
 * @param {Row | undefined} row
 * @param {Answer} answer
 * @param {boolean} won
 * @param {boolean} own
 */
function bar(id, row, answer, won, own) {
  const weight = weightOf(answer, id);
  const guesses = guessesOf(answer, id);
  return h(
    `li.bar-of${won ? ".won" : ""}${own ? ".own" : ""}`,
    {},
    h("span.length", { "aria-hidden": "true", style: { width: `${weight * 100}%` } }),
    h(
      "span.of",
      {},
      row ? rowWords(row) : id === null ? h("span.soft", {}, say("answer.none")) : "…",
      own ? h("span.yours", {}, ` ${say("join.yours")}`) : null,
    ),
    h("span.number.weight", {}, percent(weight)),
    h("span.guessed.small", {}, guesses ? say("answer.guessed", { count: guesses }) : ""),
  );
}

/**
 * The winner, in words.
 * @param {Answer} answer
 * @param {Map<string, Row | undefined>} rows
 */
export function wonWords(answer, rows) {
  const { matches } = answer;
  if (isTie(answer)) return say("answer.won.all", { weight: percent(matches[0].weight), count: matches.length });
  const first = leaders(answer);
  const id = winner(answer);
  if (id === undefined) return say("answer.won.tie", { weight: percent(Math.max(...[...first].map((one) => weightOf(answer, one)))), count: first.size });
  const weight = percent(weightOf(answer, id));
  return id === null ? say("answer.won.none", { weight }) : say("answer.won", { key: rows.get(id)?.key ?? "…", weight });
}
