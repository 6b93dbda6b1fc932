/**
 * The state of the page: one object, kept in the URL after the #, so that every picture is a permalink
 * and rows that a learner typed never reach a server's log.
 */

import { sceneNamed } from "./scenes.js";
import { preferred } from "./words.js";

/** What holds where neither the scene nor the URL says otherwise. */
export const DEFAULTS = Object.freeze({
  scene: "library",
  view: "lookup",
  lang: preferred(navigator.languages),
  theme: "light",
  projector: false,
  source: "library",
  rows: null,
  masked: [],
  query: "",
  t: 0.05,
  none: "auto",
  filter: null,
  guess: null,
  step: 0,
  causal: false,
  text: "The dog chased the cat across the street",
  layer: 5,
  head: 11,
  word: 3,
  at: 4.2,
  points: null,
  noisy: null,
  width: 12288,
  rank: 128,
});

/** The null keys that the service knows by a name; `none` is one of them, a similarity, or false. */
export const NAMED_NULLS = ["auto", "lenient", "strict"];

const WRITE = {
  string: (value) => value,
  number: (value) => (value === Infinity ? "inf" : String(value)),
  boolean: (value) => (value ? "1" : "0"),
  object: (value) => JSON.stringify(value),
};

/** What a scene begins with. */
export function beginning(name) {
  const scene = sceneNamed(name);
  return { ...DEFAULTS, ...scene.state, scene: scene.name, view: scene.view };
}

/** State → the part of the URL after the #: the scene, and what differs from its beginning. */
export function toHash(state) {
  const start = beginning(state.scene);
  const said = new URLSearchParams({ scene: state.scene });
  for (const name of Object.keys(DEFAULTS)) {
    if (name === "scene" || name === "view" || same(state[name], start[name])) continue;
    const value = state[name];
    said.set(name, value === null ? "" : name === "none" && value === false ? "false" : WRITE[typeof value](value));
  }
  return `#${said}`;
}

/** The part after the # → state. What is not understood keeps its beginning. */
export function fromHash(hash) {
  const said = new URLSearchParams(hash.replace(/^#/, ""));
  const state = beginning(said.get("scene") ?? DEFAULTS.scene);
  for (const [name, text] of said) {
    if (!(name in DEFAULTS) || name === "scene" || name === "view") continue;
    const read = parse(name, text);
    if (read !== undefined) state[name] = read;
  }
  return state;
}

function parse(name, text) {
  if (name === "none") return NAMED_NULLS.includes(text) ? text : text === "false" ? false : finite(text);
  if (name === "t") return text === "inf" ? Infinity : nonNegative(text);
  if (name === "lang") return text === "zh" || text === "en" ? text : undefined;
  if (name === "theme") return text === "dark" || text === "light" ? text : undefined;
  const kind = typeof DEFAULTS[name];
  if (kind === "boolean") return text === "1";
  if (kind === "number") return finite(text);
  if (kind === "string") return text;
  if (text === "") return null;
  try {
    return wellFormed(name, JSON.parse(text));
  } catch (failure) {
    if (failure instanceof SyntaxError) return undefined;
    throw failure;
  }
}

function wellFormed(name, value) {
  if (name === "rows") {
    if (!Array.isArray(value)) return undefined;
    const good = value.filter((row) => typeof row?.key === "string" && typeof row?.value === "string");
    return good.slice(0, 1000).map((row, i) => ({ id: String(row.id ?? `row-${i}`), key: row.key, value: row.value }));
  }
  if (name === "masked") return Array.isArray(value) ? value.map(String) : undefined;
  if (name === "points") return Array.isArray(value) && value.every((p) => p?.length === 2 && p.every(Number.isFinite)) ? value : undefined;
  if (name === "noisy") return Array.isArray(value) && value.every((x) => x === 1 || x === -1) ? value : undefined;
  return value;
}

function finite(text) {
  const number = Number(text);
  return text !== "" && Number.isFinite(number) ? number : undefined;
}

function nonNegative(text) {
  const number = finite(text);
  return number !== undefined && number >= 0 ? number : undefined;
}

function same(a, b) {
  return a === b || (typeof a === "object" && JSON.stringify(a) === JSON.stringify(b));
}

/** The one holder of the state. Listeners get the new state and the names that changed. */
export class Store {
  #listeners = [];
  #pending = 0;

  /** @param {Location} location @param {History} history */
  constructor(location, history) {
    this.location = location;
    this.history = history;
    this.state = fromHash(location.hash);
  }

  /** Change some of the state; the URL follows a moment later, so a dragged slider does not flood the history. */
  set(patch) {
    const before = this.state;
    const changed = Object.keys(patch).filter((name) => !same(patch[name], before[name]));
    if (!changed.length) return;
    this.state = { ...before, ...patch };
    this.#tell(changed);
    clearTimeout(this.#pending);
    this.#pending = setTimeout(() => this.history.replaceState(null, "", toHash(this.state)), 200);
  }

  /** Go to a scene's beginning; language, theme and projector stay. A step in the browser's history. */
  go(scene) {
    clearTimeout(this.#pending);
    this.history.replaceState(null, "", toHash(this.state));
    const { lang, theme, projector } = this.state;
    this.state = { ...beginning(scene), lang, theme, projector };
    this.history.pushState(null, "", toHash(this.state));
    this.#tell(Object.keys(DEFAULTS));
  }

  /** Take the state from the URL again: back, forward, or a pasted link. */
  reread() {
    clearTimeout(this.#pending);
    this.state = fromHash(this.location.hash);
    this.#tell(Object.keys(DEFAULTS));
  }

  /** @param {function(object, Set<string>): void} listener */
  listen(listener) {
    this.#listeners.push(listener);
  }

  #tell(changed) {
    const names = new Set(changed);
    for (const listener of this.#listeners) listener(this.state, names);
  }
}
