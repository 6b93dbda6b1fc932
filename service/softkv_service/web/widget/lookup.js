/** A query over keys: threads, with the temperature and the null key that Python has too. */

import { standing, weigh } from "../shared/formula.js";
import { fill, h } from "../shared/element.js";
import { onTheWire, STEPS, temperatureAt } from "../shared/scale.js";
import { between } from "../shared/tail.js";
import { isReduced, Timeline } from "../shared/motion.js";
import { amongThousands, nothingFits, whoShares } from "../shared/sentences.js";
import { speaker } from "../shared/speaker.js";
import { Threads } from "../shared/threads.js";
import { asking, statusLine } from "../shared/parts.js";
import words from "./words.json";

/**
 * A query's rows, with their weights at some temperatures.
 *
 * @typedef {object} Picture
 * @property {string} query
 * @property {{key: string, value: string}[]} rows the most similar ones
 * @property {number[]} similarities of these rows
 * @property {number} documents with those that are not drawn
 * @property {Swept[]} temperatures
 */

/**
 * @typedef {object} Swept
 * @property {number} temperature
 * @property {number[]} weights
 * @property {number} rest_weight
 * @property {number} null_weight of the null key that was swept
 * @property {?number} null_similarity null without such a key, or if it is infinite
 * @property {?number} log_partition
 */

/** A null key: its similarity, the name of the one that was swept, or null without one. @typedef {number | string | null} Null */

const WARM = 1e290;
/** A cosine is at most 1, but for its rounding. */
const BOUND = 1 + 1e-6;
/** The seconds from T = 0 to T = ∞, and at each of them. */
const [SWEEP, REST] = [5, 0.8];

/**
 * @param {import("./index.js").Model} model
 * @param {import("../shared/words.js").Language} language
 * @returns {import("./index.js").View}
 */
export function lookup(model, language) {
  const say = speaker(language, words);
  const isLive = model.get("_live");
  /**
   * @param {string} name
   * @param {unknown} value
   */
  const set = (name, value) => {
    sweep.stop();
    model.set(name, value);
    model.save_changes();
    draw();
  };
  const threads = new Threads(say, isLive ? (t) => set("temperature", onTheWire(t)) : null, isLive ? (level) => set("null", level) : null);
  const ask = asking(say, (query) => {
    element.classList.add("unanswered");
    set("query", query);
  });
  const stage = h("div.lookup-picture", {}, threads.element, model.get("_asks") ? ask.element : null);
  const status = statusLine();
  const problem = h("p.notice", { role: "status" });
  const play = h("button", { type: "button", onclick: () => sweep.play() }, say("sweep"));
  const element = h("div.lookup", {}, stage, h("div.doing", {}, isLive && !isReduced() ? play : null, status.element, problem));
  /** @type {Masses} */
  let masses = new Masses(model.get("_picture"));
  const sweep = new Timeline([
    { seconds: REST, draw: () => draw(0) },
    { seconds: SWEEP, draw: (part) => draw(temperatureAt(Math.round(part * STEPS))) },
    { seconds: REST },
    { seconds: 0, draw: () => draw() },
  ]);

  function take() {
    sweep.stop();
    masses = new Masses(model.get("_picture"));
    const { query, rows, similarities } = masses.picture;
    const isBounded = similarities.every((similarity) => Math.abs(similarity) <= BOUND);
    threads.take({ query, rows, others: masses.others, none: hasNull(), named: true, bars: isLive && isBounded && rows.length > 0 && hasNull() });
    element.classList.remove("unanswered");
    place();
    draw();
  }

  const hasNull = () => masses.hasNull(model.get("null"));

  function place() {
    ask.place(threads.queryBox, masses.picture.query);
  }

  /** @param {number} [temperature] another than the widget's, in a sweep */
  function draw(temperature = fromTheWire(model.get("temperature"))) {
    const { rows, similarities, documents } = masses.picture;
    const { weights, restWeight, nullWeight, level } = masses.weigh(temperature, model.get("null"));
    threads.draw({ temperature, weights, similarities, othersWeight: restWeight, noneWeight: nullWeight, level });
    const keys = rows.map(({ key }) => key);
    const answer = { weights, nullWeight, restWeight, logPartition: NaN, effective: NaN, ...standing(weights, nullWeight) };
    if (hasNull()) status.show(nothingFits(say, { keys, answer, isBlurred: false }));
    else if (rows.length < 2) status.show("");
    else status.show(masses.others ? amongThousands(say, { keys, documents, temperature, answer }) : whoShares(say, { keys, temperature, weights }));
  }

  function follow() {
    sweep.stop();
    draw();
  }

  function tell() {
    fill(problem, model.get("_problem"));
    problem.hidden = !model.get("_problem");
    if (!problem.hidden) element.classList.remove("unanswered");
  }

  const watcher = new ResizeObserver(([{ contentRect }]) => {
    threads.layout(contentRect.width, contentRect.height);
    place();
    draw();
  });
  watcher.observe(stage);
  take();
  tell();
  return {
    element,
    follow: { _picture: take, temperature: follow, null: take, _problem: tell },
    leave() {
      sweep.stop();
      watcher.disconnect();
    },
  };
}

/**
 * The weights at any temperature. The logarithm of each one's share before the softmax is a function of 1/T: of one key
 * the line s/T, and of many keys a convex curve. It is known at the temperatures of a sweep, and between them a cubic.
 */
export class Masses {
  /** @type {import("../shared/tail.js").Rung[]} */
  #rungs;

  /** @param {Picture} picture */
  constructor(picture) {
    this.picture = picture;
    this.others = picture.documents - picture.rows.length;
    this.#rungs = picture.temperatures
      .filter(({ temperature }) => temperature > 0)
      .map(({ temperature, weights, rest_weight: rest, null_weight: nothing, null_similarity: level, log_partition: total }) => {
        const inverse = temperature > WARM ? 0 : 1 / temperature;
        const mass = (/** @type {number} */ weight) => Math.log(weight) + (total ?? 0);
        const rows = weights.map((weight, i) => /** @type {const} */ ([`row ${i}`, mass(weight)]));
        const nulls = nothing > 0 || level === null ? mass(nothing) : level * inverse;
        return { inverse, rest: mass(rest), none: nulls, ...Object.fromEntries(rows) };
      });
    this.#rungs.sort((a, b) => a.inverse - b.inverse);
  }

  /** Whether there is a null key. @param {Null} nullKey */
  hasNull(nullKey) {
    return typeof nullKey === "number" || (typeof nullKey === "string" && this.picture.temperatures.some(({ null_weight: weight }) => weight > 0));
  }

  /**
   * @param {number} temperature 0 to ∞
   * @param {Null} nullKey
   * @returns {{weights: Float64Array, restWeight: number, nullWeight: number, level: number | undefined}} `level`: the similarity of the null key
   */
  weigh(temperature, nullKey) {
    if (temperature === 0) return this.#coldest(nullKey);
    const inverse = Math.min(1 / temperature, this.#rungs[this.#rungs.length - 1].inverse);
    const at = (/** @type {string} */ name) => between(this.#rungs, inverse, name);
    const has = this.hasNull(nullKey);
    const nulls = typeof nullKey === "number" ? nullKey * inverse : has ? at("none") : -Infinity;
    const masses = [...this.picture.rows.map((_, i) => at(`row ${i}`)), this.others ? at("rest") : -Infinity, nulls];
    const peak = Math.max(...masses);
    const parts = masses.map((mass) => Math.exp(mass - peak));
    const total = parts.reduce((sum, part) => sum + part, 0);
    const [restWeight, nullWeight] = parts.slice(-2).map((part) => part / total);
    const level = !has ? undefined : typeof nullKey === "number" ? nullKey : nulls * temperature;
    return { weights: Float64Array.from(parts.slice(0, -2), (part) => part / total), restWeight, nullWeight, level };
  }

  /** T = 0, as it was swept; with a null key that the reader has moved, among the rows that are drawn. @param {Null} nullKey */
  #coldest(nullKey) {
    const { similarities, temperatures } = this.picture;
    const swept = temperatures.find(({ temperature }) => temperature === 0);
    if (swept && (typeof nullKey === "string" || (nullKey === null && !swept.null_weight)))
      return {
        weights: Float64Array.from(swept.weights),
        restWeight: swept.rest_weight,
        nullWeight: swept.null_weight,
        level: swept.null_similarity ?? undefined,
      };
    const level = typeof nullKey === "number" ? nullKey : undefined;
    const { weights, nullWeight } = weigh(similarities, { temperature: 0, none: level === undefined ? null : { similarity: level, count: 1 } });
    return { weights, restWeight: 0, nullWeight, level };
  }
}

/** @param {number} temperature */
function fromTheWire(temperature) {
  return temperature > WARM ? Infinity : temperature;
}
