/** A tab's record of its rooms: its name, its own rows, and for a presenter all that opens the room again. */

const PRESENTED = "softkv-room";
const WHO = "softkv-room-who";
const SECRET = "softkv-room-secret";
const NAME = "softkv-room-name";
const OWN = "softkv-room-rows-";
const JOINED = "softkv-room-joined-";
const GUESSED = "softkv-room-guessed-";

/**
 * @typedef {object} Presented a room, and all that opens it again
 * @property {string} code
 * @property {string} secret
 * @property {Page.Joining} joining
 * @property {Page.RoomRow[]} rows
 * @property {string} [query]
 */

export class Kept {
  /** @param {Page.Kept} storage of the tab */
  constructor(storage) {
    this.storage = storage;
  }

  /** The room that this tab presents, or null. @returns {?Presented} */
  get presented() {
    return JSON.parse(this.storage.getItem(PRESENTED) ?? "null");
  }

  set presented(room) {
    this.storage.setItem(PRESENTED, JSON.stringify(room));
  }

  /** A unique secret name, under which one guess counts. */
  get who() {
    const known = this.storage.getItem(WHO);
    if (known) return known;
    const made = fresh();
    this.storage.setItem(WHO, made);
    return made;
  }

  /** The secret that this tab's rows are sent with; not `who`, which stands in addresses. */
  get secret() {
    const known = this.storage.getItem(SECRET);
    if (known) return known;
    const made = fresh();
    this.storage.setItem(SECRET, made);
    return made;
  }

  /** The name that this tab's rows are sent with; "" without one. */
  get name() {
    return this.storage.getItem(NAME) ?? "";
  }

  set name(name) {
    this.storage.setItem(NAME, name);
  }

  /**
   * Ids of the rows that this tab sent into a room.
   * @param {string} code
   * @returns {Set<string>}
   */
  own(code) {
    return new Set(JSON.parse(this.storage.getItem(OWN + code) ?? "[]"));
  }

  /**
   * The row that this tab guessed; null: none of these; undefined: nothing yet.
   * @param {string} code
   * @param {number} question
   * @returns {string | null | undefined}
   */
  guessed(code, question) {
    return JSON.parse(this.storage.getItem(GUESSED + code) ?? "{}")[question];
  }

  /**
   * Remember a guess.
   * @param {string} code
   * @param {number} question
   * @param {?string} row
   */
  guess(code, question, row) {
    this.storage.setItem(GUESSED + code, JSON.stringify({ [question]: row }));
  }

  /** Whether this tab has been in a room. @param {string} code */
  joined(code) {
    return this.storage.getItem(JOINED + code) !== null;
  }

  /** Remember that it has. @param {string} code */
  join(code) {
    this.storage.setItem(JOINED + code, "1");
  }

  /**
   * Remember a row that this tab sent.
   * @param {string} code
   * @param {string} id
   */
  add(code, id) {
    this.storage.setItem(OWN + code, JSON.stringify([...this.own(code), id]));
  }
}

/** Sixteen random bytes, in letters that an address takes; also where a page is not secure. */
export function fresh() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
