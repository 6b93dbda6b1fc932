/**
 * The question that the page at `/` asks a new visitor once: to learn, or to explore. A row below the bar, so that the
 * story can be read meanwhile. On a service without collections it offers three doors.
 */

import { SoftkvError } from "../../../../service/softkv_service/web/shared/api.js";
import { loadDemo, NAME, QUESTION } from "../../../../service/softkv_service/web/shared/demo.js";
import { fill, h, put } from "../../../../service/softkv_service/web/shared/element.js";
import { EXPLORE, remember } from "../../../../service/softkv_service/web/shared/purpose.js";

/** @typedef {import("../../../../service/softkv_service/web/shared/api.js").API} API */
/** @typedef {import("../../../../service/softkv_service/web/shared/words.js").Say} Say */

/** The address of the tab that takes files. */
const DROP = `${EXPLORE}#tab=upload`;
const DEMO = `${EXPLORE}#${new URLSearchParams({ collection: NAME, tab: "ask", q: QUESTION })}`;

export class Choice {
  #api;
  #say;
  #close;
  #isEmpty = false;
  #told = h("span", { role: "status" });
  #ask = h("p");
  #doors = h("div.doors");
  element = h("section.choice", {}, this.#ask, this.#doors);

  /**
   * @param {API} api
   * @param {Say} say
   * @param {() => void} close puts the row away
   */
  constructor(api, say, close) {
    this.#api = api;
    this.#say = say;
    this.#close = close;
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && this.#learn());
    this.#draw();
  }

  /** In another language. @param {Say} say */
  speak(say) {
    this.#say = say;
    this.#draw();
  }

  /** See whether the service has collections, and whether this visitor may make one. */
  async look() {
    if (document.documentElement.dataset.keyed !== undefined && !this.#api.key) return; // it would be refused
    try {
      const [{ encoder }, { collections, access }] = await Promise.all([this.#api.get("/v1"), this.#api.get("/v1/collections?limit=1")]);
      this.#isEmpty = collections.length === 0 && access === "write" && encoder !== null;
    } catch (failure) {
      if (!(failure instanceof SoftkvError)) throw failure; // the key is unknown, or the service is away, which the explorer reports
    }
    if (this.#isEmpty) this.#draw();
  }

  #draw() {
    const say = this.#say;
    const had = this.#doors.contains(document.activeElement) ? document.activeElement?.id : null;
    this.element.setAttribute("aria-label", say("choice"));
    put(this.#ask, say(this.#isEmpty ? "choice.empty" : "choice.ask"));
    const idea = h("button", { type: "button", id: "learn", onclick: () => this.#learn() }, say(this.#isEmpty ? "door.idea" : "choice.learn"));
    const explore = (/** @type {string} */ href, /** @type {string} */ words) => h("a", { href, id: "explore", onclick: () => remember("explore") }, words);
    const doors = this.#isEmpty
      ? [h("button", { type: "button", id: "demo", onclick: (event) => this.#load(event) }, say("door.demo")), explore(DROP, say("door.csv")), idea]
      : [idea, explore(EXPLORE, say("choice.explore"))];
    fill(this.#doors, doors, this.#told);
    if (had) document.getElementById(had)?.focus();
  }

  #learn() {
    remember("learn");
    this.#close();
  }

  /** @param {Event} event */
  async #load(event) {
    const door = /** @type {HTMLButtonElement} */ (event.currentTarget);
    door.disabled = true;
    try {
      await loadDemo(this.#api, (done, all) => put(this.#told, this.#say("door.loading", { done, all })));
    } catch (failure) {
      if (!(failure instanceof SoftkvError)) throw failure;
      put(this.#told, this.#say("refused", { detail: failure.message }));
      door.disabled = false;
      return;
    }
    remember("explore");
    window.location.assign(DEMO);
  }
}
