/**
 * The picture of chapter 8 and the language model that it shows: a script which the story loads when a reader comes there.
 *
 * It is a classic script, as all bundles of the page are; its face is `window.softkvWord`.
 */

import { LanguageModel } from "../../language/index.js";
import { fill, h, put } from "../../../../../service/softkv_service/web/shared/element.js";
import { fixed, percent, temperatureText } from "../../../../../service/softkv_service/web/shared/numbers.js";
import { positionOf, STEPS, temperatureAt } from "../../../../../service/softkv_service/web/shared/scale.js";
import { reader } from "../../../../../service/softkv_service/web/shared/words.js";
import { eased, isReduced, Timeline } from "../../../../../service/softkv_service/web/shared/motion.js";
import { asking } from "../../../../../service/softkv_service/web/shared/parts.js";
import { rowToWord } from "../sentences.js";
import { LAST, NAMES, Scene } from "./scene.js";
import words from "./word.json";

/** So many of the likeliest words are rows. */
const CANDIDATES = 8;
/** So many of the strongest neurons are rows. */
const NEURONS = 6;
/** The level of the heads, and of the neurons beside them. */
const NEAR = 2;
/** The parameters of the smallest GPT-2. */
const GPT2 = 124_439_808;
const SECONDS = 0.9;
/** The height of the sentence and its maximum width, in rem. */
const FIELD = 3;
const WIDEST = 40;
/** The pixels of a drag, or of a turn of the wheel, that lead to the next level. */
const PIXELS = 220;

/** One for the page, which is drawn anew in another language. @type {?Promise<LanguageModel>} */
let loading = null;

/**
 * @typedef {object} Shared what the story's script has already, and where the text about the model stands
 * @property {typeof import("../../../../../service/softkv_service/web/shared/threads.js").Threads} Threads
 * @property {typeof import("../../shared/recorded.js").recordedOnce} read
 * @property {HTMLElement} about
 */

/**
 * @param {HTMLElement} place where the picture stands
 * @param {HTMLElement} doing where its knobs stand
 * @param {import("../story.js").Context} context
 * @param {Shared} shared
 * @returns {Promise<import("../story.js").View>}
 */
async function mount(place, doing, context, { Threads, read: readRecord, about }) {
  loading ??= LanguageModel.load(readRecord);
  loading.catch(() => (loading = null)); // the next call tries again
  const model = await loading;
  const own = reader(words[context.language], context.language);
  const say = Object.assign(
    (/** @type {string} */ name, /** @type {import("../../../../../service/softkv_service/web/shared/words.js").Places} */ places = {}) =>
      (name in words.en ? own : context.say)(name, places),
    { rich: own.rich },
  );
  let state = context.state;
  let moving = new Timeline([]);
  /** @type {ReturnType<typeof read>} */
  let shown;
  /** @type {import("./scene.js").Reading} */
  let reading;

  const scene = new Scene(say, Threads, (patch) => {
    if (patch.word !== undefined) write(patch.word);
    else if (patch.z !== undefined) go(patch.z, patch.half);
    else if (patch.head !== undefined) context.set({ head: patch.head + 1 });
    else if (patch.layer !== undefined) context.set({ layer: patch.layer + 1 });
  });
  const ask = asking(say, (q) => context.set({ q }));
  const frame = h("div.zoom-place", {}, scene.element);
  fill(place, ask.element, frame);
  const knob = /** @type {HTMLInputElement} */ (
    h("input", { type: "range", id: "zoom", min: 0, max: LAST, step: 0.01, "aria-label": say("zoom"), oninput: () => to(Number(knob.value)) })
  );
  const back = h("button", { type: "button", "aria-label": say("nearer"), onclick: () => go(Math.ceil(state.z) - 1, state.half) }, "←");
  const next = h("button", { type: "button", "aria-label": say("farther"), onclick: () => go(Math.floor(state.z) + 1, state.half) }, "→");
  const names = NAMES.map(({ name, level, half }) => h("button", { type: "button", onclick: () => go(level, half ?? state.half) }, say(`level.${name}`)));
  const temperature = /** @type {HTMLInputElement} */ (
    h("input", { type: "range", id: "zoom-temperature", min: 0, max: STEPS, "aria-label": say("temperature"), oninput: () => warm() })
  );
  const warm = () => context.set({ t: temperatureAt(Number(temperature.value)) });
  const told = h("p.told", { role: "status" });
  const degrees = h("output", { for: "zoom-temperature" });
  const writes = h("button", { type: "button", onclick: () => write(model.draw(shown.trace.logits, state.t, Math.random())) }, say("write.any"));
  const writing = h("div.writing", {}, h("label", { for: "zoom-temperature" }, degrees), temperature, writes);
  const begins = model.beginnings.map(({ text, at, layer, head }) => {
    const read = model.tokens(text).words;
    const label = `${read[read.length - 1].text} → ${read[at - 1].text}`;
    return h("button", { type: "button", title: text, "aria-label": `${label}: ${text}`, onclick: () => context.set({ q: text, layer, head }) }, label);
  });
  const beginnings = h("div.choices", { role: "group", "aria-label": say("beginnings") }, say("beginnings"), begins);
  fill(doing, told, h("div.scrubber", {}, back, knob, next), h("div.levels", { role: "group", "aria-label": say("levels") }, names), beginnings, writing);
  const { facts } = model;
  const numbers = { ...facts, right: percent(facts.right), perplexity: fixed(facts.perplexity, 2), gpt2: GPT2, times: Math.round(GPT2 / facts.parameters) };
  fill(about, own("hood.model", { ...numbers, words: model.shape.positions - 1 }));

  knob.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowUp: 1, PageUp: 1, ArrowLeft: -1, ArrowDown: -1, PageDown: -1, Home: -LAST, End: LAST }[event.key];
    if (by === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    go((by > 0 ? Math.floor : Math.ceil)(state.z) + by, state.half);
  });
  drags(frame, () => state.z, to);

  /**
   * Move the camera to a level, through a half of the layer.
   * @param {number} level
   * @param {number} [half]
   */
  function go(level, half = 1) {
    moving.stop();
    context.set({ half });
    const from = zOf(state);
    const end = zOf({ z: level, half });
    if (isReduced()) return context.set({ z: end });
    moving = new Timeline([{ seconds: SECONDS * Math.max(0.5, Math.abs(end - from)), draw: (share) => step(from + (end - from) * eased(share)) }]);
    moving.play();
  }

  /** The reader moves the camera. @param {number} z */
  function to(z) {
    moving.stop();
    step(z);
  }

  /** @param {number} z */
  function step(z) {
    context.set({ z: Math.round(zOf({ ...state, z }) * 100) / 100 });
  }

  /** Write a word: the sentence grows. @param {number} id */
  function write(id) {
    const word = model.words[id];
    context.set({ q: `${state.q.trim()}${word === "." ? "" : " "}${word}` });
  }

  function compute() {
    shown = read(model, state.q);
    take();
    placeField();
    const field = /** @type {?HTMLTextAreaElement} */ (ask.element.querySelector("textarea"));
    if (field) field.placeholder = say("shown", { text: state.q });
    place.dataset.text = state.q;
  }

  function placeField() {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const width = Math.min(place.clientWidth, WIDEST * rem);
    ask.place({ x: (place.clientWidth - width) / 2, y: 0, width, height: FIELD * rem }, state.q);
  }

  function take() {
    reading = chosen();
    scene.take(reading);
  }

  /** The drawn part of the reading, in the chosen layer and head. */
  function chosen() {
    const { trace, guesses, labels } = shown;
    const { heads, layers } = model.shape;
    const [layer, head] = [within(state.layer, layers), within(state.head, heads)];
    const { queries, keys, before, attended, fed } = trace.layers[layer];
    const n = labels.length + 1;
    const size = queries[head].length / n;
    const query = queries[head].subarray((n - 1) * size);
    const similarities = Array.from(
      { length: n },
      (_, j) => keys[head].subarray(j * size, (j + 1) * size).reduce((sum, number, k) => sum + number * query[k], 0) / Math.sqrt(size),
    );
    const lengths = [before, attended, fed].map((rows) => Math.hypot(...rows.subarray((rows.length / n) * (n - 1))));
    return {
      words: [say("beginning"), ...labels],
      layer,
      head,
      half: state.half,
      attention: trace.layers.map(({ attention }) => attention),
      similarities,
      shares: lengths.map((length) => length / lengths.reduce((sum, one) => sum + one, 0)),
      ...model.lookUp(trace.layers[layer], layer, NEURONS),
      inner: model.shape.inner,
      guesses,
      ...candidates(),
    };
  }

  function candidates() {
    const all = model.next(shown.trace.logits, state.t || 1, CANDIDATES);
    const probabilities = model.probabilities(shown.trace.logits, state.t);
    const likeliest = all.map(({ id, word }) => ({ id, word, probability: probabilities[id] }));
    return { candidates: likeliest, otherWords: model.words.length - model.special - likeliest.length };
  }

  function show() {
    const z = zOf(state);
    scene.draw(z);
    const level = Math.round(z);
    knob.value = String(z);
    const here = NAMES.findIndex((one) => one.level === level && (one.half ?? state.half) === (state.half === 2 ? 2 : 1));
    knob.setAttribute("aria-valuetext", say(`level.${NAMES[here].name}`));
    back.toggleAttribute("disabled", z <= zOf({ ...state, z: 0 }));
    next.toggleAttribute("disabled", z >= LAST);
    for (const [i, name] of names.entries())
      if ((name.getAttribute("aria-pressed") === "true") !== (i === here)) name.setAttribute("aria-pressed", String(i === here));
    writing.hidden = level !== LAST;
    beginnings.hidden = level === LAST;
    tell(NAMES[here].name);
  }

  /** @param {string} level */
  function tell(level) {
    const unknown = shown.unknown.map(({ text }) => text).join(", ");
    const sentence = rowToWord(say, { level, temperature: state.t, vocabulary: model.words.length - model.special, ...reading });
    put(told, unknown ? `${say("unknown", { words: unknown })} ${sentence}` : sentence);
    if (degrees.textContent !== `T = ${temperatureText(state.t)}`) degrees.textContent = `T = ${temperatureText(state.t)}`;
    temperature.value = String(positionOf(state.t));
    temperature.setAttribute("aria-valuetext", `T = ${temperatureText(state.t)}`);
  }

  compute();
  context.sized(frame, (width, height) => {
    scene.layout(width, height);
    placeField();
  });
  show();

  return {
    get picture() {
      return scene.pictureOf(Math.round(zOf(state)));
    },
    update(now, changed) {
      state = now;
      if (changed.has("q")) compute();
      else if (["layer", "head", "half"].some((name) => changed.has(name))) take();
      else if (changed.has("t")) {
        reading = { ...reading, ...candidates() };
        scene.weigh(reading.candidates);
      }
      show();
    },
    film: (share) => context.set({ z: share * LAST }),
    leave: () => moving.stop(),
  };
}

/**
 * Read the last words of a text with the model.
 * @param {LanguageModel} model
 * @param {string} text
 */
function read(model, text) {
  const { ids, words, unknown } = model.tokens(text);
  const guesses = model.halves(ids).map((logits) => model.next(logits, 1, 1)[0]);
  return { trace: model.trace(ids), guesses, labels: words.map((word) => word.text), unknown };
}

/**
 * Let a drag on the picture, or a pinch, move the camera.
 * @param {HTMLElement} element
 * @param {() => number} from
 * @param {(z: number) => void} to
 */
function drags(element, from, to) {
  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const [start, z, end] = [event.clientX, from(), new AbortController()];
    let isDragged = false;
    const moved = (/** @type {PointerEvent} */ { clientX }) => {
      isDragged ||= Math.abs(clientX - start) > 6;
      if (isDragged) to(z + (clientX - start) / PIXELS);
    };
    const ended = () => {
      end.abort();
      // A drag does not press.
      if (isDragged) element.addEventListener("click", (click) => click.stopPropagation(), { capture: true, once: true });
    };
    window.addEventListener("pointermove", moved, { signal: end.signal });
    for (const name of ["pointerup", "pointercancel"]) window.addEventListener(name, ended, { signal: end.signal });
  });
  const turned = (/** @type {WheelEvent} */ event) => {
    if (!event.ctrlKey) return; // a plain wheel scrolls the story
    event.preventDefault();
    to(from() + event.deltaY / PIXELS);
  };
  element.addEventListener("wheel", turned, { passive: false });
}

/** Nothing is nearer than the rows of a feed-forward half. @param {{z: number, half: number}} state an address may say any number */
function zOf({ z, half }) {
  return Math.max(half === 2 ? NEAR : 0, Math.min(LAST, Number.isFinite(z) ? z : 0));
}

/**
 * A number of an address, from 1, as an index.
 * @param {number} number
 * @param {number} count
 */
function within(number, count) {
  return Math.max(0, Math.min(count - 1, Math.round(number) - 1 || 0));
}

window.softkvWord = { mount };
