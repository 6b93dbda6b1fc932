/**
 * A file of rows: CSV, NDJSON or a JSON array, told apart by what is in it; the service reads any other.
 *
 * The rows come from the file each time that they are asked for, so a file may be larger than the memory.
 */

import { parseExactly } from "../../vendor/softkv/softkv.js";
import { isObject } from "../text.js";
import { CsvReader, belowTitles, delimiterOf, unquotedLine } from "./csv.js";

/**
 * @typedef {object} Flaw the name of a sentence in `upload.json`, and what fills it
 * @property {string} name
 * @property {Record<string, string | number>} [places]
 */
/**
 * @typedef {object} Row `line` in the file, or the number of the row where a file has no lines; from 1
 * @property {number} line
 * @property {Record<string, unknown>} fields
 * @property {Flaw | string} [flaw]
 */
/** @typedef {"csv" | "ndjson" | "json" | "other"} Format */
/**
 * @typedef {object} Table
 * @property {string} name of the file
 * @property {Format} format
 * @property {string[]} columns those known before the rows are read: of CSV
 * @property {(Flaw | string)[]} [notices] about the file; a text is the service's own
 * @property {boolean} typed whether its fields are JSON; those of CSV are texts
 * @property {number} [header] the line that has the names of the columns, or would have them
 * @property {string} [decimals] of CSV: the characters that may be the decimal point
 * @property {boolean} lined whether a row is named by its line; otherwise by its number
 * @property {(signal: AbortSignal, told?: (share: number) => void) => AsyncGenerator<Row[], void, undefined>} rows of the file, some at a time
 */
/**
 * @typedef {object} Reading how to read a file: the encoding of CSV, whether a line has the names of the columns, and which, from 1; lines above are left out
 * @property {string} [encoding]
 * @property {boolean} [named]
 * @property {number} [header]
 */
/** @typedef {(file: File) => AsyncIterable<import("../../vendor/softkv/softkv.js").TableLine>} ReadByService */

/** A file that cannot be read as a table; the name of a sentence says why. */
export class UnreadableFile extends Error {
  /**
   * @param {string} name
   * @param {Record<string, string | number>} [places]
   */
  constructor(name, places = {}) {
    super(name);
    this.flaw = { name, places };
  }
}

const BEGINNING = 1 << 16;
const PARQUET = "PAR1";
/** Texts, and files that may have no zero byte, which only the service reads. */
const SERVED = /\.(vec|bin|gz|bz2|xz|zst|zip)$/i;
const SEPARATED = /\.(csv|tsv|tab|txt)$/i;
/** A first line that names the delimiter to spreadsheets. */
const NAMES_DELIMITER = /^"?sep=([^\p{L}\d_"\r\n])"?(?:\r\n|\r|\n)/iu;
/** A cell without a value, as PostgreSQL, MySQL and Hive write it. */
const NULL = "\\N";
/** Characters of a cell that is shown in a sentence. */
const SHOWN = 60;

/**
 * Look at the beginning of a file, and return it as a table.
 *
 * @param {File} file
 * @param {ReadByService} readByService
 * @param {Reading} [reading]
 * @returns {Promise<Table>}
 * @throws {UnreadableFile}
 */
export async function openTable(file, readByService, reading = {}) {
  if (!file.size) throw new UnreadableFile("file.empty");
  const bytes = new Uint8Array(await file.slice(0, BEGINNING).arrayBuffer());
  const encoding = reading.encoding ?? encodingOf(bytes);
  // No text has a zero byte, and each other format that only the service reads has one at its beginning.
  const isParquet = String.fromCharCode(...bytes.slice(0, PARQUET.length)) === PARQUET;
  if (isParquet || SERVED.test(file.name) || (!encoding.startsWith("utf-16") && bytes.includes(0))) return serviceTable(file, readByService(file));
  // The last character may be cut: this is not fatal here.
  const beginning = new TextDecoder(encoding).decode(bytes);
  const first = SEPARATED.test(file.name) ? "" : beginning.trimStart()[0];
  if (first === "[") return arrayTable(file, encoding);
  if (first === "{") return linesTable(file, encoding);
  return csvTable(file, encoding, beginning, reading);
}

/** @param {Uint8Array} bytes the first of a text */
function encodingOf([first, second]) {
  if (first === 0xff && second === 0xfe) return "utf-16le";
  if (first === 0xfe && second === 0xff) return "utf-16be";
  return "utf-8";
}

/**
 * The text of a file, piece by piece.
 *
 * @param {File} file
 * @param {string} encoding
 * @param {AbortSignal} signal
 * @param {(share: number) => void} [told] how much of the file is read
 * @throws {UnreadableFile} it has another encoding
 */
async function* textOf(file, encoding, signal, told) {
  const decoder = new TextDecoder(encoding, { fatal: true });
  const reader = file.stream().getReader();
  let read = 0;
  try {
    for (;;) {
      signal.throwIfAborted();
      const { done, value } = await reader.read();
      const piece = decoded(decoder, value, encoding);
      if (piece) yield piece;
      if (done) return;
      read += value.length;
      told?.(read / file.size);
    }
  } finally {
    await reader.cancel();
  }
}

/**
 * @param {TextDecoder} decoder
 * @param {Uint8Array<ArrayBuffer> | undefined} value undefined at the end
 * @param {string} encoding
 */
function decoded(decoder, value, encoding) {
  try {
    return decoder.decode(value, { stream: value !== undefined });
  } catch (failure) {
    if (failure instanceof TypeError) throw new UnreadableFile("file.encoding", { encoding });
    throw failure;
  }
}

/**
 * The text of a CSV, whose first line is empty if it names the delimiter.
 * @param {File} file
 * @param {string} encoding
 * @param {AbortSignal} signal
 * @param {(share: number) => void} [told]
 */
async function* csvTextOf(file, encoding, signal, told) {
  let isFirst = true;
  for await (const piece of textOf(file, encoding, signal, told)) {
    yield isFirst ? piece.replace(NAMES_DELIMITER, "\n") : piece;
    isFirst = false;
  }
}

/**
 * @param {File} file
 * @param {string} encoding
 * @param {string} beginning
 * @param {Reading} reading
 * @returns {Promise<Table>}
 */
async function csvTable(file, encoding, beginning, reading) {
  const [, mark] = NAMES_DELIMITER.exec(beginning) ?? [];
  const text = beginning.replace(NAMES_DELIMITER, "\n");
  const delimiter = mark ?? delimiterOf(text, file.size <= BEGINNING);
  const unquoted = delimiter === "\t" ? await unquotedLine(csvTextOf(file, encoding, new AbortController().signal)) : 0;
  const head = new CsvReader(delimiter, !unquoted);
  const records = [...head.read(text), ...(file.size <= BEGINNING ? head.end() : [])];
  const header = reading.header ?? belowTitles(records)[0]?.line ?? 1;
  const first = records.find(({ line }) => line >= header);
  if (!first || first.flaw) throw new UnreadableFile("file.first", { characters: beginning.length });
  const hasNames = reading.named ?? looksLikeNames(first.cells);
  const columns = hasNames ? unique(first.cells) : first.cells.map((_, i) => String(i + 1));
  const unnamed = columns.filter((_, i) => hasNames && !first.cells[i].trim());

  /**
   * @param {import("./csv.js").CsvRecord} record
   * @returns {Row}
   */
  function rowOf({ line, cells, flaw }) {
    const fields = Object.fromEntries(columns.map((column, i) => [column, cells[i] === NULL ? "" : (cells[i] ?? "")]));
    if (flaw) return { line, fields, flaw: { name: flaw } };
    if (cells.length === columns.length) return { line, fields };
    return { line, fields, flaw: { name: "flaw.cells", places: { cells: cells.length, columns: columns.length } } };
  }

  return {
    name: file.name,
    format: "csv",
    columns,
    notices: [
      ...(reading.header === undefined && header > 1 ? [{ name: "notice.above", places: { line: header, count: header - 1 } }] : []),
      ...(unquoted ? [{ name: "notice.unquoted", places: { line: unquoted } }] : []),
      ...(unnamed.length ? [{ name: "notice.unnamed", places: { columns: unnamed.join(", "), count: unnamed.length } }] : []),
    ],
    typed: false,
    header: first.line,
    decimals: delimiter === ";" ? ".," : ".",
    lined: true,
    async *rows(signal, told) {
      const reader = new CsvReader(delimiter, !unquoted);
      const above = hasNames ? first.line : first.line - 1;
      for await (const piece of csvTextOf(file, encoding, signal, told)) {
        const rows = reader.read(piece).filter(({ line }) => line > above);
        if (rows.length) yield rows.map(rowOf);
      }
      const last = reader.end().filter(({ line }) => line > above);
      if (last.length) yield last.map(rowOf);
    },
  };
}

/** Whether cells can be names of columns: some are texts, and the others empty. @param {string[]} cells */
export function looksLikeNames(cells) {
  const filled = cells.filter((cell) => cell.trim());
  return filled.length > 0 && filled.every((cell) => Number.isNaN(Number(cell)));
}

/**
 * Names of columns; one without a name is named by its number.
 * @param {string[]} cells
 * @throws {UnreadableFile} two are the same
 */
function unique(cells) {
  const names = cells.map((cell, i) => cell.trim() || String(i + 1));
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new UnreadableFile("file.twice", { column: twice });
  return names;
}

/**
 * NDJSON: an object a line.
 * @param {File} file
 * @param {string} encoding
 * @returns {Table}
 */
function linesTable(file, encoding) {
  return {
    name: file.name,
    format: "ndjson",
    columns: [],
    typed: true,
    lined: true,
    async *rows(signal, told) {
      let [line, rest] = [0, ""];
      for await (const piece of textOf(file, encoding, signal, told)) {
        const lines = (rest + piece).split("\n");
        rest = lines.pop() ?? "";
        const rows = lines.flatMap((text) => lineRow(text, ++line));
        if (rows.length) yield rows;
      }
      const last = lineRow(rest, line + 1);
      if (last.length) yield last;
    },
  };
}

/**
 * @param {string} text
 * @param {number} line
 * @returns {Row[]} none of an empty line
 */
function lineRow(text, line) {
  if (!text.trim()) return [];
  try {
    return [jsonRow(parseExactly(text), line)];
  } catch (failure) {
    if (failure instanceof SyntaxError) return [{ line, fields: { text }, flaw: { name: "flaw.json", places: { text: text.slice(0, SHOWN) } } }];
    throw failure;
  }
}

/**
 * @param {unknown} value
 * @param {number} line
 * @returns {Row}
 */
function jsonRow(value, line) {
  if (isObject(value)) return { line, fields: value };
  return { line, fields: { value }, flaw: { name: "flaw.object", places: { text: JSON.stringify(value).slice(0, SHOWN) } } };
}

/**
 * @param {File} file
 * @param {string} encoding
 * @returns {Promise<Table>}
 */
async function arrayTable(file, encoding) {
  const rows = await arrayOf(file, encoding);
  return {
    name: file.name,
    format: "json",
    columns: [],
    typed: true,
    lined: false,
    async *rows(signal, told) {
      signal.throwIfAborted();
      yield rows.map((row, i) => jsonRow(row, i + 1));
      told?.(1);
    },
  };
}

/**
 * @param {File} file
 * @param {string} encoding
 * @returns {Promise<unknown[]>}
 */
async function arrayOf(file, encoding) {
  let text = "";
  for await (const piece of textOf(file, encoding, new AbortController().signal)) text += piece;
  try {
    return /** @type {unknown[]} */ (parseExactly(text));
  } catch (failure) {
    if (failure instanceof SyntaxError) throw new UnreadableFile("file.json", { reason: failure.message });
    throw failure;
  }
}

/**
 * A file that the service reads. Its rows are kept as a file, which the browser may keep on disk.
 * @param {File} file
 * @param {ReturnType<ReadByService>} lines
 * @returns {Promise<Table>}
 */
async function serviceTable(file, lines) {
  /** @type {string[]} */
  const parts = [];
  /** @type {Partial<Table>} */
  let about = {};
  for await (const line of lines) {
    if ("columns" in line) about = { columns: line.columns ?? [], lined: line.unit === "line", notices: line.notices };
    else if ("line" in line) parts.push(`${JSON.stringify(line)}\n`);
  }
  const kept = linesTable(new File(parts, file.name), "utf-8");
  return {
    ...kept,
    lined: true,
    ...about,
    format: "other",
    async *rows(signal, told) {
      for await (const rows of kept.rows(signal, told)) yield rows.map(({ fields }) => serviceRow(fields));
    },
  };
}

/**
 * @param {Record<string, unknown>} line
 * @returns {Row}
 */
function serviceRow({ line, cells, id, detail }) {
  if (isObject(cells)) return { line: Number(line), fields: cells };
  return { line: Number(line), fields: id === null ? {} : { id }, flaw: String(detail) };
}
