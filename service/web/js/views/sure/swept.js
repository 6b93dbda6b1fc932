/** The first match of a question, and what it weighs at every temperature of the slider: one sweep a question. */

import { textOf, unreadable } from "../../asking.js";
import { onTheWire, STEPS, temperatureAt } from "../../scale.js";
import { between } from "../../tail.js";

/** Where weights move, every position of the slider is asked for, and every eighth elsewhere: T from 0.02 to 0.22. */
const [FROM, TO, APART] = [104, 188, 8];

/** The temperatures of a sweep: both ends of the slider, and its positions between. */
const TEMPERATURES = Array.from({ length: STEPS + 1 }, (_, position) => position)
  .filter((position) => position % APART === 0 || (position >= FROM && position <= TO))
  .map((position) => onTheWire(temperatureAt(position)));

/** @typedef {{query: string, documents: number, match: ?{key: string, value: string}, unread: number, weight: (it: number) => number}} Asked */

/** @typedef {Page.State["none"]} None */
/** @typedef {{temperature: number, weights: number[]}} Rung */

/** What was asked of one collection. */
export class Swept {
  /** @type {Map<string, Promise<Asked>>} */
  #asked = new Map();
  /** @type {Map<string, Asked>} */
  #answers = new Map();

  /** @param {Page.API} api @param {string} path of the collection @param {AbortSignal} signal for as long as the scene is there */
  constructor(api, path, signal) {
    this.api = api;
    this.path = path;
    this.signal = signal;
  }

  /** Ask, but for what was asked before; a question that failed is asked anew. @param {string} query @param {None} none @returns {Promise<Asked>} */
  of(query, none) {
    const name = JSON.stringify([query, none]);
    const asked = this.#asked.get(name) ?? this.#ask(name, query, none);
    this.#asked.set(name, asked);
    return asked;
  }

  /** What has come of it; undefined before. @param {string} query @param {None} none @returns {Asked|undefined} */
  known(query, none) {
    return this.#answers.get(JSON.stringify([query, none]));
  }

  /** @param {string} name @param {string} query @param {None} none */
  async #ask(name, query, none) {
    try {
      const [swept, unread] = await Promise.all([
        this.api.post(`${this.path}/sweep`, sweep(query, none), this.signal),
        unreadable(this.api, [query], this.signal),
      ]);
      const asked = askedOf(query, swept, unread.get(query) ?? 0);
      this.#answers.set(name, asked);
      return asked;
    } catch (failure) {
      this.#asked.delete(name);
      throw failure;
    }
  }
}

/** @param {string} query @param {{documents: number, matches: {key: string, value: unknown}[], temperatures: Rung[]}} swept @param {number} unread @returns {Asked} */
function askedOf(query, swept, unread) {
  const [match] = swept.matches;
  return {
    query,
    documents: swept.documents,
    match: match ? { key: match.key, value: textOf(match.value) } : null,
    unread,
    weight: match ? weightOf(swept) : () => 0,
  };
}

/** The body of a sweep for the first match. @param {string} query @param {None} none @param {number[]} [temperatures] */
export function sweep(query, none, temperatures = TEMPERATURES) {
  return { query, temperatures, top_k: 1, null: none, include: ["key", "value"] };
}

/** T → the first match's weight: as the service says it, and on a smooth line between two temperatures that it was asked at. @param {{temperatures: Rung[]}} swept */
function weightOf({ temperatures }) {
  const [coldest] = /** @type {Rung} */ (temperatures.find(({ temperature }) => temperature === 0)).weights;
  const rungs = temperatures
    .filter(({ temperature }) => temperature > 0)
    .map(({ temperature, weights: [weight] }) => ({ inverse: temperature === onTheWire(Infinity) ? 0 : 1 / temperature, weight, logWeight: Math.log(weight) }));
  rungs.sort((a, b) => a.inverse - b.inverse);
  return (/** @type {number} */ temperature) => {
    if (temperature === 0) return coldest;
    const exact = rungs.find(({ inverse }) => inverse === 1 / temperature);
    return exact ? exact.weight : Math.min(1, Math.exp(between(rungs, 1 / temperature, "logWeight")));
  };
}
