/** The public API, and nothing but it: softkv's own client, with the key that this tab keeps. */

import { Client, KeyRefused, SoftkvError } from "../vendor/softkv/softkv.js";
import { isEmbedded, isExported } from "./assets.js";

export { Forbidden, Invalid, KeyRefused, NotFound, Refused, SoftkvError, Unreachable } from "../vendor/softkv/softkv.js";

const KEY = "softkv-key";
const AGAIN_MS = 300;
/** The calls without GET that change nothing: all that a picture in a frame may make. */
const READS = /^\/v1\/(attend|compare|encode|trace|lab\/decode)$/;

/** Calls to the service that the page came from. A key, where one is needed, stays in this tab. */
export class API {
  #client;

  /**
   * @param {Page.Fetcher} fetcher
   * @param {Page.Kept} storage
   */
  constructor(fetcher, storage) {
    this.fetcher = fetcher;
    this.storage = storage;
    /** Whether the service was given a key that it does not know. */
    this.refused = false;
    // Report a refusal at once; the notice of each page retries it.
    this.#client = new Client({ url: "", key: () => this.key, retries: 0, fetch: (path, options) => this.#reach(String(path), options ?? {}, AGAIN_MS) });
  }

  get key() {
    return this.storage.getItem(KEY) ?? "";
  }

  set key(key) {
    this.storage.setItem(KEY, key);
  }

  /**
   * GET a path.
   * @param {string} path
   * @param {AbortSignal} [signal]
   */
  get(path, signal) {
    return this.#call("GET", path, undefined, { signal });
  }

  /**
   * POST a body; answers the JSON that came back.
   * @param {string} path
   * @param {object} body
   * @param {AbortSignal} [signal]
   */
  post(path, body, signal) {
    return this.#call("POST", path, body, { signal });
  }

  /**
   * Any method, with further headers.
   * @param {string} method
   * @param {string} path
   * @param {object} [body]
   * @param {Record<string, string>} [headers]
   */
  send(method, path, body, headers) {
    return this.#call(method, path, body, { headers });
  }

  /**
   * Yield the events of the service until it ends.
   *
   * @param {string} path
   * @param {{signal: AbortSignal, body?: object, headers?: Record<string, string>}} how a body makes it a POST
   * @returns {AsyncIterable<{name: string, data: any}>}
   */
  events(path, how) {
    return this.#client.events(path, how);
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {object | undefined} body
   * @param {{signal?: AbortSignal, headers?: Record<string, string>}} how
   * @returns {Promise<any>} JSON
   */
  async #call(method, path, body, how) {
    try {
      const answer = await this.#client.call(method, path, body, how);
      this.refused = false;
      return answer;
    } catch (failure) {
      this.refused = failure instanceof KeyRefused && this.key !== "";
      throw failure;
    }
  }

  /**
   * A laptop that changes its network drops what is under way: it is asked once more, and what writes has the same effect twice.
   *
   * @param {string} path
   * @param {RequestInit} options
   * @param {number} again milliseconds until then; 0: not again
   * @returns {Promise<Response>}
   */
  async #reach(path, options, again) {
    const writes = (options.method ?? "GET") !== "GET" && !READS.test(path);
    if (writes && isEmbedded() && !isExported()) throw new SoftkvError("A picture in a frame changes nothing.");
    try {
      return await this.fetcher(path, isEmbedded() ? { ...options, credentials: "omit" } : options);
    } catch (failure) {
      if (!again || options.signal?.aborted) throw failure;
      await new Promise((done) => setTimeout(done, again));
      return this.#reach(path, options, 0);
    }
  }
}

/**
 * The tab's storage; in a frame, which may keep nothing, what is kept until it closes.
 * @param {Window} window
 * @returns {Page.Kept}
 */
export function storageOf(window) {
  try {
    if (!isEmbedded()) return window.sessionStorage;
  } catch (failure) {
    if (!(failure instanceof DOMException) || failure.name !== "SecurityError") throw failure;
  }
  /** @type {Map<string, string>} */
  const kept = new Map();
  return { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => void kept.set(name, value) };
}

/** Whether a call ended because it was taken back. @param {unknown} failure */
export function isAborted(failure) {
  return failure instanceof DOMException && failure.name === "AbortError";
}

/** A vector in an answer, as numbers: a list, or base64 of little-endian float32. @param {number[] | {base64: string}} given */
export function vectorOf(given) {
  if (Array.isArray(given)) return Float64Array.from(given);
  const bytes = Uint8Array.from(atob(given.base64), (letter) => letter.charCodeAt(0));
  return Float64Array.from(new Float32Array(bytes.buffer));
}
