/** Recorded data: `recorded/NAME.js`, a classic script each, which `python -m tests.recorded NAME` writes. */

import { asset } from "./assets.js";
import { h } from "./element.js";

/** @type {Map<string, Promise<any>>} */
const loading = new Map();
const LEVELS = 255;

/**
 * Recorded data, by a script element: over HTTP and from files alike.
 *
 * @param {string} name of `recorded/NAME.js`
 * @returns {Promise<any>}
 */
export function recorded(name) {
  const found = loading.get(name);
  if (found) return found;
  const promise = new Promise((resolve, reject) => {
    const script = h("script", {
      src: asset(`recorded/${name}.js`),
      onload: () => resolve(/** @type {any} */ (window).softkvRecorded[name]),
      onerror: () => reject(new Error(`recorded/${name}.js did not load`)),
    });
    document.head.append(script);
  });
  loading.set(name, promise);
  return promise;
}

/**
 * Weights that were packed as a byte each.
 *
 * @param {string} packed base64
 * @param {number} across how many there are in a row
 * @returns {number[][]} the rows
 */
export function unpackedRows(packed, across) {
  const bytes = Array.from(atob(packed), (letter) => letter.charCodeAt(0) / LEVELS);
  return Array.from({ length: bytes.length / across }, (_, i) => bytes.slice(i * across, (i + 1) * across));
}
