/** The answer as the story draws it: threads from the question to the heaviest rows. It moves with the temperature. */

import { h } from "../shared/element.js";
import { onTheWire, STEPS, temperatureAt } from "../shared/scale.js";
import { speaker } from "../shared/speaker.js";
import { Threads } from "../shared/threads.js";
import { text } from "./text.js";

/** @typedef {import("./explorer.js").Context} Context */
/** @typedef {{id: string, key?: string | null, value?: unknown, similarity: number}} Match */

/** The most rows that are drawn by themselves, and the width in pixels below which they are fewer. */
const ROWS = { narrow: 5, wide: 8 };
const NARROW = 640;
/** The moments of a film: temperatures from 0 to infinity. */
const MOMENTS = 50;
const WARM = 1e290;

export class Picture {
  #context;
  #ask;
  #threads;
  #stage;
  /** @type {any} the answer that is drawn */
  #came = null;
  /** @type {?Promise<any>} the answers of the film */
  #swept = null;
  #body = {};
  #most = ROWS.wide;

  /**
   * @param {Context} context
   * @param {(temperature: number) => void} change the reader moved the knob
   * @param {(path: string, body: object) => Promise<any>} ask asks the collection
   */
  constructor(context, change, ask) {
    this.#context = context;
    this.#ask = ask;
    this.#threads = new Threads(speaker(context.language), change);
    this.#stage = h("div.drawn", {}, this.#threads.element);
    this.element = h(
      "details.picturing",
      { open: document.documentElement.dataset.embed !== undefined },
      h("summary", {}, context.say("picture")),
      this.#stage,
    );
    const observer = new ResizeObserver(([{ contentRect }]) => this.#layout(contentRect));
    observer.observe(this.#stage);
  }

  /**
   * Draw an answer, or nothing.
   * @param {any} came
   * @param {object} body the question
   */
  show(came, body = {}) {
    this.element.hidden = !came?.matches.length;
    [this.#came, this.#body, this.#swept] = [came, body, null];
    if (came) this.#take(came, came.evidence, came.temperature, came.matches);
  }

  /** The drawing and its film; undefined without an answer. @returns {import("../shared/sharing.js").Shown | undefined} */
  get shown() {
    if (this.element.hidden || !this.#came) return undefined;
    return { picture: this.#threads.element, film: (share) => this.#film(share), open: () => this.#open() };
  }

  /** A drawing has no size before its fold is open. */
  #open() {
    this.element.open = true;
    this.#layout(this.#stage.getBoundingClientRect());
  }

  /** @param {{width: number, height: number}} box */
  #layout({ width, height }) {
    const most = width && width < NARROW ? ROWS.narrow : ROWS.wide;
    if (most !== this.#most) {
      this.#most = most;
      this.show(this.#came, this.#body);
    }
    this.#threads.layout(width, height);
  }

  /** Draw a moment of the film, and at its end the answer again. @param {number} share */
  async #film(share) {
    const temperatures = Array.from({ length: MOMENTS }, (_, i) => onTheWire(temperatureAt((i * STEPS) / (MOMENTS - 1))));
    const { temperature, top_k: _, include: __, group_by: ___, rerank: ____, ...question } = /** @type {any} */ (this.#body);
    const swept = await (this.#swept ??= this.#ask("sweep", { ...question, temperatures, top_k: ROWS.wide + 1 }));
    const moment = swept.temperatures[Math.round(share * (MOMENTS - 1))];
    const matches = swept.matches.map((/** @type {Match} */ match, /** @type {number} */ i) => ({ ...match, weight: moment.weights[i] }));
    this.#take({ ...this.#came, matches, rest_weight: moment.rest_weight }, moment.evidence, moment.temperature, matches);
    if (share === 1) setTimeout(() => this.show(this.#came, this.#body));
  }

  /**
   * @param {any} came
   * @param {any} evidence
   * @param {number} temperature
   * @param {any[]} matches
   */
  #take(came, evidence, temperature, matches) {
    // A single row beside them is drawn as they are.
    const rows = matches.slice(0, came.documents === this.#most + 1 ? this.#most + 1 : this.#most);
    const others = came.documents - rows.length;
    this.#threads.take({
      query: this.#context.said.get("q") ?? "",
      rows: rows.map(({ id, key, value }) => ({ key: key ?? id, value: text(value) })),
      others,
      none: evidence.null_similarity !== null,
      named: true,
    });
    this.#threads.draw({
      temperature: temperature > WARM ? Infinity : temperature,
      weights: rows.map(({ weight }) => weight),
      similarities: rows.map(({ similarity }) => similarity),
      othersWeight: others ? came.rest_weight + matches.slice(rows.length).reduce((sum, { weight }) => sum + weight, 0) : 0,
      noneWeight: evidence.null_weight,
    });
  }
}
