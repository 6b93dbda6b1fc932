/**
 * The state of the page: one object, kept in the URL after the #, so that every picture is a permalink
 * and rows that a learner typed never reach a server's log.
 */

import { CALIBRATED, uncalibrated } from "./nullkey.js";
import { packed, unpacked } from "./packing.js";
import { onLambda } from "./scale.js";
import { sceneNamed } from "./scenes.js";
import { preferred } from "./words.js";

/** What holds where neither the scene nor the URL says otherwise. @type {Readonly<Page.State>} */
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
  revealed: false,
  guess: null,
  step: 0,
  causal: false,
  heads: 1,
  walked: 0,
  text: "The dog chased the cat across the street",
  layer: 5,
  head: 11,
  word: 3,
  to: -1,
  second: "",
  pair: null,
  similarity: "additive",
  spots: null,
  at: 4.2,
  points: null,
  noisy: null,
  width: 12288,
  rank: 128,
  left: 0,
  noise: 0.1,
  patch: 1300,
  flat: false,
  codes: 1,
  task: "dates",
  model: "",
  aligned: false,
  seconds: 30,
  moment: -1,
  steps: 0,
  pairs: null,
  picture: null,
  labels: "",
  own: null,
  lambda: 0,
});

/** What an address may say and still open on the scene's question, covered. */
const QUIET = ["scene", "view", "lang", "theme", "projector", "guess", "revealed"];
/** In the scene "predict first" a change of one of these is another question: it is covered again. */
/** @type {(keyof Page.State)[]} */
const ASKED = ["query", "source", "rows", "masked", "filter", "none", "t"];
/** What one undoes; a scene, a language or a reveal is no edit. @type {(keyof Page.State)[]} */
const EDITS = [
  ...ASKED,
  "text",
  "pair",
  "layer",
  "head",
  "second",
  "word",
  "causal",
  "heads",
  "walked",
  "spots",
  "at",
  "points",
  "noisy",
  "width",
  "rank",
  "noise",
  "patch",
  "flat",
  "codes",
  "task",
  "model",
  "aligned",
  "pairs",
  "picture",
  "labels",
  "own",
  "lambda",
];
/** Changes of the same field within so long are one edit: a word typed, a slider dragged. */
const ONE_EDIT_MS = 900;
const MOST_EDITS = 50;
/** In a frame that shows the picture alone nothing is asked first. */
const EMBEDDED = document.documentElement.dataset.embed !== undefined;

/** All names of the state. */
const NAMES = /** @type {(keyof Page.State)[]} */ (Object.keys(DEFAULTS));

/** A longer address is packed. */
const LONG = 4000;

/** The null keys that the service knows by a name; `none` is one of them, a similarity, or false. */
export const NAMED_NULLS = ["auto", "lenient", "strict"];

/** What a scene begins with. @param {string} name @returns {Page.State} */
export function beginning(name) {
  const scene = sceneNamed(name);
  return { ...DEFAULTS, ...scene.state, scene: scene.name, view: scene.view };
}

/** State → the part of the URL after the #: the scene, and what differs from its beginning. @param {Page.State} state */
export function toHash(state) {
  const start = beginning(state.scene);
  const said = new URLSearchParams({ scene: state.scene });
  for (const name of NAMES) {
    if (name === "scene" || name === "view" || name === "revealed" || same(state[name], start[name])) continue;
    said.set(name, name === "none" && state.none === false ? "false" : written(state[name]));
  }
  if (state.revealed !== opensRevealed(said)) said.set("revealed", written(state.revealed));
  return `#${said}`;
}

/** @param {Page.State[keyof Page.State]} value */
function written(value) {
  if (value === null) return "";
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return value ? "1" : "0";
  if (typeof value === "object") return JSON.stringify(value);
  return value === Infinity ? "inf" : String(value);
}

/** A shared picture opens as the picture; an address of a scene alone opens on its question. @param {URLSearchParams} said */
function opensRevealed(said) {
  return EMBEDDED || [...said.keys()].some((name) => name in DEFAULTS && !QUIET.includes(name));
}

/** The part after the # → state. What is not understood keeps its beginning. @param {string} hash @returns {Page.State} */
export function fromHash(hash) {
  const said = new URLSearchParams(hash.replace(/^#/, ""));
  const state = { ...beginning(said.get("scene") ?? DEFAULTS.scene), revealed: opensRevealed(said) };
  for (const [name, text] of said) {
    if (!(name in DEFAULTS) || name === "scene" || name === "view") continue;
    const read = parse(/** @type {keyof Page.State} */ (name), text);
    if (read !== undefined) Object.assign(state, { [name]: read });
  }
  return state;
}

/** @param {keyof Page.State} name @param {string} text @returns {unknown} undefined for what is not understood */
function parse(name, text) {
  if (name === "none") return [...NAMED_NULLS, CALIBRATED].includes(text) ? text : text === "false" ? false : finite(text);
  if (name === "lambda") return onLambda(nonNegative(text));
  if (name === "t") return text === "inf" ? Infinity : nonNegative(text);
  if (name === "lang") return text === "zh" || text === "en" ? text : undefined;
  if (name === "guess" || name === "pair") return text || null;
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

/** @param {keyof Page.State} name @param {any} value JSON of any shape */
function wellFormed(name, value) {
  if (name === "rows") {
    if (!Array.isArray(value)) return undefined;
    const good = value.filter((/** @type {Partial<Page.Row> | null} */ row) => typeof row?.key === "string" && typeof row?.value === "string");
    return good.slice(0, 1000).map((row, i) => ({ id: String(row.id ?? `row-${i}`), key: row.key, value: row.value }));
  }
  if (name === "masked") return Array.isArray(value) ? value.map(String) : undefined;
  if (name === "points") return Array.isArray(value) && value.every((p) => p?.length === 2 && p.every(Number.isFinite)) ? value : undefined;
  if (name === "spots") return Array.isArray(value) && value.every((p) => p?.length === 2 && p.every(Number.isFinite)) ? value : undefined;
  if (name === "noisy") return Array.isArray(value) && value.every((x) => x === 1 || x === -1) ? value : undefined;
  if (name === "pairs")
    return Array.isArray(value) &&
      value.length <= 64 &&
      value.every((p) => p?.length === 2 && p.every((/** @type {unknown} */ text) => typeof text === "string"))
      ? value
      : undefined;
  if (name === "picture")
    return Array.isArray(value) && value.length === 16 && value.every((row) => row?.length === 16 && row.every(Number.isFinite)) ? value : undefined;
  if (name === "own") return Array.isArray(value) ? value.filter((text) => typeof text === "string" && text.trim()).slice(0, 20) : undefined;
  return value;
}

/** @param {string} text */
function finite(text) {
  const number = Number(text);
  return text !== "" && Number.isFinite(number) ? number : undefined;
}

/** @param {string} text */
function nonNegative(text) {
  const number = finite(text);
  return number !== undefined && number >= 0 ? number : undefined;
}

/** @param {unknown} a @param {unknown} b */
function same(a, b) {
  return a === b || (typeof a === "object" && JSON.stringify(a) === JSON.stringify(b));
}

/**
 * Another question in the scene that asks for guesses: nothing of the last one's answer stays.
 *
 * @param {Page.State} state
 * @param {Partial<Page.State>} patch
 * @param {(keyof Page.State)[]} changed
 */
function coveredAgain({ scene }, patch, changed) {
  const again = sceneNamed(scene).again && !("revealed" in patch) && changed.some((name) => ASKED.includes(name));
  return again ? { revealed: false, guess: null } : {};
}

/** The one holder of the state. Listeners get the new state and the names that changed. */
export class Store {
  /** @type {((state: Page.State, changed: Set<string>) => void)[]} */
  #listeners = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pending;
  /** @type {Page.State[]} */
  #past = [];
  #edited = { names: "", at: 0 };
  #packed = { hash: "", short: "" };

  /** @param {Location} location @param {History} history */
  constructor(location, history) {
    this.location = location;
    this.history = history;
    this.state = fromHash(location.hash);
  }

  /** Take the state from an address that was packed; before that, it is that of the scene's beginning. */
  async open() {
    this.state = fromHash(await unpacked(this.location.hash));
  }

  /** Change some of the state; the URL follows a moment later, so a dragged slider does not flood the history. @param {Partial<Page.State>} given */
  set(given) {
    const before = this.state;
    const patch = { ...uncalibrated(before, given), ...given };
    const changed = NAMES.filter((name) => name in patch && !same(patch[name], before[name]));
    if (!changed.length) return;
    this.#remember(before, changed);
    this.#become({ ...before, ...patch, ...coveredAgain(before, patch, changed) });
  }

  /** Is there an edit to take back? */
  get undoable() {
    return this.#past.length > 0;
  }

  /** Take back the last edit. Language, theme and projector stay. */
  undo() {
    const before = this.#past.pop();
    if (before) this.#return(before);
  }

  /** The scene as it began; this can be undone. */
  restart() {
    const start = beginning(this.state.scene);
    if (EDITS.every((name) => same(start[name], this.state[name]))) return;
    this.#past.push(this.state);
    this.#return(start);
  }

  /** The rows, the question and the numbers of another moment; how they are shown stays. @param {Page.State} to */
  #return(to) {
    this.#edited = { names: "", at: 0 };
    const { lang, theme, projector, revealed, guess } = this.state;
    const changed = EDITS.filter((name) => !same(to[name], this.state[name]));
    this.#become({ ...to, lang, theme, projector, revealed, guess, ...coveredAgain(to, {}, changed) });
  }

  /** @param {Page.State} state */
  #become(state) {
    const names = NAMES.filter((name) => !same(state[name], this.state[name]));
    if (!names.length) return;
    this.state = state;
    this.#tell(names);
    clearTimeout(this.#pending);
    this.#pending = setTimeout(() => this.#write("replaceState"), 200);
  }

  /** @param {Page.State} before @param {(keyof Page.State)[]} changed */
  #remember(before, changed) {
    const names = changed.filter((name) => EDITS.includes(name)).join();
    if (!names) return;
    const now = Date.now();
    if (names !== this.#edited.names || now - this.#edited.at > ONE_EDIT_MS) this.#past = [...this.#past, before].slice(-MOST_EDITS);
    this.#edited = { names, at: now };
  }

  /** The address follows; a long one is packed first, and written unless the state has moved on. @param {"replaceState" | "pushState"} how */
  #write(how) {
    const { state } = this;
    const hash = toHash(state);
    if (hash.length <= LONG || typeof CompressionStream !== "function") this.history[how](null, "", hash);
    else if (this.#packed.hash === hash) this.history[how](null, "", this.#packed.short);
    else
      packed(hash, state.scene).then((short) => {
        this.#packed = { hash, short };
        if (state === this.state) this.history[how](null, "", short);
      });
  }

  /** Go to a scene's beginning, or to what it shows; language, theme and projector stay. A step in the browser's history. @param {string} scene @param {boolean} [revealed] */
  go(scene, revealed = false) {
    clearTimeout(this.#pending);
    this.#write("replaceState");
    const { lang, theme, projector } = this.state;
    this.#past = [];
    this.state = { ...beginning(scene), lang, theme, projector, revealed };
    this.#write("pushState");
    this.#tell(NAMES);
  }

  /** Take the state from the URL again: back, forward, or a pasted link. */
  async reread() {
    clearTimeout(this.#pending);
    await this.open();
    this.#past = [];
    this.#tell(NAMES);
  }

  /** @param {(state: Page.State, changed: Set<string>) => void} listener */
  listen(listener) {
    this.#listeners.push(listener);
  }

  /** @param {(keyof Page.State)[]} changed */
  #tell(changed) {
    const names = new Set(changed);
    for (const listener of this.#listeners) listener(this.state, names);
  }
}
