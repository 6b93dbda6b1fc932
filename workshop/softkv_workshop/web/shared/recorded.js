/** Recorded data: `recorded/NAME.js`, a classic script each, which `workshop/tools/recorded` writes. */

import { runScript } from "../../../../service/softkv_service/web/shared/script.js";

/** A record did not load: the page has none of that name, or the network is away. */
export class RecordMissing extends Error {}

/** @type {Map<string, Promise<any>>} */
const loading = new Map();
const LEVELS = 255;

/**
 * Recorded data, by a script element: over HTTP and from files alike.
 *
 * @param {string} name of `recorded/NAME.js`
 * @returns {Promise<any>}
 * @throws {RecordMissing}
 */
export function recorded(name) {
  let promise = loading.get(name);
  if (!promise) {
    promise = load(name);
    loading.set(name, promise);
    promise.catch(() => loading.delete(name)); // the next call tries again
  }
  return promise;
}

/**
 * Like `recorded`, of data that is so large that the page must not keep it beside what is made of it.
 * @param {string} name
 * @returns {Promise<any>}
 */
export async function recordedOnce(name) {
  const record = await load(name);
  delete window.softkvRecorded?.[name];
  return record;
}

/**
 * @param {string} name
 * @returns {Promise<any>}
 */
async function load(name) {
  if (!(await runScript(`recorded/${name}.js`))) throw new RecordMissing(`recorded/${name}.js did not load`);
  return window.softkvRecorded?.[name];
}

/**
 * Weights that were packed as a byte each.
 * @param {string} packed base64
 * @param {number} across how many there are in a row
 * @returns {number[][]} the rows
 */
export function unpackedRows(packed, across) {
  const bytes = Array.from(atob(packed), (letter) => letter.charCodeAt(0) / LEVELS);
  return Array.from({ length: bytes.length / across }, (_, i) => bytes.slice(i * across, (i + 1) * across));
}
