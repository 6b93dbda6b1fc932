/** The project's own client, for calls that take longer or more than the page's API does. */

import { Client } from "../vendor/softkv/softkv.js";

/** @param {import("../shared/api.js").API} api whose key and address it uses */
export function clientOf(api) {
  // No call is repeated here: the caller knows which ones may be.
  return new Client({ url: "", key: () => api.key, retries: 0, fetch: (path, options) => api.fetcher(path, options) });
}
