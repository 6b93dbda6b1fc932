/** Labelled questions, as they are pasted or in a file: a question and the id of the document that answers it. */

import { count } from "../shared/numbers.js";
import { clientOf } from "./client.js";
import { CsvReader, delimiterOf } from "./upload/csv.js";
import { parsed } from "./question.js";
import { isObject } from "./text.js";

/**
 * @typedef {object} Label `line`: null for feedback; `id`: null for "nothing answers"
 * @property {number | null} line
 * @property {string | number[]} query
 * @property {string | null} id
 */
/**
 * @typedef {object} LabelFlaw the name of a sentence in `calibrate.json`
 * @property {number} line
 * @property {"line.question" | "line.cells" | "line.json"} name
 */

/** Names of columns by which a first line is known to be one of names. */
const HEADS = new Set(["query", "question", "问题"]);
/** The labelled questions that a fit needs, and those of either kind. */
export const [LEAST, LEAST_OF_A_KIND] = [30, 10];
/** Records of feedback that are read, the oldest first. */
const MARKS = 10_000;
/** The texts that stand for no answer. */
const NONE = new Set(["", "null", "none", "-", "–"]);

/**
 * Read labelled questions: CSV or lines of JSON.
 * @param {string} text
 * @returns {{labels: Label[], flaws: LabelFlaw[]}}
 */
export function readLabels(text) {
  return text.trimStart().startsWith("{") ? fromLines(text) : fromCsv(text);
}

/**
 * The labels that follow from feedback, by the rules of the service: the later record counts, and a first match that is
 * wrong is a question without an answer, unless a right one is known.
 *
 * @param {{query: string | number[], id: string | null, right: boolean, first?: string | null}[]} records the oldest first
 * @returns {{labels: Label[], undecided: number}} `undecided`: questions from which no label follows
 */
export function fromFeedback(records) {
  /** @type {Map<string, {query: string | number[], right: Set<string>, wrong: Set<string>, nothing: boolean, first: string | null}>} */
  const votes = new Map();
  for (const { query, id, right, first } of records) {
    const name = JSON.stringify(query);
    let vote = votes.get(name);
    if (!vote) votes.set(name, (vote = { query, right: new Set(), wrong: new Set(), nothing: false, first: null }));
    vote.first = first ?? vote.first;
    if (id === null) {
      vote.nothing = right;
      if (right) vote.right.clear();
    } else if (right) {
      vote.nothing = false;
      vote.right.add(id);
      vote.wrong.delete(id);
    } else {
      vote.right.delete(id);
      vote.wrong.add(id);
    }
  }
  /** @type {Label[]} */
  const labels = [];
  let undecided = 0;
  for (const { query, right, wrong, nothing, first } of votes.values()) {
    for (const id of right) labels.push({ line: null, query, id });
    if (right.size) continue;
    if (nothing || (first !== null && wrong.has(first))) labels.push({ line: null, query, id: null });
    else undecided++;
  }
  return { labels, undecided };
}

/**
 * Read the labels that were marked in the tab Ask, or given by programs.
 * @param {import("../shared/api.js").API} api
 * @param {string} name
 * @param {AbortSignal} signal
 */
export async function readFeedback(api, name, signal) {
  const records = [];
  for await (const record of clientOf(api).collection(name).feedback({}, { signal })) if (records.push(record) >= MARKS) break;
  return fromFeedback(/** @type {any[]} */ (records));
}

/** The number of different questions with an answer, and of those without. @param {Label[]} labels */
export function counted(labels) {
  /** @type {Map<string, boolean>} */
  const answered = new Map();
  for (const { query, id } of labels) answered.set(JSON.stringify(query), answered.get(JSON.stringify(query)) || id !== null);
  const present = [...answered.values()].filter(Boolean).length;
  return { questions: answered.size, present, absent: answered.size - present };
}

/** The numbers of such questions, as sentences take them. @param {Label[]} labels */
export function countedTexts(labels) {
  const { questions, present, absent } = counted(labels);
  return { count: questions, questions: count(questions), present: count(present), absent: count(absent) };
}

/** Whether there are enough labels for a fit. @param {Label[]} labels */
export function isEnough(labels) {
  const { questions, present, absent } = counted(labels);
  return questions >= LEAST && present >= LEAST_OF_A_KIND && absent >= LEAST_OF_A_KIND;
}

/** @param {string} text */
function fromCsv(text) {
  const reader = new CsvReader(delimiterOf(text, true));
  const records = [...reader.read(text), ...reader.end()];
  if (HEADS.has(records[0]?.cells[0].trim().toLowerCase())) records.shift();
  /** @type {Label[]} */
  const labels = [];
  /** @type {LabelFlaw[]} */
  const flaws = [];
  for (const { line, cells } of records) {
    const [query, id = ""] = cells.map((cell) => cell.trim());
    if (cells.length > 2) flaws.push({ line, name: "line.cells" });
    else if (!query) flaws.push({ line, name: "line.question" });
    else labels.push({ line, query, id: NONE.has(id.toLowerCase()) ? null : id });
  }
  return { labels, flaws };
}

/** Lines of JSON, as `softkv calibrate` reads them. @param {string} text */
function fromLines(text) {
  /** @type {Label[]} */
  const labels = [];
  /** @type {LabelFlaw[]} */
  const flaws = [];
  text.split("\n").forEach((content, i) => {
    if (!content.trim()) return;
    const row = parsed(content);
    const ids = isObject(row) ? (Array.isArray(row.ids) ? row.ids : [row.id ?? null]) : [];
    if (!isObject(row) || typeof row.query !== "string" || !ids.every((id) => id === null || typeof id === "string"))
      flaws.push({ line: i + 1, name: "line.json" });
    else for (const id of ids) labels.push({ line: i + 1, query: row.query, id });
  });
  return { labels, flaws };
}
