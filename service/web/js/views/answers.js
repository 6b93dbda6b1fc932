/** Four answers to one question: SQL =, full text, top-k, attention. */

import { spoken, textOf } from "../asking.js";
import { fill, h, put } from "../element.js";
import { effective, fixed, percent } from "../numbers.js";
import { veiled } from "../reading.js";
import { say } from "../words.js";

const SHOWN = 3;
/** The parameters that hold the question; the others are a collection's number and a limit. */
const TELLING = ["key", "words"];

/** @param {object} context */
export function answers({ store }) {
  const columns = ["sql", "text", "top", "attention"].map((name) => {
    const verdict = h("p.verdict", {});
    const sql = name === "sql" || name === "text";
    const statement = h("div.statement", sql ? { tabIndex: 0, role: "region", "aria-label": say("answers.statement", { name: say(`answers.${name}`) }) } : {});
    const list = h("ol.found", {});
    const element = h(`article.answer.answer-${name}`, { id: `answer-${name}` }, h("h2", {}, say(`answers.${name}`)), verdict, statement, list);
    return { element, verdict, statement, list };
  });
  const [sql, text, top, attention] = columns;
  const none = h("p", {});
  const element = h("section.answers", { "aria-label": say("answers.label") }, columns.map((column) => column.element));

  function show({ result, state }) {
    const secret = !state.revealed;
    database(sql, result.sql, secret);
    database(text, result.fullText, secret);
    const nearest = result.topK.matches.slice(0, SHOWN);
    put(top.verdict, result.unread || secret ? "?" : say("answers.rows.top", { count: nearest.length }));
    fill(top.statement, h("p", {}, say("answers.top.how", { count: SHOWN })));
    fill(top.list, (secret ? [] : nearest).map((match) => line(fixed(match.similarity), match)));
    fill(attention.statement, h("p", {}, say("answers.attention.how")), none);
    element.classList.toggle("veiled", veiled({ state, result }));
  }

  function weigh({ result, answer, state }) {
    const order = heaviest(answer.weights, SHOWN);
    const hidden = veiled({ state, result });
    put(attention.verdict, hidden || !result.asked ? "?" : answer.answered
      ? say("answers.effective", { documents: effective(answer.effective) })
      : say("answers.unanswered"));
    put(none, hidden || !result.nullKey ? "" : say("answers.none", { none: percent(answer.nullWeight) }));
    const lines = hidden || !result.asked ? [] : order.map((i) => line(percent(answer.weights[i]), result.rows[i]));
    fill(attention.list, lines);
  }

  return { element, show, weigh };
}

function database(column, { statement, parameters, rows }, secret) {
  put(column.verdict, secret ? "?" : rows.length === 1 ? say("answers.rows.one") : say("answers.rows", { count: rows.length }));
  const told = Object.entries(parameters).filter(([name]) => TELLING.includes(name));
  fill(column.statement, told.map(([name, value]) => h("code.parameter", { dir: "auto" }, `:${name} = ${literal(value)}`)), h("code", {}, statement.replace(/\s+/g, " ")));
  fill(column.list, (secret ? [] : rows).slice(0, SHOWN).map((row) => line("", row)));
}

function literal(parameter) {
  return typeof parameter === "string" ? `'${parameter.slice(0, 200).replaceAll("'", "''")}'` : String(parameter);
}

function line(number, row) {
  const [key, text] = [spoken(row), textOf(row.value)];
  return h("li", { title: `${key} → ${text}`.slice(0, 400) },
    number ? h("span.number.weight", {}, number) : null,
    h("span.pairing", {}, isGlyph(text) ? [h("bdi.value", {}, text), " "] : null, h("bdi.key", {}, key.slice(0, 120)),
      isGlyph(text) ? null : [h("span.soft", {}, " → "), h("bdi.value", {}, text.slice(0, 120))]));
}

/** One character, as the values of the Unicode table are: it goes first, before its long name. */
export function isGlyph(text) {
  return Array.from(text).length <= 2;
}

/** The indices of the largest weights, largest first; ties in row order. */
export function heaviest(weights, most) {
  const order = [];
  for (let i = 0; i < weights.length; i++) {
    if (weights[i] === 0) continue;
    let at = order.length;
    while (at > 0 && weights[order[at - 1]] < weights[i]) at--;
    if (at < most) {
      order.splice(at, 0, i);
      order.length = Math.min(order.length, most);
    }
  }
  return order;
}
