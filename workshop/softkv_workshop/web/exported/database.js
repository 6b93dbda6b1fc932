/**
 * The service's database in the browser: SQL's `=` and full text with bm25, and the statements that a
 * service would run. Words are those of SQLite's tokeniser `unicode61`: letters and digits, without accents and case; or bigrams.
 *
 * @typedef {{id: string, key: string, value: unknown, metadata?: Record<string, unknown>}} Row
 * @typedef {{field: string, operator: string, value: unknown}} Comparison
 * @typedef {{operator: "AND", conditions: Filter[]}} All
 * @typedef {Comparison | All} Filter
 */

/** bm25's constants in SQLite, and the least weight of a word. */
const [K1, B, LEAST] = [1.2, 0.75, 1e-6];

// The ranges of characters that are written as bigrams: `service/softkv_service/storage/conditions/search_terms.py`.
const LETTERS = String.raw`\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9d\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{3fffd}\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46\u0e81-\u0eb0\u0eb2\u0eb3\u0ebd-\u0ec6\u0edc-\u0edf\u1000-\u102a\u103f\u1050-\u1055\u105a-\u105d\u1061\u1065\u1066\u106e-\u1070\u1075-\u1081\u108e\u1780-\u17b3\u17d7\u17dc`;
const SIGNS = String.raw`\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u102b-\u103e\u1056-\u1059\u105e-\u1060\u1062-\u1064\u1067-\u106d\u1071-\u1074\u1082-\u108d\u108f\u109a-\u109d\u17b4-\u17d3\u17dd`;
const ACCENTS = String.raw`\u3099\u309a\uff9e\uff9f\ufe00-\ufe0f\u{e0100}-\u{e01ef}`;
const RUN = new RegExp(`[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]+|[${LETTERS}][${LETTERS}${SIGNS}${ACCENTS}]*`, "gu");
const CHARACTER = new RegExp(`([${LETTERS}][${SIGNS}]*)[${ACCENTS}]*`, "gu");
const MORE_SIGNS = new RegExp(`([${SIGNS}${ACCENTS}]{8})[${SIGNS}${ACCENTS}]+`, "gu");
// Letters that are two when case is folded, where a browser's own folding keeps the length of a text.
/** @type {Record<string, string>} */
const FOLDS = { ß: "ss", ẞ: "ss", ﬀ: "ff", ﬁ: "fi", ﬂ: "fl", ﬃ: "ffi", ﬄ: "ffl", ﬅ: "st", ﬆ: "st", և: "եւ", ﬓ: "մն", ﬔ: "մե", ﬕ: "մի", ﬖ: "վն", ﬗ: "մխ" };
const TWO_LETTERS = new RegExp(`[${Object.keys(FOLDS).join("")}]`, "gu");
const TOKEN = new RegExp(`[\\p{L}\\p{N}\\p{Co}${SIGNS}]+`, "gu");

/**
 * Return the rows whose key is this text, with the statement.
 * @param {Row[]} rows
 * @param {string} text
 * @param {?Filter} filter
 * @param {number} limit
 */
export function equal(rows, text, filter, limit) {
  const found = rows.filter((row) => row.key === text && passes(row, filter)).sort(byId);
  return answer(
    `SELECT id, key, value\nFROM documents\nWHERE collection = :collection AND key = :key${clause(filter)}\nORDER BY id\nLIMIT :limit`,
    { collection: 1, key: text, ...parameters(filter), limit },
    found.slice(0, limit),
  );
}

/**
 * Return the rows that have a word of the question, the best first, with the statement.
 * @param {Row[]} rows
 * @param {string} question
 * @param {?Filter} filter
 * @param {number} limit
 */
export function fullText(rows, question, filter, limit) {
  const statement = `SELECT documents.id, documents.key, documents.value\nFROM folds_1 JOIN documents ON documents."row" = folds_1.rowid\nWHERE folds_1 MATCH :words${clause(filter)}\nORDER BY bm25(folds_1), documents.id\nLIMIT :limit`;
  const phrases = phrasesOf(question);
  const words = [...phrases.values()].join(" OR ") || '""';
  const scores = ranks(rows, [...phrases.keys()]);
  const found = rows.filter((row) => scores.has(row) && passes(row, filter));
  found.sort((a, b) => (scores.get(b) ?? 0) - (scores.get(a) ?? 0) || byId(a, b));
  return answer(statement, { words, ...parameters(filter), limit }, found.slice(0, limit));
}

/**
 * Return whether a row passes a filter.
 * @param {Row} row
 * @param {?Filter} filter
 * @returns {boolean}
 */
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

/**
 * The words of a question as SQLite would quote them, by their tokens, the last one with `*` if it may continue; each once.
 * @param {string} question
 * @returns {Map<string, string>}
 */
function phrasesOf(question) {
  const phrases = new Map();
  for (const [word, star] of question.replaceAll("\0", " ").split(/\s+/).flatMap(termsOf)) {
    const phrase = tokensOf(word).join(" ") + star;
    if (phrase && !phrases.has(phrase)) phrases.set(phrase, `"${word.replaceAll('"', '""')}"${star && ` ${star}`}`);
  }
  return phrases;
}

/** The terms of a word, each with a `*` if it is one character, which begins bigrams: `bigram_terms`. @param {string} word */
function termsOf(word) {
  const parts = (indexedText(word).match(/\S+/g) ?? []).filter((part) => tokensOf(part).length);
  const counts = parts.map((part) => [...part.matchAll(CHARACTER)].length);
  return parts.map((part, i) => [part, counts[i] === 1 ? "*" : ""]).filter((_, i) => counts[i] !== 1 || counts[i - 1] !== 2);
}

/** `indexed_text` of the service. @param {string} text */
function indexedText(text) {
  const folded = text.replace(TWO_LETTERS, (letter) => FOLDS[letter]);
  return folded.replace(RUN, (run) => {
    const normalised = run.replace(MORE_SIGNS, "$1").normalize("NFKC");
    const characters = Array.from(normalised.matchAll(CHARACTER), ([, character]) => character);
    return characters.length ? ` ${characters.map((character, i) => character + (characters[i + 1] ?? "")).join(" ")} ` : normalised;
  });
}

/**
 * @param {string} text
 * @returns {string[]}
 */
function tokensOf(text) {
  const plain = text.normalize("NFD").replace(/[\u0300-\u036f]/g, "");
  return plain.normalize().toLowerCase().match(TOKEN) ?? [];
}

/**
 * bm25 of each row that has a phrase.
 * @param {Row[]} rows
 * @param {string[]} phrases
 * @returns {Map<Row, number>}
 */
function ranks(rows, phrases) {
  const texts = rows.map(({ key }) => tokensOf(indexedText(key)));
  const mean = texts.reduce((sum, tokens) => sum + tokens.length, 0) / Math.max(1, rows.length);
  /** @type {Map<Row, number>} */
  const scores = new Map();
  for (const phrase of phrases) {
    const counts = texts.map((tokens) => occurrences(tokens, phrase.split(" ")));
    const hits = counts.filter(Boolean).length;
    const weight = Math.max(LEAST, Math.log((rows.length - hits + 0.5) / (hits + 0.5)));
    counts.forEach((count, i) => {
      if (count) scores.set(rows[i], (scores.get(rows[i]) ?? 0) + (weight * count * (K1 + 1)) / (count + K1 * (1 - B + (B * texts[i].length) / mean)));
    });
  }
  return scores;
}

/**
 * @param {string[]} tokens
 * @param {string[]} phrase
 */
function occurrences(tokens, phrase) {
  const is = (/** @type {string} */ token, next = "") => (token.endsWith("*") ? next.startsWith(token.slice(0, -1)) : next === token);
  return tokens.filter((_, at) => phrase.every((token, i) => is(token, tokens[at + i]))).length;
}

/**
 * @param {Row} a
 * @param {Row} b
 */
const byId = (a, b) => (a.id < b.id ? -1 : 1);

/**
 * @param {string} statement
 * @param {Record<string, unknown>} parameters
 * @param {Row[]} rows
 */
function answer(statement, parameters, rows) {
  return { statement, parameters, rows: rows.map(({ id, key, value }) => ({ id, key, value })), took_ms: 0 };
}

/** The filter as SQL, with numbered parameters. @param {?Filter} filter */
function clause(filter) {
  let number = 0;
  return filter ? `\n  AND ${expression(filter, () => `:filter_${number++}`)}` : "";
}

/**
 * @param {Filter} filter
 * @param {() => string} next the name of the next parameter
 * @returns {string}
 */
function expression(filter, next) {
  if ("conditions" in filter) return `(${filter.conditions.map((one) => expression(one, next)).join(" AND ")})`;
  if (filter.field === "id") return `NOT (documents.id IN (${/** @type {unknown[]} */ (filter.value).map(next).join(", ")}))`;
  return `documents."row" IN (SELECT "row" FROM fields WHERE collection = ${next()} AND field = ${next()} AND element = 0 AND kind = 5 AND value IN (${next()}))`;
}

/**
 * @param {?Filter} filter
 * @returns {Record<string, unknown>}
 */
function parameters(filter) {
  return Object.fromEntries((filter ? operands(filter) : []).map((value, i) => [`filter_${i}`, value]));
}

/**
 * @param {Filter} filter
 * @returns {unknown[]}
 */
function operands(filter) {
  if ("conditions" in filter) return filter.conditions.flatMap(operands);
  return filter.field === "id" ? /** @type {unknown[]} */ (filter.value) : [1, filter.field.slice("metadata.".length), filter.value];
}
