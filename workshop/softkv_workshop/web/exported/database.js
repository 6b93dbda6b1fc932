/**
 * The service's database in the browser: SQL's `=` and full text with bm25, and the statements that a
 * service would run. Words are those of SQLite's tokeniser `unicode61`: letters and digits, without accents and case.
 *
 * @typedef {{id: string, key: string, value: unknown, metadata?: Record<string, unknown>}} Row
 * @typedef {{field: string, operator: string, value: unknown}} Comparison
 * @typedef {{operator: "AND", conditions: Filter[]}} All
 * @typedef {Comparison | All} Filter
 */

/** bm25's constants in SQLite, and the least weight of a word. */
const [K1, B, LEAST] = [1.2, 0.75, 1e-6];

/** Return the rows whose key is this text, with the statement. @param {Row[]} rows @param {string} text @param {?Filter} filter @param {number} limit */
export function equal(rows, text, filter, limit) {
  const found = inOrder(rows.filter((row) => row.key === text && passes(row, filter)));
  return answer(
    `SELECT id, key, value\nFROM documents\nWHERE collection = :collection AND key = :key${clause(filter)}\nORDER BY id\nLIMIT :limit`,
    { collection: 1, key: text, ...parameters(filter), limit },
    found.slice(0, limit),
  );
}

/** Return the rows that have a word of the question, the best first, with the statement. @param {Row[]} rows @param {string} question @param {?Filter} filter @param {number} limit */
export function fullText(rows, question, filter, limit) {
  const statement = `SELECT documents.id, documents.key, documents.value\nFROM words_1 JOIN documents ON documents."row" = words_1.rowid\nWHERE words_1 MATCH :words${clause(filter)}\nORDER BY bm25(words_1), documents.id\nLIMIT :limit`;
  const phrases = phrasesOf(question);
  const words = [...phrases.values()].map((word) => `"${word.replaceAll('"', '""')}"`).join(" OR ") || '""';
  const scores = ranks(
    rows,
    [...phrases.keys()].map((phrase) => phrase.split(" ")),
  );
  const found = inOrder(rows.filter((row) => scores.has(row) && passes(row, filter)));
  found.sort((a, b) => (scores.get(b) ?? 0) - (scores.get(a) ?? 0));
  return answer(statement, { words, ...parameters(filter), limit }, found.slice(0, limit));
}

/** Return whether a row passes a filter. @param {Row} row @param {?Filter} filter @returns {boolean} */
export function passes(row, filter) {
  if (!filter) return true;
  if ("conditions" in filter) return filter.conditions.every((one) => passes(row, one));
  const { field, operator, value } = filter;
  const content = field.startsWith("metadata.") ? row.metadata?.[field.slice("metadata.".length)] : field === "id" ? row.id : row.key;
  if (operator === "==") return content === value;
  if (operator === "!=") return content !== value;
  if (operator === "not in") return !(/** @type {unknown[]} */ (value).includes(content));
  throw new RangeError(`Expected a filter of the page, got ${operator}.`);
}

/** The words of a question as SQLite would quote them, by their tokens; each once. @param {string} question @returns {Map<string, string>} */
function phrasesOf(question) {
  const phrases = new Map();
  for (const word of question.replaceAll("\0", " ").split(/\s+/)) {
    const phrase = tokensOf(word).join(" ");
    if (phrase && !phrases.has(phrase)) phrases.set(phrase, word);
  }
  return phrases;
}

/** @param {string} text */
function tokensOf(text) {
  return (
    text
      .normalize("NFD")
      .replace(/\p{M}/gu, "")
      .toLowerCase()
      .match(/[\p{L}\p{N}\p{Co}]+/gu) ?? []
  );
}

/** bm25 of each row that has a phrase. @param {Row[]} rows @param {string[][]} phrases @returns {Map<Row, number>} */
function ranks(rows, phrases) {
  const texts = rows.map(({ key }) => tokensOf(key));
  const mean = texts.reduce((sum, tokens) => sum + tokens.length, 0) / Math.max(1, rows.length);
  /** @type {Map<Row, number>} */
  const scores = new Map();
  for (const phrase of phrases) {
    const counts = texts.map((tokens) => occurrences(tokens, phrase));
    const hits = counts.filter(Boolean).length;
    const weight = Math.max(LEAST, Math.log((rows.length - hits + 0.5) / (hits + 0.5)));
    counts.forEach((count, i) => {
      if (count) scores.set(rows[i], (scores.get(rows[i]) ?? 0) + (weight * count * (K1 + 1)) / (count + K1 * (1 - B + (B * texts[i].length) / mean)));
    });
  }
  return scores;
}

/** @param {string[]} tokens @param {string[]} phrase */
function occurrences(tokens, phrase) {
  return tokens.filter((_, at) => phrase.every((token, i) => tokens[at + i] === token)).length;
}

/** @param {Row[]} rows */
function inOrder(rows) {
  return [...rows].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** @param {string} statement @param {Record<string, unknown>} parameters @param {Row[]} rows */
function answer(statement, parameters, rows) {
  return { statement, parameters, rows: rows.map(({ id, key, value }) => ({ id, key, value })), took_ms: 0 };
}

/** The filter as SQL, with numbered parameters. @param {?Filter} filter */
function clause(filter) {
  let number = 0;
  return filter ? `\n  AND ${expression(filter, () => `:filter_${number++}`)}` : "";
}

/** @param {Filter} filter @param {() => string} next the name of the next parameter @returns {string} */
function expression(filter, next) {
  if ("conditions" in filter) return `(${filter.conditions.map((one) => expression(one, next)).join(" AND ")})`;
  if (filter.field === "id") return `NOT (documents.id IN (${/** @type {unknown[]} */ (filter.value).map(next).join(", ")}))`;
  return `documents."row" IN (SELECT "row" FROM fields WHERE collection = ${next()} AND field = ${next()} AND element = 0 AND kind = 5 AND value IN (${next()}))`;
}

/** @param {?Filter} filter @returns {Record<string, unknown>} */
function parameters(filter) {
  return Object.fromEntries((filter ? operands(filter) : []).map((value, i) => [`filter_${i}`, value]));
}

/** @param {Filter} filter @returns {unknown[]} */
function operands(filter) {
  if ("conditions" in filter) return filter.conditions.flatMap(operands);
  return filter.field === "id" ? /** @type {unknown[]} */ (filter.value) : [1, filter.field.slice("metadata.".length), filter.value];
}
