/** Four answers to one question: SQL =, full text, top-k, attention. */

import { spoken, textOf, veiled } from "../asking.js";
import { fill, h, put } from "../element.js";
import { effective, fixed, percent } from "../numbers.js";
import { say } from "../words.js";
import { legible } from "./glyphs.js";

const SHOWN = 3;
/** What decides in a statement: the lines that say which rows, and in them what is compared with a parameter. */
const CHOOSING = /^(WHERE|AND)\b/;
const DECIDING = /(\b(?!collection\b)\w+ (?:=|MATCH|IN|<>|!=|[<>]=?) \(?:\w+(?:, :\w+)*\)?)/;

export function answers() {
  const columns = ["sql", "text", "top", "attention"].map((name) => {
    const headline = h("p.headline", {});
    const sql = name === "sql" || name === "text";
    const statement = h("div.statement", sql ? { role: "group", "aria-label": say("answers.statement", { name: say(`answers.${name}`) }) } : {});
    const list = h("ol.found", {});
    const element = h(`article.answer.answer-${name}`, { id: `answer-${name}` }, h("h2", {}, say(`answers.${name}`)), headline, statement, list);
    return { element, headline, statement, list };
  });
  const [sql, text, top, attention] = columns;
  const none = h("p", {});
  const element = h(
    "section.answers",
    { "aria-label": say("answers.label") },
    columns.map((column) => column.element),
  );

  /** @param {Page.Lookup} model */
  function show({ result, state }) {
    const secret = !state.revealed;
    database(sql, result.sql, secret);
    database(text, result.fullText, secret);
    const nearest = result.topK.matches.slice(0, SHOWN);
    put(top.headline, result.unread || secret ? "?" : say(nearest.length ? "answers.rows.top" : "answers.rows", { count: nearest.length }));
    fill(top.statement, h("p", {}, say("answers.top.how", { count: SHOWN })));
    fill(
      top.list,
      (secret ? [] : nearest).map((match) => line(fixed(match.similarity), match)),
    );
    fill(attention.statement, h("p", {}, say("answers.attention.how")), none);
    element.classList.toggle("veiled", veiled({ state, result }));
  }

  /** @param {Page.Lookup} model */
  function weigh({ result, answer, state }) {
    const order = heaviest(answer.weights, SHOWN);
    const hidden = veiled({ state, result });
    put(attention.headline, hidden || !result.asked ? "?" : say(`answers.${answer.verdict}`, { documents: effective(answer.effective) }));
    put(none, hidden || !result.nullKey ? "" : say("answers.null", { none: percent(answer.nullWeight) }));
    const lines = hidden || !result.asked ? [] : order.map((i) => line(percent(answer.weights[i]), result.rows[i]));
    fill(attention.list, lines);
  }

  return { element, show, weigh };
}

/** @param {{headline: HTMLElement, statement: HTMLElement, list: HTMLElement}} column @param {Page.Found} found @param {boolean} secret */
function database(column, { statement, parameters, rows }, secret) {
  put(column.headline, secret ? "?" : say("answers.rows", { count: rows.length }));
  const told = Object.entries(parameters).filter(([name]) => name !== "limit" && !new RegExp(`\\bcollection = :${name}\\b`).test(statement));
  column.statement.title = statement;
  fill(
    column.statement,
    clauses(statement),
    told.map(([name, value]) => h("code.parameter", { dir: "auto" }, `:${name} = ${literal(value)}`)),
  );
  fill(
    column.list,
    (secret ? [] : rows).slice(0, SHOWN).map((row) => line("", row)),
  );
}

/** The statement in lines: those that choose rows whole, with what decides in bold; the others cut where there is no room. @param {string} statement */
function clauses(statement) {
  /** @type {{choosing: boolean, text: string}[]} */
  const lines = [];
  for (const text of statement
    .split("\n")
    .map((part) => part.trim())
    .filter(Boolean)) {
    const choosing = CHOOSING.test(text);
    const last = lines.at(-1);
    if (!choosing && last && !last.choosing) last.text += ` ${text}`;
    else lines.push({ choosing, text });
  }
  return lines.map(({ choosing, text }) =>
    h(
      choosing ? "code.clause.choosing" : "code.clause",
      {},
      choosing ? text.split(DECIDING).map((part) => (DECIDING.test(part) ? h("strong", {}, part) : part)) : text,
      " ",
    ),
  );
}

/** @param {unknown} parameter */
function literal(parameter) {
  return typeof parameter === "string" ? `'${parameter.slice(0, 200).replaceAll("'", "''")}'` : String(parameter);
}

/**
 * The value, which is what a lookup returns, and under it the number and the key that it was found by.
 *
 * @param {string} number @param {Parameters<typeof spoken>[0] & {value?: unknown}} row
 */
function line(number, row) {
  const [key, text] = [spoken(row), textOf(row.value)];
  return h(
    "li",
    { title: `${key} → ${text}`.slice(0, 400) },
    h("bdi.found-value.value", {}, legible(text.slice(0, 160)) || "–"),
    h("span.pairing", {}, number ? h("span.number.weight", {}, number, " ") : null, h("bdi.key", {}, key.slice(0, 160))),
  );
}

/** The indices of the largest weights, largest first; ties in row order. @param {ArrayLike<number>} weights @param {number} most */
export function heaviest(weights, most) {
  /** @type {number[]} */
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
