/**
 * The state of the story, kept in the address after the #: the chapter on the screen, what differs there from its
 * beginning, and how the page looks. So each picture is a link, and no text of a reader reaches a server's log.
 *
 * `#hard-and-soft&t=0&q=fire&theme=dark`
 */

/** @typedef {Record<string, string | number | boolean | null | string[][] | number[][]>} State a chapter's: its defaults have its names */
/** @typedef {import("../../../../service/softkv_service/web/shared/look.js").Look} Look */

/**
 * @param {string} hash with or without its #
 * @returns {{chapter: string, said: Map<string, string>}}
 */
export function readAddress(hash) {
  const [chapter, ...others] = hash.replace(/^#/, "").split("&");
  const said = new Map();
  for (const other of others) {
    const at = other.indexOf("=");
    if (at > 0) said.set(other.slice(0, at), decoded(other.slice(at + 1)));
  }
  return { chapter, said };
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch (failure) {
    if (failure instanceof URIError) return text;
    throw failure;
  }
}

/**
 * The state of a chapter in an address; a name it does not have, or a value of another kind, is ignored.
 *
 * @template {State} S
 * @param {S} defaults
 * @param {Map<string, string>} said
 * @returns {S}
 */
export function stateOf(defaults, said) {
  const state = { ...defaults };
  for (const [name, beginning] of Object.entries(defaults)) {
    const text = said.get(name);
    if (text === undefined) continue;
    const value = parsed(text, beginning);
    if (value !== undefined) Object.assign(state, { [name]: value });
  }
  return state;
}

/**
 * @param {string} text
 * @param {State[string]} like a value of the kind that is wanted
 */
function parsed(text, like) {
  if (typeof like === "number") {
    const number = text === "inf" ? Infinity : Number(text);
    return text === "" || Number.isNaN(number) ? undefined : number;
  }
  if (typeof like === "boolean") return text === "1";
  if (typeof like === "string") return text;
  return listed(text);
}

/** Rows of texts, or of numbers, as they are written in an address. @param {string} text */
function listed(text) {
  try {
    const value = JSON.parse(text);
    const isRow = (/** @type {unknown} */ row) => Array.isArray(row) && ["string", "number"].some((kind) => row.every((one) => typeof one === kind));
    return Array.isArray(value) && value.every(isRow) ? value : undefined;
  } catch (failure) {
    if (failure instanceof SyntaxError) return undefined;
    throw failure;
  }
}

/**
 * The address of a chapter as it is.
 *
 * @param {string} chapter
 * @param {State} state
 * @param {State} defaults
 * @param {Partial<Look>} look what differs from how the page looks by default
 */
export function addressOf(chapter, state, defaults, look) {
  const parts = [chapter];
  for (const [name, value] of Object.entries({ ...state, ...look })) {
    if (name in defaults && same(value, defaults[name])) continue;
    parts.push(`${name}=${encodeURIComponent(written(value))}`);
  }
  return `#${parts.join("&")}`;
}

/** @param {unknown} value */
function written(value) {
  if (value === Infinity) return "inf";
  if (typeof value === "boolean") return value ? "1" : "0";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/**
 * @param {unknown} a
 * @param {unknown} b
 */
function same(a, b) {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
