/**
 * The type of a column whose cells are texts, and what its reader should hear about it: the rules of `softkv.tables.kinds`.
 * A filter reads its values by the same rules.
 */

import { exactInteger, parseExactly } from "../../vendor/softkv/softkv.js";
import { text } from "../text.js";

/** @typedef {"text" | "number" | "boolean" | "json" | "date"} TextKind */
/** @typedef {"numbers" | "text" | "decimal" | "missing" | "dates" | "ambiguous" | "odd"} Remark numbers or dates in another spelling, or cells that keep a column text */
/**
 * @typedef {object} ColumnType `cells`: the filled ones that are not missing; `mark`: the first of the missing; `example`: the reason of the remark; `formats`: those that fit its dates; `thousands`: the mark between groups of three digits; `point`: the decimal point, if it is known; `line`: where the example of `odd` is
 * @property {TextKind} kind
 * @property {number} cells
 * @property {number} missing
 * @property {string} mark
 * @property {Remark} [remark]
 * @property {string} example
 * @property {readonly string[]} formats
 * @property {string} [thousands]
 * @property {string} [point]
 * @property {number} [line]
 */

/** Texts, in small letters, that mark a cell without a value. */
const MISSING = new Set(["n/a", "na", "#n/a", "nan", "null", "-", "–", "—"]);
/** Words in the names of columns whose trailing zeros say nothing. */
const AMOUNTS = new Set(
  (
    "amount amounts balance budget cost costs discount fare fee fees income pct percent percentage price prices rate rates revenue salary " +
    "subtotal tax total totals vat wage anteil betrag gehalt kosten preis preise prozent summe umsatz % $ € £"
  ).split(" "),
);
const DIGITS = ["%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y年%m月%d日"];
const DAYS = [...DIGITS, "%d %B %Y", "%d. %B %Y", "%d-%B-%Y", "%B %d, %Y", "%B %d %Y"];
const MONTHS = "january february march april may june july august september october november december".split(" ");
const FORMATS = DAYS.flatMap((day) => ["", " %H:%M", " %H:%M:%S"].map((time) => day + time));
/** The parts of a date, as Python reads them. @type {Record<string, string>} */
const PARTS = {
  "%d": "(?<day>\\d\\d?| [1-9])",
  "%m": "(?<month>\\d\\d?)",
  "%B": "(?<name>[A-Za-z]{3,9})\\.?",
  "%Y": "(?<year>\\d{4})",
  "%H": "(?<time>(?:2[0-3]|[01]?\\d)",
  "%M": "[0-5]?\\d)",
  "%M:%S": "[0-5]?\\d:[0-5]?\\d)",
  ".": "\\.",
  " ": "\\s+",
};
const PATTERNS = new Map(FORMATS.map((format) => [format, new RegExp(`^${format.replace(/%M:%S|%\w|[. ]/g, (part) => PARTS[part])}$`)]));
const LONGEST_DATE = 60;
/** A column of numbers has at least this many cells for each missing one. */
const MISSING_SHARE = 100;
/** Characters of a cell that is shown in a notice. */
const SHOWN = 40;
/** The most characters of a number in a text. */
const LONGEST_NUMBER = 400;
/** Whether this browser keeps whole numbers beyond 2^53. */
const IS_EXACT = typeof exactInteger("9007199254740993") !== "string";
const INTEGER = /^-?(?:0|[1-9]\d{0,19})$/;
const UNIT = /^([+-]?)([$€£¥]?) ?(\d.*?) ?([%$€£¥]?)$/s;
/** Numbers in groups of three digits, by the mark between groups. @type {Record<string, RegExp>} */
const GROUPED = {
  ",": /^[+-]?(?:(?:0|[1-9]\d{0,2})(?:,\d{3}){1,5}|0|[1-9]\d{0,17})(?:\.\d+)?$/,
  ".": /^[+-]?(?:(?:0|[1-9]\d{0,2})(?:\.\d{3}){1,5}|0|[1-9]\d{0,17})(?:,\d+)?$/,
};
const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
const LIKE = /^\(?[+-]?[$€£¥]? ?[+-]?(\d+|\d{1,3}([,.'’ \u00a0\u202f]\d{3})+)([.,]\d+)? ?[%$€£¥]?\)?$/;
/** A-17, 12a, 1234 AB, 2.0b, 12:30, 1.4.1, 01234, and numbers of telephones. */
const CODE = /\p{L}[- ]?\d+(?![\p{L}\d_]|[.,]\d)|(?<![\d.,])\d+ ?\p{L}|\d[a-z](?![\p{L}\d_])|\d[-/:][\p{L}\d_]|\.\d\d?\.\d|^\+?0\d|^\+[\d ]+$|\d \d[\d ]*$/u;

/** The cells of a column: note every filled one, then `decide`. */
export class ColumnOfTexts {
  #name;
  #decimals;
  #count = 0;
  #missing = 0;
  #mark = "";
  #bracket = "";
  /** @type {Set<TextKind | "date">} */
  #kinds = new Set(["number", "boolean", "json", "date"]);
  #formats = FORMATS;
  #point = "";
  #pointed = "";
  #changed = "";
  #flawed = "";
  #grouped = "";
  #like = 0;
  #alike = 0;
  /** The first cell, and the first that is no number like those before. @type {{example: string, line: number}[]} */
  #firsts = [];
  /** @type {string | undefined} */
  #unit;
  #thousands = Object.keys(GROUPED);
  /** @type {Set<number>} */
  #places = new Set();

  /**
   * @param {string} name
   * @param {string} decimals the characters that may be the decimal point
   */
  constructor(name, decimals) {
    this.#name = name;
    this.#decimals = decimals;
  }

  /**
   * Take a filled cell into account; return its JSON while all are JSON, null if it is missing, else its text.
   * @param {string} cell
   * @param {number} line
   * @returns {unknown}
   */
  note(cell, line) {
    if (isMissing(cell)) {
      this.#missing++;
      this.#mark ||= cell;
      return null;
    }
    this.#count++;
    const kinds = this.#kinds;
    const isOdd = kinds.has("number") && !this.#noteNumber(cell) && kinds.delete("number");
    if (isOdd || this.#count === 1) this.#firsts.push({ example: cell, line });
    if (this.#like * 5 > this.#count * 4 - 1000) {
      const text = cell.slice(0, LONGEST_DATE).trim(); // of a column that may still look like numbers
      this.#alike += Number(splitUnit(text)[0] === this.#unit);
      this.#like += comesBack(text) || !CODE.test(text) ? Number(comesBack(text) || LIKE.test(text)) : Number.NEGATIVE_INFINITY;
    }
    if (!/^(?:true|false)$/i.test(cell)) kinds.delete("boolean");
    if (kinds.has("date")) {
      this.#formats = cell.length <= LONGEST_DATE ? this.#formats.filter((format) => dateIn(cell, format)) : [];
      if (!this.#formats.length) kinds.delete("date");
    }
    if (!kinds.has("json")) return cell;
    this.#bracket ||= cell[0];
    const value = /^[[{]/.test(cell) && cell[0] === this.#bracket ? jsonOf(cell) : undefined;
    if (value === undefined) kinds.delete("json");
    return value ?? cell;
  }

  /** Note the form of a number; return whether the column still looks like numbers. @param {string} cell */
  #noteNumber(cell) {
    if (cell.length > LONGEST_NUMBER) return false;
    const [unit, bare] = splitUnit(cell);
    if (unit !== (this.#unit ??= unit)) return false;
    if (unit) this.#changed ||= cell;
    this.#thousands = this.#thousands.filter((mark) => GROUPED[mark].test(bare));
    this.#noteDecimals(cell, bare);
    return this.#thousands.length > 0 || !this.#grouped;
  }

  /**
   * Note the decimals of a number; of one that cannot be read without its groups of digits, that.
   * @param {string} cell
   * @param {string} bare
   */
  #noteDecimals(cell, bare) {
    const point = [",", "."].find((mark) => bare.includes(mark)) ?? "";
    const number = withPoint(bare);
    if ((point && this.#point && this.#point !== point) || !NUMBER.test(number.trim())) {
      this.#grouped ||= cell;
      return;
    }
    this.#point ||= point;
    if (point) this.#pointed ||= cell;
    this.#places.add(number.split(".")[1]?.length ?? 0);
    if (comesBack(number)) return;
    this.#changed ||= cell;
    if (!comesBack(withoutZeros(number))) this.#flawed ||= cell;
  }

  /** @returns {ColumnType} */
  decide() {
    const decided = this.#count ? this.#judge() : this.#type("text");
    if (decided.kind === "text" || !this.#missing) return decided;
    const missing = { missing: this.#missing, mark: this.#mark };
    if (decided.kind !== "number" || this.#missing * MISSING_SHARE <= this.#count + this.#missing) return { ...decided, ...missing };
    return { ...this.#type("text", "missing", this.#mark), ...missing };
  }

  /** The type of the cells that are not missing. */
  #judge() {
    const [kind = "text"] = this.#kinds;
    if (kind === "date") {
      const isClear = this.#formats.length === 1;
      return { ...this.#type(isClear ? kind : "text", isClear ? "dates" : "ambiguous", this.#firsts[0].example), formats: this.#formats };
    }
    const odd = this.#firsts.at(this.#alike * 2 < this.#count ? 0 : -1);
    if (kind === "text" && this.#like * 5 >= this.#count * 4) return { ...this.#type("text", "odd"), ...odd };
    if (kind !== "number") return this.#type(kind);
    if (this.#grouped) return this.#judgeGroups();
    if (!this.#decimals.includes(this.#point)) return this.#type("text", "decimal", this.#pointed);
    const isVersion = this.#changed && !this.#unit && [1, 2].every((count) => this.#places.has(count)) && Math.max(...this.#places) === 2;
    if (this.#flawed || (isVersion && !isAmount(this.#name))) return this.#type("text", "text", this.#flawed || this.#changed);
    const example = this.#changed || (this.#point === "," ? this.#pointed : "");
    return { ...this.#type("number", example ? "numbers" : undefined, example), point: this.#point };
  }

  /** The type of numbers such as 1,234.50; texts if 1.234 in them may be another number. */
  #judgeGroups() {
    const [example, [mark, ...others]] = [this.#grouped, this.#thousands];
    if (others.length || (mark === "." && !example.includes(","))) return this.#type("text", "text", example); // 192.168.100.200
    if (!this.#decimals.includes(mark === "," ? "." : ",")) return this.#type("text", "decimal", example);
    return { ...this.#type("number", "numbers", example), thousands: mark, point: mark === "," ? "." : "," };
  }

  /**
   * @param {TextKind} kind
   * @param {Remark} [remark]
   * @param {string} [example]
   * @returns {ColumnType}
   */
  #type(kind, remark, example = "") {
    return { kind, cells: this.#count, missing: 0, mark: "", remark, example, formats: [] };
  }
}

/**
 * The JSON value of a cell; null if it is missing.
 * @param {string} cell
 * @param {ColumnType} type
 * @returns {unknown}
 */
export function read(cell, { kind, missing, formats, thousands = "" }) {
  if (kind === "text") return cell;
  if (missing && isMissing(cell)) return null;
  if (kind === "json") return parseExactly(cell);
  if (kind === "boolean") return cell.toLowerCase() === "true";
  if (kind === "date") return dateIn(cell, formats[0]);
  const bare = splitUnit(cell)[1];
  const number = withPoint(thousands ? bare.replaceAll(thousands, "") : bare);
  return INTEGER.test(number) ? exactInteger(number) : Number(number);
}

/**
 * The number that a reader has written, with a unit or groups of digits; undefined for another text.
 * @param {string} text
 * @param {string} [point] the decimal point of its column, which says what 1.000 is
 */
export function numberIn(text, point = ".") {
  const bare = splitUnit(text.trim())[1]
    .trim()
    .replace(/(?<=\d)['’ \u00a0\u202f](?=\d{3}(?!\d))/g, "");
  for (const mark of point === "," ? [".", ","] : [",", "."]) if (GROUPED[mark].test(bare)) return Number(withPoint(bare.replaceAll(mark, "")));
  return NUMBER.test(bare) ? Number(bare) : undefined;
}

/**
 * The date that a reader has written, in ISO 8601; undefined for another text, and for 7/9/2024, which may be two.
 * @param {string} text
 */
export function writtenDate(text) {
  const dates = new Set(FORMATS.flatMap((format) => dateIn(text, format) ?? []));
  return dates.size === 1 ? [...dates][0] : undefined;
}

/**
 * The notices about a column, as sentences in `upload.json`.
 * @param {string} column
 * @param {ColumnType} type
 * @returns {import("./table.js").Flaw[]}
 */
export function noticesOf(column, type) {
  const { kind, cells, missing, mark, remark, formats, line = 0 } = type;
  const example = type.example.length > SHOWN ? `${type.example.slice(0, SHOWN - 1)}…` : type.example;
  const number = remark === "numbers" || remark === "dates" ? text(read(type.example, type)) : "";
  const places = { column, example, number, cells, missing, mark, count: formats.length, line };
  const names = [...(remark ? [`notice.${remark}`] : []), ...(kind !== "text" && missing ? ["notice.empty"] : [])];
  return names.map((name) => ({ name, places }));
}

/** @param {string} cell */
function isMissing(cell) {
  return MISSING.has(cell.trim().toLowerCase());
}

/** Whether the name of a column says that it holds amounts, such as UnitPrice or rate_2024. @param {string} column */
function isAmount(column) {
  const words = [/\p{L}(?:(?![A-ZÄÖÜ])\p{L})*|[%$€£]/gu, /\p{L}+|[%$€£]/gu].flatMap((pattern) => column.match(pattern) ?? []);
  return words.some((word) => AMOUNTS.has(word.toLowerCase()));
}

/**
 * The unit of a number, a percent sign or a currency, and the number without it.
 * @param {string} text
 * @returns {[string, string]}
 */
function splitUnit(text) {
  const [, sign, before, number, after] = UNIT.exec(text.trim()) ?? [];
  return before || after ? [before + after, sign + number] : ["", text];
}

/** A number with its decimal comma as a point. @param {string} text */
function withPoint(text) {
  return text.includes(".") ? text : text.replaceAll(",", ".");
}

/**
 * A date in ISO 8601, with its time if the format has one; null for another text.
 * @param {string} text
 * @param {string} format
 */
function dateIn(text, format) {
  const { year, name, day, time, ...date } = PATTERNS.get(format)?.exec(text.trim())?.groups ?? {};
  const month = name ? MONTHS.findIndex((one) => one.startsWith(name.toLowerCase())) + 1 : Number(date.month);
  if (!Number(year) || !month || !Number(day) || month > 12) return null;
  if (Number(day) > new Date(Date.UTC(2000 + (Number(year) % 400), month, 0)).getUTCDate()) return null; // the calendar repeats after 400 years
  const two = (/** @type {unknown} */ part) => String(part).trim().padStart(2, "0");
  const clock = time && [...time.split(":"), "0"].slice(0, 3).map(two).join(":");
  return `${year}-${two(month)}-${two(day)}${clock ? `T${clock}` : ""}`;
}

/**
 * @param {string} cell
 * @returns {unknown} undefined if it is not JSON
 */
export function jsonOf(cell) {
  try {
    return parseExactly(cell);
  } catch (failure) {
    if (failure instanceof SyntaxError) return undefined;
    throw failure;
  }
}

/** A number without the zeros at the end of its decimals, of which the first stays. @param {string} number */
function withoutZeros(number) {
  const point = number.indexOf(".");
  let end = number.length;
  while (point >= 0 && !/e/i.test(number) && end > point + 2 && number[end - 1] === "0") end--;
  return number.slice(0, end);
}

/** Whether a number is written as Python writes it again: 01234, 1.10 and 1e5 are not, nor whole numbers beyond 64 bits. @param {string} text */
function comesBack(text) {
  const number = Number(text);
  if (!NUMBER.test(text) || !Number.isFinite(number)) return false;
  if (/^-?\d+$/.test(text)) {
    if (Number.isSafeInteger(number)) return String(number) === text;
    return IS_EXACT && INTEGER.test(text) && BigInt(text) >= -(2n ** 63n) && BigInt(text) < 2n ** 64n;
  }
  const [mantissa, power] = number.toExponential().split("e");
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) return text === `${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  return text === "-0.0" || text === (Number.isInteger(number) ? `${number}.0` : String(number));
}
