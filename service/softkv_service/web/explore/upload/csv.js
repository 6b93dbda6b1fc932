/** CSV: records of a text that comes in pieces, as spreadsheets and databases write them (RFC 4180, and what departs from it). */

import { h } from "../../shared/element.js";

/**
 * @typedef {object} CsvRecord the line that it begins in, from 1; `flaw`: the name of a sentence in `upload.json` if it cannot be read
 * @property {number} line
 * @property {string[]} cells
 * @property {string} flaw
 */

const DELIMITERS = [",", ";", "\t", "|"];
const [START, PLAIN, QUOTED, CLOSED] = [0, 1, 2, 3];
/** The number of first records that decide the delimiter. */
const LOOKED_AT = 20;
/** A table below a title has at least this number of columns: a text may have a comma or two. */
const LEAST_COLUMNS = 3;
const LINE_END = /[\r\n]/g;

export class CsvReader {
  #special;
  #delimiter;
  #mark;
  #state = START;
  #cell = "";
  /** @type {string[]} */
  #cells = [];
  #line = 1;
  #began = 1;
  #isQuoted = false;
  #flaw = "";
  #held = "";

  /**
   * @param {string} delimiter one character
   * @param {boolean} [quoted] whether quotation marks enclose cells; otherwise they are part of them
   */
  constructor(delimiter, quoted = true) {
    this.#delimiter = delimiter;
    this.#mark = quoted ? '"' : "";
    this.#special = new RegExp(`[${delimiter === "|" ? "\\|" : delimiter}\r\n]`, "g");
  }

  /**
   * Read a piece of the text, and return the records that end in it. Empty lines are skipped.
   * @param {string} piece
   * @returns {CsvRecord[]}
   */
  read(piece) {
    let text = this.#held + piece;
    // A return at the end may be the first half of a line end.
    this.#held = text.endsWith("\r") ? "\r" : "";
    if (this.#held) text = text.slice(0, -1);
    return this.#read(text);
  }

  /** Return the last record, which no line end follows. @returns {CsvRecord[]} */
  end() {
    const records = this.#read(this.#held);
    this.#held = "";
    if (this.#state === QUOTED) this.#flaw = "flaw.open";
    return [...records, ...this.#record()];
  }

  /**
   * @param {string} text
   * @returns {CsvRecord[]}
   */
  #read(text) {
    /** @type {CsvRecord[]} */
    const records = [];
    let at = 0;
    while (at < text.length) {
      if (this.#state === QUOTED) at = this.#quoted(text, at);
      else if (this.#state === START && text[at] === this.#mark) {
        [this.#state, this.#isQuoted] = [QUOTED, true];
        at++;
      } else if (this.#state === CLOSED && text[at] === this.#mark) {
        this.#cell += this.#mark; // two in a row are one
        this.#state = QUOTED;
        at++;
      } else {
        if (this.#state === CLOSED && ![this.#delimiter, "\r", "\n"].includes(text[at])) this.#flaw = "flaw.follows";
        const special = this.#flaw ? LINE_END : this.#special;
        special.lastIndex = at;
        const end = special.exec(text)?.index ?? text.length;
        this.#cell += text.slice(at, end);
        this.#state = PLAIN;
        at = end;
        if (at === text.length) break;
        if (text[at] === this.#delimiter) this.#endCell();
        else {
          if (text[at] === "\r" && text[at + 1] === "\n") at++;
          this.#line++;
          records.push(...this.#record());
        }
        at++;
      }
    }
    return records;
  }

  /**
   * Read up to the quotation mark that closes a cell, and return where that was.
   * @param {string} text
   * @param {number} from
   */
  #quoted(text, from) {
    const mark = text.indexOf('"', from);
    const end = mark < 0 ? text.length : mark;
    const inside = text.slice(from, end);
    this.#cell += inside;
    this.#line += inside.match(/\r\n|\r|\n/g)?.length ?? 0;
    if (mark < 0) return end;
    this.#state = CLOSED;
    return end + 1;
  }

  #endCell() {
    this.#cells.push(this.#cell);
    [this.#cell, this.#state] = ["", START];
  }

  /** @returns {CsvRecord[]} */
  #record() {
    const isEmpty = !this.#cells.length && this.#cell === "" && !this.#isQuoted;
    this.#endCell();
    const record = { line: this.#began, cells: this.#cells, flaw: this.#flaw };
    [this.#cells, this.#isQuoted, this.#flaw, this.#began] = [[], false, "", this.#line];
    return isEmpty ? [] : [record];
  }
}

/**
 * The delimiter of a CSV: the one that splits its first records into the same number of cells, and into most; titles above them do not count.
 * @param {string} beginning
 * @param {boolean} whole whether that is all of it
 */
export function delimiterOf(beginning, whole) {
  const splits = DELIMITERS.map((delimiter) => {
    const reader = new CsvReader(delimiter);
    const records = reader.read(beginning);
    if (whole) records.push(...reader.end());
    const sound = belowTitles(records.slice(0, LOOKED_AT).filter(({ flaw }) => !flaw));
    const widths = sound.map(({ cells }) => cells.length);
    const [width = 1] = widths;
    return { delimiter, width, alike: widths.filter((one) => one === width).length / Math.max(1, widths.length) };
  });
  const splitting = splits.filter(({ width }) => width > 1);
  splitting.sort((a, b) => b.alike - a.alike || b.width - a.width);
  return splitting[0]?.delimiter ?? ",";
}

/** The records below titles: lines of one filled cell, which stand above rows of three cells and more. @param {CsvRecord[]} records */
export function belowTitles(records) {
  const filled = records.map(({ cells }) => cells.filter((cell) => cell.trim()).length);
  const first = filled.findIndex((count) => count > 1);
  const rows = records.slice(first);
  const isTable = first > 0 && filled[first] >= LEAST_COLUMNS && rows.every(({ cells }) => cells.length === rows[0].cells.length);
  return isTable ? rows : records;
}

/** The first line that shows that the cells of a text with tabs are not quoted, as `softkv.tables.sheets` finds it; 0 without one. @param {AsyncIterable<string>} pieces */
export async function unquotedLine(pieces) {
  const [quoted, plain] = [new CsvReader("\t"), new CsvReader("\t", false)];
  const widths = new Set();
  let [longer, before] = [0, 0];
  /**
   * @param {CsvRecord[]} records
   * @param {CsvRecord[]} lines
   */
  function flawed(records, lines) {
    for (const { cells } of lines) widths.add(cells.length);
    for (const { line, cells, flaw } of records) {
      if (flaw) return line;
      longer ||= before;
      before = cells.some((cell) => /[\r\n]/.test(cell)) ? line : 0;
    }
    return 0;
  }
  for await (const piece of pieces) {
    const line = flawed(quoted.read(piece), plain.read(piece));
    if (line) return line;
  }
  return flawed(quoted.end(), plain.end()) || (widths.size === 1 ? longer : 0);
}

/** A record as a line of CSV, with its line end. @param {readonly string[]} cells */
export function csvLine(cells) {
  return `${cells.map((cell) => (/[",\r\n]|^\s|\s$|^$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(",")}\r\n`;
}

/** A text as a cell of a spreadsheet, which would run one that begins so, also in full width, as a formula: an apostrophe keeps it a text. @param {string} text */
export function inert(text) {
  return /^\s*[=+\-@＝＋－＠]|^[\t\r\n]/.test(text) ? `'${text}` : text;
}

/** A cell that a spreadsheet runs not as a formula; a number with a sign stays one. @param {string} cell */
export function inertText(cell) {
  return /^\s*[+-]?[\d.,]+\s*$/.test(cell) ? cell : inert(cell);
}

/**
 * Hand the reader a file that the page made.
 * @param {string} text
 * @param {string} name
 */
export function download(text, name) {
  const url = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv" })); // spreadsheets read UTF-8 only with this mark
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
