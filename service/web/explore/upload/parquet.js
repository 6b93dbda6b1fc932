/**
 * The script that reads Parquet, which the page loads when a file of that format is chosen: most visitors never need it.
 *
 * It is a classic script, as all bundles of the page are; its face is `window.softkvParquet`. Cells have the same JSON
 * as in the Python client; tests/browser/explore/test_files.py has the cases.
 */

import {
  decompressLz4,
  decompressLz4Raw,
  decompressZstd,
  DEFAULT_PARSERS,
  gunzip,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from "../../vendor/hyparquet/hyparquet.js";
import { exactInteger } from "../../vendor/softkv/softkv.js";
import { arrowTypes } from "./arrow.js";
import { FLAW } from "./table.js";

/** @typedef {import("./arrow.js").ArrowType} ArrowType */
/** @typedef {import("../../vendor/hyparquet/hyparquet.js").Element} Element */
/** @typedef {import("../../vendor/hyparquet/hyparquet.js").Node} Node */

/** Snappy is hyparquet's own; brotli would take more bytes than all the rest. */
const CODECS = {
  GZIP: (/** @type {Uint8Array} */ input, /** @type {number} */ length) => gunzip(input, new Uint8Array(length)),
  ZSTD: (/** @type {Uint8Array} */ input) => decompressZstd(input), // its second argument is not a length
  LZ4: decompressLz4,
  LZ4_RAW: decompressLz4Raw,
};
const decoder = new TextDecoder();
const PARSERS = {
  ...DEFAULT_PARSERS,
  timestampFromNanoseconds: (/** @type {bigint} */ count) => instant(count, 1_000_000_000n, undefined), // of 96 bits
  jsonFromBytes: (/** @type {Uint8Array | undefined} */ bytes) => bytes && decoder.decode(bytes),
};
/** Rows that are decoded at once: a group of rows may have a million. */
const MOST_ROWS = 50_000;
/** The number of each unit in a second. @type {Record<string, bigint>} */
const PER_SECOND = { SECONDS: 1n, MILLIS: 1000n, MICROS: 1_000_000n, NANOS: 1_000_000_000n };
const DAY_MS = 86_400_000;

/** A cell that JSON has not; the text is the name of a sentence in `upload.json`. */
class BadCell extends Error {}

/** @type {import("./table.js").OpenParquet} */
async function open(file) {
  const buffer = { byteLength: file.size, slice: (/** @type {number} */ from, /** @type {number} */ to) => file.slice(from, to).arrayBuffer() };
  const metadata = await parquetMetadataAsync(buffer);
  const { children } = parquetSchema(metadata);
  const types = arrowTypes(metadata.key_value_metadata?.find(({ key }) => key === "ARROW:schema")?.value);
  const readers = new Map(children.map((node, i) => [node.element.name, columnReader(node, types[i])]));
  return {
    columns: children.map(({ element }) => element.name),
    rows: Number(metadata.num_rows),
    async *rowsOf() {
      let from = 0;
      for (const group of metadata.row_groups) {
        const end = from + Number(group.num_rows);
        for (; from < end; from = Math.min(end, from + MOST_ROWS)) {
          const rowEnd = Math.min(end, from + MOST_ROWS);
          const rows = await parquetReadObjects({ file: buffer, metadata, compressors: CODECS, parsers: PARSERS, utf8: false, rowStart: from, rowEnd });
          yield rows.map((row) => rowOf(row, readers));
        }
      }
    },
  };
}

/** The filled cells of a row. @param {Record<string, unknown>} row @param {Map<string, (value: any) => unknown>} readers */
function rowOf(row, readers) {
  const cells = Object.entries(row).map(([name, cell]) => [name, cellOf(cell, readers.get(name))]);
  return Object.fromEntries(cells.filter(([, cell]) => cell !== null && cell !== undefined));
}

/** A cell as JSON or bytes, or the flaw of a cell that JSON has not. @param {unknown} cell @param {((value: any) => unknown) | undefined} reader */
function cellOf(cell, reader) {
  try {
    return reader?.(cell);
  } catch (failure) {
    if (failure instanceof BadCell) return { [FLAW]: failure.message };
    throw failure;
  }
}

/**
 * Return the function that makes JSON of a column's values, and take from the schema what hyparquet would read less
 * exactly: decimals, times and maps.
 *
 * @param {Node} node
 * @param {ArrowType} [type] what pyarrow wrote beside the schema
 * @returns {(value: any) => unknown}
 */
function readerOf({ element, children }, type) {
  const reader = children.length ? groupReader(element, children) : leafReader(element, type);
  const nullable = (/** @type {any} */ value) => (value === null || value === undefined ? null : reader(value));
  return element.repetition_type === "REPEATED" ? (values) => Array.from(values, nullable) : nullable;
}

/** The reader of a whole column, whose bytes stay bytes: they may be ids. @param {Node} node @param {ArrowType} [type] */
function columnReader(node, type) {
  const { converted_type: converted, logical_type: logical } = node.element;
  const reader = readerOf(node, type);
  if (node.children.length || converted || logical) return reader;
  return (/** @type {any} */ value) => (value instanceof Uint8Array ? value : reader(value));
}

/** @param {Element} element @param {Node[]} children @returns {(value: any) => unknown} */
function groupReader(element, children) {
  const [first] = children;
  if (element.converted_type === "LIST" && children.length === 1 && first.element.repetition_type === "REPEATED") {
    const item = first.children.length === 1 ? readerOf(first.children[0]) : readerOf({ ...first, element: { ...first.element, repetition_type: "REQUIRED" } });
    return (values) => Array.from(values, item);
  }
  const isMap = element.converted_type === "MAP" || element.converted_type === "MAP_KEY_VALUE";
  delete element.converted_type;
  delete element.logical_type;
  const readers = new Map(children.map((child) => [child.element.name, readerOf(child)]));
  const fields = (/** @type {object} */ value) => Object.fromEntries(Object.entries(value).map(([name, part]) => [name, readers.get(name)?.(part) ?? null]));
  if (!isMap) return fields;
  return (value) => objectOf(/** @type {Record<string, any>} */ (fields(value))[first.element.name].map((/** @type {object} */ pair) => Object.values(pair)));
}

/** The object of a map. @param {[any, unknown][]} pairs a key is a text or a number */
function objectOf(pairs) {
  const items = Object.fromEntries(pairs.map(([key, item]) => [String(key.rawJSON ?? key), item]));
  if (Object.keys(items).length < pairs.length) throw new BadCell("flaw.keys");
  return items;
}

/** @param {Element} element @param {ArrowType} [type] @returns {(value: any) => unknown} */
function leafReader(element, type) {
  const { converted_type: converted, logical_type: logical, scale = 0 } = element;
  const kind = logical?.type ?? converted ?? "";
  const unit = PER_SECOND[logical?.unit ?? kind.replace(/^.*_/, "")] ?? 1n;
  if (/^(DECIMAL|DATE|TIME|TIMESTAMP)/.test(kind)) {
    delete element.converted_type;
    delete element.logical_type;
  }
  if (kind === "DECIMAL") return (value) => decimal(bigOf(value), scale);
  if (kind === "DATE") return date;
  if (kind.startsWith("TIMESTAMP")) {
    const zone = logical?.isAdjustedToUTC === false ? undefined : logical?.isAdjustedToUTC || converted ? (type?.zone ?? "UTC") : undefined;
    return (value) => instant(BigInt(value), unit, zone);
  }
  if (kind.startsWith("TIME")) return (value) => time(BigInt(value), unit);
  const perSecond = type?.perSecond;
  if (perSecond) return (value) => Number(value) / perSecond;
  if (kind === "UTF8" || kind === "STRING" || kind === "ENUM") return (value) => (typeof value === "string" ? value : decoder.decode(value));
  return plain;
}

/** A value of a column without a further type as JSON; bytes stay bytes. @param {unknown} value @returns {unknown} */
function plain(value) {
  if (typeof value === "bigint") return exactInteger(String(value));
  if (typeof value === "number" && !Number.isFinite(value)) throw new BadCell("flaw.number");
  if (value instanceof Uint8Array) throw new BadCell("flaw.bytes"); // one within a list
  return value ?? null;
}

/** @param {number | bigint | Uint8Array} value of a decimal, without its point; bytes begin with the highest */
function bigOf(value) {
  if (!(value instanceof Uint8Array)) return BigInt(value);
  const unsigned = value.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  return BigInt.asIntN(8 * value.length, unsigned);
}

/** @param {bigint} digits @param {number} scale the number of digits behind the point */
function decimal(digits, scale) {
  const power = 10n ** BigInt(Math.max(scale, 0));
  if (digits % power === 0n && BigInt.asIntN(64, digits / power) === digits / power) return exactInteger(String(digits / power));
  const number = Number(`${digits}e-${scale}`);
  const [, whole, part = "", exponent = "0"] = /^-?(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(number)) ?? [];
  const places = part.length - Number(exponent); // of the shortest text that reads as this number
  const [one, other] = [BigInt(whole + part), digits < 0n ? -digits : digits];
  const isExact = places > scale ? one === other * 10n ** BigInt(places - scale) : one * 10n ** BigInt(scale - places) === other;
  if (!isExact) throw new BadCell("flaw.digits");
  return number;
}

/** @param {number} days since 1970 */
function date(days) {
  return isoOf(days * DAY_MS).slice(0, 10);
}

/** A time of day as Python writes it. @param {bigint} count @param {bigint} unit in a second */
function time(count, unit) {
  const fraction = fractionOf(count % unit, unit);
  if (fraction.length > 7) throw new BadCell("flaw.nanoseconds");
  return new Date(Number(count / unit) * 1000).toISOString().slice(11, 19) + fraction;
}

/** An instant as Python writes it. @param {bigint} count since 1970 @param {bigint} unit in a second @param {string | undefined} zone */
function instant(count, unit, zone) {
  const rest = ((count % unit) + unit) % unit;
  const milliseconds = Number((count - rest) / unit) * 1000;
  const offset = zone === undefined ? "" : offsetOf(milliseconds, zone);
  const [, sign, hours = "0", minutes = "0"] = /^([+-])(\d\d):(\d\d)$/.exec(offset) ?? [];
  const local = milliseconds + (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
  return isoOf(local).slice(0, 19) + fractionOf(rest, unit) + offset;
}

/** @param {number} milliseconds since 1970 */
function isoOf(milliseconds) {
  const text = Math.abs(milliseconds) <= 8.64e15 ? new Date(milliseconds).toISOString() : "+";
  if (!/^(?!0000)\d{4}-/.test(text)) throw new BadCell("flaw.year");
  return text;
}

/** The digits behind the seconds: none, six, or nine. @param {bigint} rest @param {bigint} unit in a second */
function fractionOf(rest, unit) {
  if (!rest) return "";
  const nanoseconds = String((rest * 1_000_000_000n) / unit).padStart(9, "0");
  return `.${nanoseconds.endsWith("000") ? nanoseconds.slice(0, 6) : nanoseconds}`;
}

/** @param {number} milliseconds since 1970 @param {string} zone */
function offsetOf(milliseconds, zone) {
  if (/^[+-]\d\d:\d\d$/.test(zone)) return zone;
  const parts = new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "longOffset" }).formatToParts(milliseconds);
  return parts.find(({ type }) => type === "timeZoneName")?.value.slice("GMT".length) || "+00:00";
}

window.softkvParquet = { open };
