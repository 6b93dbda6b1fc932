/** The list of collections, by pages, and the facts of the one that is chosen. */

import { Forbidden, NotFound } from "../shared/api.js";
import { each, fill, h } from "../shared/element.js";
import { count, fixed } from "../shared/numbers.js";

/** @typedef {import("./explorer.js").Collection} Collection */
/** @typedef {import("../shared/words.js").Say} Say */
/**
 * @typedef {object} Beside links to what is about the service
 * @property {{id: string, name: string, isChosen: boolean}[]} tabs
 * @property {boolean} canWrite
 */

const PAGE = 100;
const MOST_ALIASES = 1000;

export class Collections {
  #api;
  #host;
  #href;
  /** @type {Collection[]} */
  #all = [];
  /** @type {string | null} */
  #cursor = null;
  #prefix = "";
  /** @type {Collection | null} */
  #chosen = null;
  #isMany = false;
  /** The aliases of each collection, by its name. @type {Map<string, string[]>} */
  #aliases = new Map();
  isRead = false;
  /** Draws the list again. */
  #redraw = () => {};

  /**
   * @param {import("../shared/api.js").API} api
   * @param {HTMLElement} host
   * @param {(name: string) => string} href
   */
  constructor(api, host, href) {
    this.#api = api;
    this.#host = host;
    this.#href = href;
  }

  /** The chosen collection; null without one. */
  get chosen() {
    return this.#chosen;
  }

  /** The collections of the list, in its order. */
  get names() {
    return this.#all.map(({ name }) => name);
  }

  get isEmpty() {
    return this.isRead && !this.#all.length && !this.#prefix;
  }

  /**
   * Read the first page again, the collection of a name or an alias, and the aliases.
   * @param {string} name
   * @returns {Promise<"read" | "feedback" | "write">}
   */
  async read(name) {
    const { access } = await this.#page(null, Math.max(PAGE, this.#all.length));
    this.#chosen = this.#all.find((one) => one.name === name) ?? (name ? await this.#one(name) : null);
    this.#aliases = await this.#readAliases();
    this.isRead = true;
    return access;
  }

  /** @param {string | null} cursor */
  async #page(cursor, limit = PAGE) {
    const asked = new URLSearchParams({ limit: String(limit), prefix: this.#prefix });
    if (cursor) asked.set("cursor", cursor);
    const answer = await this.#api.get(`/v1/collections?${asked}`);
    this.#all = cursor ? [...this.#all, ...answer.collections] : answer.collections;
    this.#cursor = answer.next_cursor;
    this.#isMany ||= answer.next_cursor !== null;
    return answer;
  }

  /** Read the aliases; none for a key with a filter, which may not. @returns {Promise<Map<string, string[]>>} */
  async #readAliases() {
    const aliases = new Map();
    try {
      for (const { alias, collection } of (await this.#api.get(`/v1/aliases?limit=${MOST_ALIASES}`)).aliases) {
        aliases.set(collection, [...(aliases.get(collection) ?? []), alias]);
      }
    } catch (failure) {
      if (!(failure instanceof Forbidden)) throw failure;
    }
    return aliases;
  }

  /**
   * @param {string} name
   * @returns {Promise<Collection | null>}
   */
  async #one(name) {
    try {
      return await this.#api.get(`/v1/collections/${encodeURIComponent(name)}`);
    } catch (failure) {
      if (failure instanceof NotFound) return null;
      throw failure;
    }
  }

  /**
   * @param {Say} say
   * @param {string} name the chosen one
   * @param {Beside} beside
   */
  draw(say, name, beside) {
    if (this.#chosen?.name !== name) this.#chosen = this.#all.find((one) => one.name === name) ?? null;
    this.#redraw = () => this.draw(say, name, beside);
    const focused = this.#host.contains(document.activeElement) ? document.activeElement : null;
    const { chosen } = this;
    // The chosen one is reported too if it is on a later page.
    const beyond = chosen && !this.#prefix && !this.names.includes(chosen.name) ? [chosen] : [];
    const items = [...beyond, ...this.#all].map((one) => this.#item(one, one.name === name, say));
    fill(
      this.#host,
      h("h2", {}, say("collections")),
      this.#isMany ? this.#finder(say) : null,
      items.length ? h("ul", {}, items) : this.isRead ? h("p.empty", {}, say(this.#prefix ? "collections.unmatched" : "collections.none")) : null,
      this.#cursor ? h("button", { type: "button", id: "more-collections", onclick: () => this.#more() }, say("collections.more")) : null,
      beside.tabs.length
        ? h(
            "ul.service",
            {},
            beside.tabs.map((tab) => h("li", {}, h("a", { href: `#tab=${tab.id}`, "aria-current": tab.isChosen ? "page" : null }, tab.name))),
          )
        : null,
      this.isRead && !beside.canWrite ? h("p.readonly", { id: "access" }, say("read.only")) : null,
    );
    if (focused?.id) document.getElementById(focused.id)?.focus();
    else if (focused) /** @type {HTMLElement | null} */ (this.#host.querySelector("[aria-current]"))?.focus();
  }

  async #more() {
    await this.#page(this.#cursor);
    this.#redraw();
  }

  /** @param {Say} say */
  #finder(say) {
    return h("input", {
      id: "find",
      type: "text",
      value: this.#prefix,
      placeholder: say("collections.find"),
      "aria-label": say("collections.find"),
      onchange: async (event) => {
        this.#prefix = /** @type {HTMLInputElement} */ (event.target).value.trim();
        await this.#page(null);
        this.#redraw();
      },
    });
  }

  /**
   * @param {Collection} one
   * @param {boolean} isChosen
   * @param {Say} say
   */
  #item(one, isChosen, say) {
    const link = h(
      "a",
      { href: this.#href(one.name), "aria-current": isChosen ? "page" : null },
      h("span.name", {}, one.name),
      h("span.size.number", {}, one.ready ? count(one.documents + one.keyless) : say("loading")),
    );
    return h("li", {}, link, isChosen ? facts(one, this.#aliases.get(one.name) ?? [], say) : null);
  }
}

/**
 * The facts about a collection, as a list.
 * @param {Collection} one
 * @param {string[]} aliases
 * @param {Say} say
 */
function facts(one, aliases, say) {
  const { calibration, projection } = one;
  const kept = calibration && say("fact.calibration.kept", { count: calibration.labels.present + calibration.labels.absent });
  const stored = projection && { rank: projection.rank, pairs: projection.trained?.pairs ?? 0, day: projection.at.slice(0, 10) };
  /** @type {[string, string][]} */
  const lines = [
    ...(aliases.length ? [/** @type {[string, string]} */ (["fact.aliases", aliases.join(", ")])] : []),
    ["fact.documents", count(one.documents)],
    ...(one.keyless ? [/** @type {[string, string]} */ (["fact.keyless", count(one.keyless)])] : []),
    ...(one.expired ? [/** @type {[string, string]} */ (["fact.expired", count(one.expired)])] : []),
    ["fact.width", one.dimension === null ? say("fact.unset") : count(one.dimension)],
    ["fact.encoder", one.encoder ?? say("fact.encoder.none")],
    ["fact.similarity", one.similarity],
    ["fact.temperature", String(Number(one.temperature.toPrecision(4)))],
    ["fact.null", nullLevel(one, say)],
    ["fact.late", say(one.late ? "fact.late.on" : "fact.late.off")],
    ["fact.calibration", calibration ? (calibration.outgrown ? say("fact.calibration.old") : kept) : say("fact.calibration.none")],
    ...(stored ? [/** @type {[string, string]} */ (["fact.projection", say(stored.pairs ? "fact.projection.trained" : "fact.projection.sent", stored)])] : []),
  ];
  return each("dl.facts", {}, lines, ([name, text]) => h("div", {}, h("dt", {}, say(name)), h("dd", {}, text)));
}

/**
 * Return the null key of a collection and its similarity. Questions near to all keys raise one that has a name.
 * @param {Collection} collection
 * @param {Say} say
 */
function nullLevel({ null: choice, null_similarity: similarity }, say) {
  if (choice === false) return say("fact.null.off");
  if (similarity === null || typeof choice === "number") return String(choice);
  return say(choice === "auto" ? "fact.null.raised" : "fact.null.named", { choice, level: fixed(similarity, 3) });
}
