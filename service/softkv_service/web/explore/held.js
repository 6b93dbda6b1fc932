/** Two settings of one question side by side: the settings that are held, and those of the form now. */

import { each, fill, h, scrollingTable } from "../shared/element.js";
import { fixed, percent, temperatureText } from "../shared/numbers.js";
import { clipped } from "../shared/words.js";
import { bodyOf, posted, secondLook, TOP_K, temperatureIn } from "./question.js";

/** @typedef {import("./address.js").Said} Said */
/** @typedef {import("./explorer.js").Collection} Collection */
/** @typedef {import("./explorer.js").Context} Context */
/**
 * @typedef {object} Side `least`: the most that a document without a weight here may have
 * @property {Map<string, number>} weights
 * @property {number} least
 * @property {number} none
 * @property {any[]} matches
 */

/** The parts of an address that are settings. */
const SETTINGS = ["t", "null", "words", "twice", "bias", "filter"];
/** The matches of each setting that are looked through for the rows of the other. */
const MOST = 1000;
const LONGEST = 60;

/** The settings of an address as a text, which an address holds. @param {Said} said */
export function settingsOf(said) {
  return `${new URLSearchParams([...said].filter(([name]) => SETTINGS.includes(name)))}` || "own";
}

/**
 * An address with the settings that it holds.
 * @param {Said} said
 * @returns {Said}
 */
function withHeld(said) {
  const others = [...said].filter(([name]) => !SETTINGS.includes(name));
  return new Map([...others, ...new URLSearchParams(said.get("held"))]);
}

export class Comparison {
  #context;
  element = h("section.compared", { id: "compared", hidden: true });

  /** @param {Context} context */
  constructor(context) {
    this.#context = context;
  }

  /**
   * Ask with both settings, and show the shares of each row beside each other.
   * @param {Collection} collection
   * @param {import("./client.js").Readers} readers
   * @param {AbortSignal} signal
   */
  async show(collection, readers, signal) {
    const { api, said, say, patiently } = this.#context;
    this.element.hidden = !said.has("held");
    if (this.element.hidden) return;
    const both = [withHeld(said), said];
    const path = `/v1/collections/${encodeURIComponent(collection.name)}/attend`;
    const ask = (/** @type {Said} */ one) => {
      const { group_by: _, ...body } = /** @type {import("./question.js").Body} */ (bodyOf(one, collection, readers));
      return posted(api, path, { ...body, top_k: MOST, include: ["key"] }, signal);
    };
    const answers = await patiently(() => Promise.all(both.map(ask)));
    if (signal.aborted || !answers) return;
    const refused = answers.find((one) => one.refused)?.refused;
    if (refused) return void fill(this.element, h("p.problem", {}, refused));
    const sides = answers.map(({ answer }) => sideOf(answer));
    const shown = Number(said.get("k")) || collection.defaults?.top_k || TOP_K;
    const rows = new Map(sides.toReversed().flatMap(({ matches }) => matches.slice(0, shown).map(({ id, key }) => [id, key ?? id])));
    const [was, is] = both.map((one) => this.#told(one, collection, readers));
    const names = Object.keys(is).filter((name) => was[name] !== is[name]);
    const settings = [was, is].map((one) => each("ul", {}, names, (name) => h("li", {}, h("bdi", {}, `${say(name)}: ${one[name]}`))));
    const texts = [say("held.row"), [say("held.was"), settings[0]], [say("held.is"), settings[1]], say("held.difference")];
    const heads = texts.map((head, i) => h(i ? "th.number" : "th", { scope: "col" }, head));
    const lines = Array.from(rows, ([id, name]) => {
      const shares = sides.map(({ weights, least }) => weights.get(id) ?? (least ? null : 0));
      return this.#line(h("bdi", {}, name), shares, sides, id);
    });
    const others = sides.map(({ weights, none }) => Math.max(0, 1 - none - [...rows.keys()].reduce((sum, id) => sum + (weights.get(id) ?? 0), 0)));
    const none = sides.map((side) => side.none);
    const all = [lines, this.#line(say("held.others"), others, sides), this.#line(say("none"), none, sides)];
    const same = names.length ? null : h("p", {}, say("held.same"));
    fill(this.element, h("h3", {}, say("held.title")), same, scrollingTable(say("held.title"), "table", heads, all));
  }

  /**
   * @param {Page.Child} name
   * @param {(number | null)[]} shares null: less than the least of those that came
   * @param {Side[]} sides
   * @param {string} [id]
   */
  #line(name, shares, sides, id) {
    const texts = shares.map((share, i) => (share === null ? `≤ ${percent(sides[i].least)}` : percent(share)));
    const [was, is] = shares;
    const points = was === null || is === null ? null : 100 * (is - was);
    const difference = `${points !== null && points > 0.05 ? "+" : ""}${fixed(points, 1)}`;
    const cells = [...texts, difference].map((text) => h("td.number", {}, text));
    return h("tr", { "data-id": id }, h("th", { scope: "row" }, name), cells);
  }

  /**
   * The settings of an address in words, by the names of their labels.
   * @param {Said} said
   * @param {Collection} collection
   * @param {import("./client.js").Readers} readers
   * @returns {Record<string, string>}
   */
  #told(said, collection, readers) {
    const [t, none] = [temperatureIn(said) ?? collection.temperature, said.get("null") ?? String(collection.null || "off")];
    const words = said.get("words") ?? String(collection.defaults?.full_text ?? 0);
    const [bias, filter] = ["bias", "filter"].map((name) => clipped(said.get(name) ?? "–", LONGEST));
    const { by } = secondLook(said, collection, readers);
    return { temperature: temperatureText(t), none, words, twice: by ? this.#context.say(`twice.by.${by}`) : "–", more: bias, filter };
  }
}

/**
 * @param {any} answer
 * @returns {Side}
 */
function sideOf({ matches, documents, evidence }) {
  const least = matches.length < documents ? (matches.at(-1)?.weight ?? 1) : 0;
  const weights = new Map(matches.map((/** @type {any} */ { id, weight }) => [id, weight]));
  return { matches, weights, least, none: evidence.null_similarity === null ? 0 : evidence.null_weight };
}
