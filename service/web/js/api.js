/** The public API, and nothing but it. */

const KEY = "softkv-key";
const AGAIN_MS = 300;

/** A request the service answered with a problem, or could not answer. `status` is 0 where nothing came back. */
export class Refused extends Error {
  constructor(status, detail, code = "") {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/** Calls to the service. A key, where one is needed, stays in this tab. */
export class API {
  /**
   * @param {function(string, object): Promise<Response>} fetcher
   * @param {Storage} storage
   * @param {Object<string, Promise<?Response>>} [asked] what is under way already, by method, path and body: each is taken once
   */
  constructor(fetcher, storage, asked = {}) {
    this.fetcher = fetcher;
    this.storage = storage;
    this.asked = asked;
    /** Whether the service was given a key that it does not know. */
    this.refused = false;
  }

  get key() {
    return this.storage.getItem(KEY) ?? "";
  }

  set key(key) {
    this.storage.setItem(KEY, key);
  }

  /** GET a path. */
  get(path, signal) {
    return this.#call("GET", path, undefined, signal);
  }

  /** POST a body; answers the JSON that came back. */
  post(path, body, signal) {
    return this.#call("POST", path, body, signal);
  }

  /** Any method, with further headers. */
  send(method, path, body, headers) {
    return this.#call(method, path, body, undefined, headers);
  }

  async #call(method, path, body, signal, more = {}) {
    const headers = { ...more };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (this.key) headers["Authorization"] = `Bearer ${this.key}`;
    const options = { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) };
    const response = (await this.#early(`${method} ${path} ${options.body ?? ""}`)) ?? (await this.#reach(path, options, AGAIN_MS));
    signal?.throwIfAborted();
    this.refused = response.status === 401 && this.key !== "";
    if (response.ok) return response.status === 204 ? null : response.json();
    const problem = await response.json().catch(() => ({}));
    throw new Refused(response.status, problem.detail ?? response.statusText, problem.code);
  }

  #early(name) {
    const response = this.asked[name];
    delete this.asked[name];
    return response;
  }

  /** A laptop that changes its network drops what is under way: nothing here writes, so it is asked once more. */
  async #reach(path, options, again) {
    try {
      return await this.fetcher(path, options);
    } catch (failure) {
      if (failure.name === "AbortError") throw failure;
      if (!again) throw new Refused(0, failure.message);
      await new Promise((done) => setTimeout(done, again));
      return this.#reach(path, options, 0);
    }
  }
}

/** The tab's storage; in a frame that may keep nothing, what is kept until it closes. @returns {Storage} */
export function storageOf(window) {
  try {
    return window.sessionStorage;
  } catch (failure) {
    if (failure.name !== "SecurityError") throw failure;
    const kept = new Map();
    return { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value) };
  }
}

/** A vector in an answer, as numbers: a list, or base64 of little-endian float32. */
export function vectorOf(given) {
  if (Array.isArray(given)) return Float64Array.from(given);
  const bytes = Uint8Array.from(atob(given.base64), (letter) => letter.charCodeAt(0));
  return Float64Array.from(new Float32Array(bytes.buffer));
}
