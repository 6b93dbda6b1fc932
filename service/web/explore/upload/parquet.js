/**
 * The script that reads Parquet, which the page loads when a file of that format is chosen: most visitors never need it.
 *
 * It is a classic script, as all bundles of the page are; its face is `window.softkvParquet`.
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

/** Snappy is hyparquet's own; brotli would take more bytes than all the rest. */
const CODECS = {
  GZIP: (/** @type {Uint8Array} */ input, /** @type {number} */ length) => gunzip(input, new Uint8Array(length)),
  ZSTD: (/** @type {Uint8Array} */ input) => decompressZstd(input), // its second argument is not a length
  LZ4: decompressLz4,
  LZ4_RAW: decompressLz4Raw,
};
const PARSERS = { ...DEFAULT_PARSERS, dateFromDays: (/** @type {number} */ days) => new Date(days * 86_400_000).toISOString().slice(0, 10) };
/** Rows that are decoded at once: a group of rows may have a million. */
const MOST_ROWS = 50_000;

/** @type {import("./table.js").OpenParquet} */
async function open(file) {
  const buffer = { byteLength: file.size, slice: (/** @type {number} */ from, /** @type {number} */ to) => file.slice(from, to).arrayBuffer() };
  const metadata = await parquetMetadataAsync(buffer);
  return {
    columns: parquetSchema(metadata).children.map(({ element }) => element.name),
    rows: Number(metadata.num_rows),
    async *rowsOf() {
      let from = 0;
      for (const group of metadata.row_groups) {
        const end = from + Number(group.num_rows);
        for (; from < end; from = Math.min(end, from + MOST_ROWS)) {
          const rowEnd = Math.min(end, from + MOST_ROWS);
          const rows = await parquetReadObjects({ file: buffer, metadata, compressors: CODECS, parsers: PARSERS, rowStart: from, rowEnd });
          yield rows.map((row) => /** @type {Record<string, unknown>} */ (plain(row)));
        }
      }
    },
  };
}

/**
 * A value as JSON: whole numbers that a number cannot hold stay exact as texts, times are ISO 8601, bytes are base64,
 * and NaN and the infinite numbers are null.
 *
 * @param {unknown} value
 * @returns {unknown}
 */
function plain(value) {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Uint8Array) return btoa(Array.from(value, (byte) => String.fromCharCode(byte)).join(""));
  if (ArrayBuffer.isView(value)) return Array.from(/** @type {Float32Array} */ (value), plain);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value ?? null;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, plain(one)]));
}

window.softkvParquet = { open };
