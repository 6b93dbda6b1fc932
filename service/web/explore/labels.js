/** Labelled questions, as they are pasted or in a file: a question and the id of the document that answers it. */

import { CsvReader, delimiterOf } from "./upload/csv.js";
import { isObject } from "./upload/table.js";

/** @typedef {{line: number, query: string, id: string | null}} Label `id` is null where nothing answers */
/** @typedef {{line: number, name: "line.question" | "line.cells" | "line.json"}} LabelFlaw the name of a sentence in `calibrate.json` */

/** Names of columns by which a first line is known to be one of names. */
const HEADS = new Set(["query", "question", "问题"]);
/** The texts that stand for no answer. */
const NONE = new Set(["", "null", "none", "-", "–"]);

/**
 * Read labelled questions: CSV or lines of JSON.
 *
 * @param {string} text
 * @returns {{labels: Label[], flaws: LabelFlaw[]}}
 */
export function readLabels(text) {
  return text.trimStart().startsWith("{") ? fromLines(text) : fromCsv(text);
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

/** @param {string} text @returns {unknown} */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (failure) {
    if (failure instanceof SyntaxError) return null;
    throw failure;
  }
}
