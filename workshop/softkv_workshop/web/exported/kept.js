/**
 * The reader's own collections in an exported page: in the browser's database, or until the page is closed where the
 * browser keeps nothing, as in a frame of another page.
 *
 * @typedef {import("./database.js").Row} Row
 * @typedef {{temperature: number, null: string | number | false}} Defaults
 * @typedef {{row: Row, vector: Float32Array}} Encoded a row with the vector of its key
 */

const [NAME, VERSION] = ["softkv-rows", 1];
const [COLLECTIONS, ROWS] = ["collections", "rows"];

export class Kept {
  /** @type {?IDBDatabase} */
  #database = null;
  /** Each collection, with its rows by their ids. @type {Map<string, {defaults: Defaults, rows: Map<string, Encoded>}>} */
  #collections = new Map();

  /** Read what an earlier visit kept. @returns {Promise<Kept>} */
  static async open() {
    const kept = new Kept();
    kept.#database = await opened();
    await kept.#read();
    return kept;
  }

  /** Whether the rows are there after the page was closed. */
  get isLasting() {
    return this.#database !== null;
  }

  get names() {
    return [...this.#collections.keys()].sort();
  }

  /** @param {string} name */
  get(name) {
    return this.#collections.get(name);
  }

  /**
   * Make a collection, or settle another temperature or null key.
   * @param {string} name
   * @param {Defaults} defaults
   */
  async settle(name, defaults) {
    this.#collections.set(name, { defaults, rows: this.#collections.get(name)?.rows ?? new Map() });
    await this.#write((stores) => stores[COLLECTIONS].put(defaults, name));
  }

  /**
   * Write rows; one of the same id is replaced.
   * @param {string} name
   * @param {Encoded[]} encoded
   */
  async put(name, encoded) {
    const rows = this.#collections.get(name)?.rows;
    for (const one of encoded) rows?.set(one.row.id, one);
    await this.#write((stores) => {
      for (const one of encoded) stores[ROWS].put(one, [name, one.row.id]);
    });
  }

  /** @param {string} name */
  async remove(name) {
    this.#collections.delete(name);
    await this.#write((stores) => {
      stores[COLLECTIONS].delete(name);
      stores[ROWS].delete(IDBKeyRange.bound([name], [name, []]));
    });
  }

  async #read() {
    const transaction = this.#database?.transaction([COLLECTIONS, ROWS]);
    if (!transaction) return;
    await walked(transaction.objectStore(COLLECTIONS), (name, defaults) => this.#collections.set(name, { defaults, rows: new Map() }));
    await walked(transaction.objectStore(ROWS), ([name, id], encoded) => this.#collections.get(name)?.rows.set(id, encoded));
  }

  /** @param {(stores: Record<string, IDBObjectStore>) => void} change */
  async #write(change) {
    const transaction = this.#database?.transaction([COLLECTIONS, ROWS], "readwrite");
    if (!transaction) return;
    change({ [COLLECTIONS]: transaction.objectStore(COLLECTIONS), [ROWS]: transaction.objectStore(ROWS) });
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    }).catch((failure) => {
      if (!(failure instanceof DOMException)) throw failure;
      this.#database = null; // the disk is full: what is here stays until the page is closed
    });
  }
}

/** The browser's database; null without one. @returns {Promise<?IDBDatabase>} */
function opened() {
  return new Promise((resolve) => {
    try {
      const request = indexedDB.open(NAME, VERSION);
      request.onupgradeneeded = () => {
        for (const store of [COLLECTIONS, ROWS]) request.result.createObjectStore(store);
      };
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => resolve(null);
    } catch (failure) {
      if (!(failure instanceof DOMException || failure instanceof ReferenceError)) throw failure;
      resolve(null);
    }
  });
}

/**
 * Call a function with each key and value of a store.
 * @param {IDBObjectStore} store
 * @param {(key: any, value: any) => void} told
 * @returns {Promise<void>}
 */
function walked(store, told) {
  return new Promise((resolve, reject) => {
    const request = store.openCursor();
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const { result: cursor } = request;
      if (!cursor) return resolve();
      told(cursor.key, cursor.value);
      cursor.continue();
    };
  });
}
