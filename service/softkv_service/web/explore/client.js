/** The project's own client, for calls that take longer or more than the page's API does. */

import { Client } from "../vendor/softkv/softkv.js";

/** @typedef {import("../shared/api.js").API} API */

/** Whether the service of each API has a reranker. @type {WeakMap<API, Promise<boolean>>} */
const reranking = new WeakMap();

/** Whether the service has a reranker, which it is asked once. @param {API} api */
export function hasReranker(api) {
  let answer = reranking.get(api);
  if (!answer) {
    answer = clientOf(api)
      .rerankers()
      .then((rerankers) => rerankers.length > 0);
    reranking.set(api, answer);
    answer.catch(() => reranking.delete(api));
  }
  return answer;
}

/** @param {API} api whose key and address it uses */
export function clientOf(api) {
  // No call is repeated here: the caller knows which ones may be.
  return new Client({ url: "", key: () => api.key, retries: 0, fetch: (path, options) => api.fetcher(path, options) });
}
