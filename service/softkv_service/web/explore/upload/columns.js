/** The contents of a table's columns, the part of a document that each becomes, and the documents made of them. */

import { ColumnOfTexts, jsonOf, noticesOf, read } from "./kinds.js";
import { isObject } from "../text.js";

/** @typedef {import("./table.js").Flaw} Flaw */
/** @typedef {import("./table.js").Row} Row */
/** @typedef {import("./table.js").Table} Table */
/** @typedef {import("./kinds.js").ColumnType} ColumnType */
/** @typedef {"text" | "number" | "boolean" | "list" | "object" | "vector" | "mixed" | "empty"} Kind what all filled cells of a column are */
/**
 * @typedef {object} Column `letters`: how long its texts are, on average; `words`: how many its texts have in the first rows; `dated`: whether all are dates; `formal`: whether all look like dates or numbers; `type`: of a column of CSV
 * @property {string} name
 * @property {Kind} kind
 * @property {number} filled
 * @property {number} letters
 * @property {number} words
 * @property {boolean} dated
 * @property {boolean} formal
 * @property {ColumnType} [type]
 */
/**
 * @typedef {object} Survey `coded`: whether the first column has a code in each row, each once; the first rows are those that are shown; `filled`: the number of rows by the columns that are filled in them, as JSON; null for too many combinations
 * @property {number} rows
 * @property {number} flawed
 * @property {Column[]} columns
 * @property {Row[]} first
 * @property {Map<string, number> | null} filled
 * @property {boolean} coded
 */
/** @typedef {Column & {total: number, texts: number, width: number, noted?: ColumnOfTexts}} Noted */
/** @typedef {"id" | "key" | "value" | "metadata" | "key_vector" | "value_vector" | "expires" | "skip"} Role */
/**
 * @typedef {object} Mapping `joined`: the columns whose texts are the key, in this order, or none if one column is; `proposed`: a short column and a long one, which the guess joined; `shown`: the column that became the value as it was joined; `holed`: the columns that were not taken as the key and as the id, since they have holes; `fallback`: the column that is the key of rows whose key is empty; `prefix` begins the ids where no column has them; `whole`: the rows are documents already
 * @property {Record<string, Role>} roles
 * @property {Record<string, ColumnType | undefined>} types
 * @property {string} prefix
 * @property {boolean} whole
 * @property {readonly string[]} joined
 * @property {readonly string[]} [proposed]
 * @property {string} [shown]
 * @property {string} [fallback]
 * @property {(string | undefined)[]} [holed]
 */

/** @type {readonly Role[]} */
export const ROLES = ["key", "value", "id", "metadata", "key_vector", "value_vector", "expires", "skip"];
/** The parts whose cells of CSV have the type of their column. @type {ReadonlySet<Role>} */
const TYPED = new Set(["value", "metadata"]);
const LISTED = new Set(/** @type {Kind[]} */ (["list", "vector"]));
/** The parts that a document has only once. */
const SINGLE = new Set(["key", "value", "id", "key_vector", "value_vector", "expires"]);
const PREVIEW = 5;
/** The limits of `softkv load`: how many rows are counted, and the words of a long column, as a multiple of the key's and for each row. */
const [SAMPLE, LONGER, LONG] = [100, 2, 8];
/** Tables whose cells are all texts, packed for the service. */
const PACKED_TEXT = /\.(csv|tsv|tab|txt)\.(gz|bz2|xz|zst)$/i;
/** A word between the spaces that Python knows. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: four of these spaces are control characters
const WORD = /[^\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/g;
/** The beginning of a vector in a text, as NumPy prints it. */
const VECTOR = /^\s*(?:array\()?[[(]+\s*[-+.\d]/;
/** The most combinations of filled columns that are counted, and the most codes that are compared. */
const [COMBINATIONS, CODES] = [2000, 1_000_000];
const CODE = /^(?=.*\d)(?=.*\p{L})\S{1,40}$/u;

/** Names of columns that tell what they are, the surest first. @type {Partial<Record<Role, string[]>>} */
const NAMED = {
  id: ["id", "_id", "uuid", "guid", "doc_id", "document_id", "identifier"],
  key: ["key", "question", "query", "title", "name", "headline", "subject", "sentence", "text", "description", "content", "body"],
  value: ["value", "answer", "response", "abstract", "content", "body", "text", "description", "summary"],
  key_vector: ["key_vector", "vector", "embedding", "embeddings", "emb"],
  value_vector: ["value_vector"],
  expires: ["expires"],
};
/** The fields of a document as the API takes it. */
const DOCUMENT = new Set(["id", "key", "value", "metadata", "key_vector", "key_vectors", "parts", "split", "value_vector", "expires"]);
const DURATION = /^(\d+(?:\.\d+)?)([smhdw])$/;
/** @type {Record<string, number>} */
const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
const INSTANT = /^(\d{4}-\d\d-\d\d)([T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(Z|[+-]\d\d:\d\d)?$/;
const BRACKETS = new Set("[](){}");
const NUMBER = /^-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;

/**
 * Read a whole table: how many rows it has, and what its columns hold.
 *
 * @param {Table} table
 * @param {AbortSignal} signal
 * @param {(share: number, rows: number) => void} [told]
 * @returns {Promise<Survey>}
 */
export async function survey(table, signal, told) {
  /** @type {Map<string, Noted>} */
  const columns = new Map(table.columns.map((name) => [name, blank(name, table.decimals)]));
  let [rows, flawed] = [0, 0];
  const first = /** @type {Row[]} */ ([]);
  let filled = /** @type {Map<string, number> | null} */ (new Map());
  let [codes, coded] = [new Set(), true];
  for await (const some of table.rows(signal, (share) => told?.(share, rows))) {
    for (const row of some) {
      rows++;
      if (row.flaw) {
        flawed++;
        continue;
      }
      if (first.length < PREVIEW) first.push(row);
      const code = row.fields[table.columns[0]];
      coded &&= typeof code === "string" && CODE.test(code) && codes.size < Math.min(CODES, codes.add(code).size);
      const names = [];
      for (const [name, cell] of Object.entries(row.fields)) {
        if (isBlank(cell)) continue;
        if (typeof cell !== "string" || cell.trim()) names.push(name);
        let column = columns.get(name);
        if (!column) columns.set(name, (column = blank(name, table.decimals)));
        note(column, column.noted ? column.noted.note(/** @type {string} */ (cell), row.line) : cell, typeof cell === "string" ? cell.length : 0);
        if (rows <= SAMPLE && typeof cell === "string" && !VECTOR.test(cell)) column.words += cell.match(WORD)?.length ?? 0;
      }
      const combination = JSON.stringify(names);
      filled?.set(combination, (filled.get(combination) ?? 0) + 1);
      if (filled && filled.size > COMBINATIONS) filled = null;
    }
  }
  return {
    rows,
    flawed,
    first,
    filled,
    coded: coded && rows > 1,
    columns: Array.from(columns.values(), ({ name, kind: shape, filled: cells, texts, total, words, dated, noted }) => {
      const type = noted?.decide();
      const kind = type && cells && type.kind !== "json" && type.kind !== "date" ? type.kind : shape;
      const isDated = shape === "text" && (dated || Boolean(type?.formats.length));
      const isFormal = kind === "text" && (dated || type?.remark !== undefined);
      return { name, kind, filled: cells, letters: texts ? total / texts : 0, words, dated: isDated, formal: isFormal, type };
    }),
  };
}

/**
 * @param {string} name
 * @param {string} [decimals]
 * @returns {Noted}
 */
function blank(name, decimals) {
  const noted = decimals === undefined ? undefined : new ColumnOfTexts(name, decimals);
  return { name, kind: "empty", filled: 0, letters: 0, words: 0, dated: true, formal: true, total: 0, texts: 0, width: 0, noted };
}

/**
 * @param {Noted} column
 * @param {unknown} value null of a cell that marks a missing value
 * @param {number} letters
 */
function note(column, value, letters) {
  column.filled++;
  column.total += letters;
  column.texts += letters ? 1 : 0;
  if (value === null) return;
  let kind = kindOf(value);
  if (kind === "vector") {
    const { length } = /** @type {unknown[]} */ (value);
    if (column.width && column.width !== length) kind = "list";
    column.width = length;
  }
  if (column.kind === "empty") column.kind = kind;
  else if (column.kind !== kind) column.kind = LISTED.has(kind) && LISTED.has(column.kind) ? "list" : "mixed";
  column.dated &&= typeof value === "string" && INSTANT.test(value) && instantOf(value) !== null;
}

/**
 * @param {unknown} value
 * @returns {Kind}
 */
function kindOf(value) {
  if (Array.isArray(value)) return value.length > 1 && value.every(isNumber) ? "vector" : "list";
  if (isNumber(value)) return "number";
  if (isObject(value)) return "object";
  return typeof value === "boolean" ? "boolean" : "text";
}

/** Whether a value is a number, also one of more digits than a number here holds. @param {unknown} value */
function isNumber(value) {
  return typeof value === "number" || isExactNumber(value);
}

/**
 * @param {unknown} value
 * @returns {value is {rawJSON: string}}
 */
function isExactNumber(value) {
  return typeof value === "object" && value !== null && "rawJSON" in value && Object.isFrozen(value);
}

/** @param {unknown} cell */
function isBlank(cell) {
  return cell === null || cell === undefined || cell === "";
}

/**
 * Guess the part of a document that each column becomes.
 * @param {Table} table
 * @param {Survey} surveyed
 * @param {boolean} encodes whether the collection has an encoder
 * @returns {Mapping}
 */
export function guess(table, { columns, rows, flawed, coded }, encodes) {
  /** @type {Record<string, Role>} */
  const roles = Object.fromEntries(columns.map(({ name }) => [name, "metadata"]));
  const free = new Set(columns);
  /**
   * @param {Role} role
   * @param {(column: Column) => boolean} fits
   */
  const take = (role, fits) => {
    for (const wanted of NAMED[role] ?? []) {
      const column = [...free].find((one) => one.name.trim().toLowerCase() === wanted && fits(one));
      if (!column) continue;
      roles[column.name] = role;
      free.delete(column);
      return;
    }
  };
  const isWhole = (/** @type {Column} */ { filled }) => filled === rows - flawed;
  const isId = (/** @type {Column} */ { kind }) => kind === "text" || kind === "number" || kind === "mixed";
  const isNamed = (/** @type {Column} */ { name }, /** @type {"id" | "key" | "value"} */ role) => NAMED[role]?.indexOf(name.trim().toLowerCase()) ?? -1;
  take("id", (column) => isId(column) && isWhole(column));
  const nameless = [...free].find((column) => isNamed(column, "id") >= 0 && isId(column) && !isWhole(column));
  const [head, ...rest] = columns;
  const isCoded = coded && !nameless && free.size === columns.length && !head.formal && isNamed(head, "key") < 0;
  if (isCoded && rest.some((one) => isText(one) && !one.formal) && free.delete(head)) roles[head.name] = "id";
  const texts = [...free].filter(isText).sort((a, b) => Number(a.formal) - Number(b.formal) || b.letters - a.letters);
  const named = texts.filter((column) => isNamed(column, "key") >= 0).sort((a, b) => isNamed(a, "key") - isNamed(b, "key"));
  const [first, ...others] = new Set([...named, ...texts]);
  // Rows without a key would be refused, so a column that all rows fill goes before; no answer is a key, and neither is a mark.
  const whole = others.find((one) => isWhole(one) && !one.formal && one.letters >= first.letters && (named.includes(one) || isNamed(one, "value") < 0));
  const key = first && !isWhole(first) && whole ? whole : first;
  if (key && free.delete(key)) roles[key.name] = "key";
  take("value", ({ name }) => name !== "expires");
  // An answer shows the name that not every row has.
  if (key !== first && !Object.values(roles).includes("value")) roles[first.name] = "value";
  // With an encoder, vectors of another model would be refused, or worse, taken.
  take("key_vector", ({ kind }) => kind === "vector" && !encodes);
  take("value_vector", ({ kind }) => kind === "vector");
  take("expires", () => true);
  for (const { name, kind } of free) if (kind === "vector" && encodes) roles[name] = "skip";
  const names = columns.map(({ name }) => name);
  const isDocument = table.typed && names.includes("id") && names.every((name) => DOCUMENT.has(name));
  const types = Object.fromEntries(columns.map(({ name, type }) => [name, type]));
  const holed = [key === first ? undefined : first, nameless].map((one) => one?.name);
  /** @type {Mapping} */
  const mapping = { roles, types, prefix: prefixOf(table.name), whole: isDocument, joined: [], holed };
  const long = longColumn(columns, mapping, Math.min(rows, SAMPLE));
  if (!key || !long || !encodes || isDocument || !(table.format === "csv" || PACKED_TEXT.test(table.name))) return mapping;
  return { ...keyedBy(mapping, [key.name, long.name]), proposed: [key.name, long.name] };
}

/**
 * The column of long texts beside a key of short ones; undefined if there is none.
 * @param {Column[]} columns
 * @param {Mapping} mapping
 * @param {number} rows whose words are counted
 */
function longColumn(columns, { roles }, rows) {
  const key = columns.find(({ name }) => roles[name] === "key");
  if (!key?.words) return undefined;
  const others = columns.filter((column) => isText(column) && (roles[column.name] === "value" || roles[column.name] === "metadata"));
  const [long] = others.sort((a, b) => b.words - a.words);
  return long && long.words >= Math.max(LONGER * key.words, LONG * rows) ? long : undefined;
}

/** The notices about the columns of CSV that are typed, about those with holes, and about a long one beside the key. @param {Mapping} mapping */
export function noticesAbout(mapping) {
  const { roles, types, holed = [], proposed = [] } = mapping;
  const keys = keysOf(mapping);
  const [key = ""] = keys;
  const isLeft = [key !== holed[0] && keys.length === 1, columnOf(mapping, "id") === undefined];
  const left = holed.flatMap((column, i) =>
    column !== undefined && isLeft[i] ? [{ name: i ? "notice.nameless" : "notice.holes", places: { column, key } }] : [],
  );
  const typed = Object.entries(types).flatMap(([name, type]) => (type && TYPED.has(roles[name]) ? noticesOf(name, type) : []));
  const isOfProposed = keys.length > 0 && keys.length <= proposed.length && keys.every((name, i) => name === proposed[i]);
  const long = isOfProposed ? [{ name: keys.length > 1 ? "notice.joined" : "notice.apart", places: { column: proposed[1], key } }] : [];
  return [...long, ...left, ...typed];
}

/**
 * The rows that have no key or no id, and so will be refused; null if the survey does not have them.
 * @param {Survey} survey
 * @param {Mapping} mapping
 */
export function holes({ filled, columns }, mapping) {
  const [vector, id] = [columnOf(mapping, "key_vector"), columnOf(mapping, "id")];
  const keys = [...keysOf(mapping), ...(vector === undefined ? [] : [vector])];
  if (mapping.whole || !filled || !keys.length) return null;
  let [keyless, nameless] = [0, 0];
  /** The number of rows without a key by the column that could be it. @type {Map<string, number>} */
  const instead = new Map(columns.filter((column) => isText(column) && !column.formal && !keys.includes(column.name)).map(({ name }) => [name, 0]));
  for (const [combination, rows] of filled) {
    const names = new Set(JSON.parse(combination));
    if (id !== undefined && !names.has(id)) nameless += rows;
    else if (!keys.some((name) => names.has(name))) {
      for (const name of names) instead.set(name, (instead.get(name) ?? Number.NaN) + rows);
      if (mapping.fallback === undefined || !names.has(mapping.fallback)) keyless += rows;
    }
  }
  const others = [...instead].filter(([, rows]) => rows > 0).sort(([, one], [, other]) => other - one);
  return { keyless, nameless, instead: others };
}

/** @param {Column} column */
function isText({ kind }) {
  return kind === "text" || kind === "mixed";
}

/** The beginning of the ids of a file's rows, so that other files' rows have other ids. @param {string} name of the file */
function prefixOf(name) {
  const stem = name.replace(/\.[^.]*$/, "").replace(/[\p{Cc}\p{Cs}]/gu, "");
  return `${[...stem].slice(0, 100).join("") || "row"}-`;
}

/**
 * Give a column a part; another column that had it becomes metadata.
 * @param {Mapping} mapping
 * @param {string} name
 * @param {Role} role
 * @returns {Mapping}
 */
export function assigned(mapping, name, role) {
  if (role === "key") return { ...keyedBy(mapping, [name]), fallback: undefined };
  const roles = Object.fromEntries(
    Object.entries(mapping.roles).map(([other, now]) => [other, now === role && SINGLE.has(role) ? /** @type {Role} */ ("metadata") : now]),
  );
  const fallback = mapping.roles[name] === "key" ? undefined : mapping.fallback;
  const shown = role === "value" || name === mapping.shown ? undefined : mapping.shown;
  return { ...mapping, roles: { ...roles, [name]: role }, fallback, shown };
}

/**
 * Make columns the key, in this order. If they are several, each is another field besides, as `softkv load` does it: the
 * last is the value if no column is, and the others are metadata.
 * @param {Mapping} mapping
 * @param {readonly string[]} names
 * @returns {Mapping}
 */
export function keyedBy(mapping, names) {
  const isJoined = names.length > 1;
  const roles = Object.fromEntries(
    Object.entries(mapping.roles).map(([name, role]) => [name, role === "key" || name === mapping.shown ? /** @type {Role} */ ("metadata") : role]),
  );
  const last = names[names.length - 1];
  const shown = isJoined && roles[last] === "metadata" && !Object.values(roles).includes("value") ? last : undefined;
  if (!isJoined) roles[last] = "key";
  else if (shown !== undefined) roles[shown] = "value";
  const fallback = mapping.fallback !== undefined && names.includes(mapping.fallback) ? undefined : mapping.fallback;
  return { ...mapping, roles, joined: isJoined ? names : [], shown, fallback };
}

/** The columns whose texts are the key, in their order. @param {Mapping} mapping */
export function keysOf(mapping) {
  const key = columnOf(mapping, "key");
  return mapping.joined.length || key === undefined ? mapping.joined : [key];
}

/**
 * The column that has a part; undefined if none has.
 * @param {Mapping} mapping
 * @param {Role} role
 */
export function columnOf(mapping, role) {
  return Object.keys(mapping.roles).find((name) => mapping.roles[name] === role);
}

/**
 * The document of a row, or why there is none.
 *
 * @param {Row} row
 * @param {Mapping} mapping
 * @param {boolean} typed
 * @returns {{document: Record<string, unknown>, flaw?: undefined} | {document?: undefined, flaw: Flaw | string}}
 */
export function documentOf({ line, fields, flaw }, mapping, typed) {
  if (flaw) return { flaw };
  if (mapping.whole) return wholeDocument(fields);
  const document = /** @type {Record<string, unknown>} */ ({});
  const metadata = /** @type {[string, unknown][]} */ ([]);
  for (const [name, cell] of Object.entries(fields)) {
    const role = mapping.roles[name] ?? "metadata";
    if (role === "skip" || isBlank(cell) || (role === "key" && typeof cell === "string" && !cell.trim())) continue;
    const type = TYPED.has(role) ? mapping.types[name] : undefined;
    const value = type ? read(/** @type {string} */ (cell), type) : cell;
    if (value === null) continue;
    if (role === "metadata") metadata.push(...metadataOf(name, value, typed));
    else if (role === "id" || role === "key") {
      const text = typed ? textOf(value) : /** @type {string} */ (cell);
      if (text === null) return { flaw: { name: "flaw.text", places: { column: name } } };
      document[role] = text;
    } else if (role === "expires") {
      const instant = instantOf(value);
      if (instant === null) return { flaw: { name: "flaw.instant", places: { column: name } } };
      document.expires = instant;
    } else if (typeof value === "string" && role !== "value") {
      const vector = vectorOf(value);
      if (typeof vector === "string") return { flaw: { name: vector, places: { column: name } } };
      document[role] = vector;
    } else document[role] = value;
  }
  const joined = joinedText(fields, mapping.joined);
  if (typeof joined !== "string") return { flaw: joined };
  if (joined) document.key = joined;
  const [id, key] = [columnOf(mapping, "id"), columnOf(mapping, "key")];
  if (id !== undefined && document.id === undefined) return { flaw: { name: "flaw.empty", places: { column: id } } };
  document.id ??= `${mapping.prefix}${line}`;
  if (document.key === undefined && document.key_vector === undefined && mapping.fallback !== undefined) {
    const text = textOf(fields[mapping.fallback]);
    if (text?.trim()) document.key = text;
  }
  if (document.key === undefined && document.key_vector === undefined) {
    if (mapping.joined.length) return { flaw: { name: "flaw.keyless", places: { columns: mapping.joined.join(", ") } } };
    return { flaw: { name: "flaw.empty", places: { column: key ?? columnOf(mapping, "key_vector") ?? "" } } };
  }
  if (metadata.length) document.metadata = Object.fromEntries(metadata);
  const twice = metadata.find(([field], i) => metadata.findIndex(([other]) => other === field) !== i);
  if (twice) return { flaw: { name: "flaw.twice", places: { column: twice[0] } } };
  return { document };
}

/**
 * The texts of columns as one, a line each, without empty cells and the spaces around them; or why there is none.
 * @param {Record<string, unknown>} fields
 * @param {readonly string[]} columns
 * @returns {string | Flaw}
 */
function joinedText(fields, columns) {
  const texts = [];
  for (const column of columns) {
    if (isBlank(fields[column])) continue;
    const text = textOf(fields[column]);
    if (text === null) return { name: "flaw.text", places: { column } };
    const words = [...text.matchAll(WORD)];
    const last = words.at(-1);
    if (last) texts.push(text.slice(words[0].index, last.index + last[0].length));
  }
  return texts.join("\n");
}

/**
 * @param {unknown} value
 * @returns {?string}
 */
function textOf(value) {
  if (typeof value === "string") return value;
  if (isExactNumber(value)) return value.rawJSON;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : null;
}

/**
 * A row that is a document already.
 * @param {Record<string, unknown>} fields
 * @returns {ReturnType<typeof documentOf>}
 */
function wholeDocument(fields) {
  const document = { ...fields };
  if (Number.isSafeInteger(fields.id) || isExactNumber(fields.id)) document.id = textOf(fields.id);
  if (typeof fields.expires === "string" && DURATION.test(fields.expires)) document.expires = instantOf(fields.expires);
  return { document };
}

/** The numbers of a vector that is written as a text: a JSON list, or as NumPy prints it; or the name of a flaw. @param {string} text */
function vectorOf(text) {
  if (/\.\.\.|…/.test(text)) return "flaw.shortened";
  const printed = text
    .trim()
    .replace(/^array\(/, "")
    .replaceAll(/np\.float\d+\(([^()]*)\)/g, "$1");
  const numbers = withoutBrackets(printed)
    .trim()
    .split(/[\s,;]+/);
  return numbers.every((number) => NUMBER.test(number)) ? numbers.map(Number) : "flaw.vector";
}

/** A text without the brackets at its beginning and end. @param {string} text */
function withoutBrackets(text) {
  let [begin, end] = [0, text.length];
  while (begin < end && BRACKETS.has(text[begin])) begin++;
  while (end > begin && BRACKETS.has(text[end - 1])) end--;
  return text.slice(begin, end);
}

/** The instant at which a document expires, as Python reads it: a time without a zone is in UTC, and 30d is 30 days from now; null for other values. @param {unknown} value */
function instantOf(value) {
  if (isNumber(value)) return value;
  if (typeof value !== "string") return null;
  const text = value.trim();
  const [, amount, unit] = DURATION.exec(text) ?? [];
  if (unit) return new Date(Date.now() + Number(amount) * 1000 * SECONDS[unit]).toISOString();
  if (NUMBER.test(text)) return Number(text);
  const [, date, time = "T00:00:00", zone = "Z"] = INSTANT.exec(text) ?? [];
  if (!date || Number.isNaN(Date.parse(`${date}${time.replace(" ", "T")}${zone}`))) return null;
  return `${date}${time.replace(" ", "T")}${zone === "+00:00" ? "Z" : zone}`;
}

/**
 * A column `metadata` is all of the metadata, also as a text of JSON, and `metadata.year` a field of it, as an export writes them.
 * @param {string} name
 * @param {unknown} value
 * @param {boolean} typed
 * @returns {[string, unknown][]}
 */
function metadataOf(name, value, typed) {
  const fields = name === "metadata" && typed && typeof value === "string" && value.startsWith("{") ? (jsonOf(value) ?? value) : value;
  if (name === "metadata" && isObject(fields)) return Object.entries(fields);
  return [[name.startsWith("metadata.") ? name.slice("metadata.".length) : name, value]];
}
