/** The project's own client, for calls that take longer or more than the page's API does. */

import { Client } from "../vendor/softkv/softkv.js";

/** @typedef {import("../shared/api.js").API} API */

/** @typedef {{encoders: {name: string, state: string, late: boolean}[], rerankers: unknown[]}} Models as `GET /v1/encoders` lists them */
/** @typedef {{hasReranker: boolean, late: Set<string>}} Readers what can look twice: `late` has the encoders of late interaction, by name */

/** The models that look twice, of the service of each API. @type {WeakMap<API, Promise<Readers>>} */
const reading = new WeakMap();

/** The models that can look twice. The service is asked once, or again while an encoder has yet to load. @param {API} api */
export function readersOf(api) {
  let answer = reading.get(api);
  if (!answer) {
    const forget = () => void reading.delete(api);
    answer = api.get("/v1/encoders").then((/** @type {Models} */ { encoders, rerankers }) => {
      if (encoders.some(({ state }) => state !== "ready")) forget();
      return { hasReranker: rerankers.length > 0, late: new Set(encoders.filter(({ late }) => late).map(({ name }) => name)) };
    });
    reading.set(api, answer);
    answer.catch(forget);
  }
  return answer;
}

/** @param {API} api whose key and address it uses */
export function clientOf(api) {
  // No call is repeated here: the caller knows which ones may be.
  return new Client({ url: "", key: () => api.key, retries: 0, fetch: (path, options) => api.fetcher(path, options) });
}
