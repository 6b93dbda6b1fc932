/** The demo collection, loaded from the page with the calls that `softkv demo` makes. */

import { asset } from "./assets.js";

/** @typedef {import("./api.js").API} API */

export const NAME = "library";
/** A question that shows at once what the collection is for. */
export const QUESTION = "books about felines";
/** A second of encoding: short enough for the numbers to move. */
const BATCH = 22;

/**
 * Create the demo collection and write its documents; those that it has already stay as they are, and so do its settings.
 *
 * @param {API} api
 * @param {(done: number, all: number) => void} told
 */
export async function loadDemo(api, told) {
  const response = await fetch(asset(`demo/${NAME}.json`));
  /** @type {{settings: object, documents: {id: string}[]}} */
  const { settings, documents } = await response.json();
  told(0, documents.length);
  const { collections } = await api.get(`/v1/collections?${new URLSearchParams({ prefix: NAME })}`);
  const isThere = collections.some((/** @type {{name: string}} */ { name }) => name === NAME);
  if (!isThere) await api.send("PUT", `/v1/collections/${NAME}`, settings);
  for (let start = 0; start < documents.length; start += BATCH) {
    const batch = documents.slice(start, start + BATCH);
    await api.post(`/v1/collections/${NAME}/documents`, { documents: batch, mode: "skip" });
    told(start + batch.length, documents.length);
  }
}
