/** Non-local means: every patch of a picture asks all patches, and takes the mean of their pixels by weight. */

import { h, put } from "../../element.js";
import { count, fixed, percent } from "../../numbers.js";
import { onTheWire } from "../../scale.js";
import { say } from "../../words.js";
import { latest } from "../latest.js";
import { temperatureSlider } from "../temperature.js";
import { panel } from "./panel.js";
import { LEVELS, madePicture, patchesOf, pixelsOf, psnr, SIDE, smallPicture, withNoise } from "./picture.js";

/** Patches that ask in one request, three rows of the picture; and how many requests are under way. */
const TILE = 3 * SIDE;
const AT_ONCE = 2;
/** Of so many rows and columns one pixel is repaired before all others, so that the whole picture is seen after one request. */
const COARSE = 4;
const REST_MS = 400;
/** @type {Record<string, number[] | undefined>} */
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @param {Page.Context} context */
export function photo(context) {
  const { store, api } = context;
  let clean = madePicture();
  /** @type {?{noise: number, levels: Uint8ClampedArray, patches: number[][], pixels: number[][]}} */
  let asked = null;
  let waiting = 0;
  /** @type {?{own?: number, gain: ?number, patches: number}} */
  let seen = null;
  const slider = temperatureSlider(store.state.t, (t) => store.set({ t }), [0, 0.01, 0.1, 0.3, 1, 10, Infinity]);
  const noise = h("input.slider.plain-slider", {
    type: "range",
    id: "noise",
    min: 0,
    max: 0.3,
    step: 0.01,
    oninput: () => store.set({ noise: Number(noise.value) }),
  });
  const noiseShown = h("output.number", { for: "noise" });
  const file = h("input", { type: "file", id: "own-photo", accept: "image/*", onchange: () => file.files?.[0] && own(file.files[0]) });
  const made = h("button", { type: "button", onclick: () => ((file.value = ""), take(madePicture())) }, say("photo.made"));
  const before = h("span.number", { id: "psnr-before" });
  const after = h("span.number", { id: "psnr-after" });
  const panels = {
    noisy: panel(say("photo.noisy"), [h("span.query", {}, `● ${say("photo.noisy")} `), before]),
    repaired: panel(say("photo.repaired"), [h("span.value", {}, `${say("photo.repaired")} `), after]),
    looks: panel(say("photo.looks"), [h("span.weight", {}, say("photo.looks"))]),
  };
  const picker = panels.noisy.canvas;
  Object.assign(picker, { tabIndex: 0, id: "picker", onclick: pick, onkeydown: move });
  picker.setAttribute("role", "application");
  picker.setAttribute("aria-label", say("photo.pick"));
  const words = h("p", { id: "photo-words", role: "status" });
  const looked = h("p.small", { id: "photo-looked", role: "status" });
  const element = h(
    "div.lookup.photo",
    {},
    h(
      "section.left",
      {},
      context.story,
      slider.element,
      h("div", {}, h("div.across", {}, h("label", { for: "noise" }, say("photo.noise")), noiseShown), noise),
      h("div.labelled", {}, h("label", { for: "own-photo" }, say("photo.own")), file, made),
      h("p.small.soft", {}, say("photo.private")),
      words,
    ),
    h(
      "section.right",
      {},
      h(
        "div.panels",
        {},
        Object.values(panels).map((one) => one.element),
      ),
      looked,
      h("p.small.soft", {}, say("photo.psnr")),
      h("h2", {}, say("photo.vit.title")),
      h("p.small", {}, say("photo.vit")),
    ),
  );

  const [looking, repairing] = [latest(context), latest(context)];

  /** Another picture: what was asked of the last one is nobody's answer now. @param {Uint8ClampedArray} picture */
  function take(picture) {
    clean = picture;
    asked = null;
    begin();
  }

  /** @param {File} chosen */
  async function own(chosen) {
    try {
      take(await smallPicture(chosen));
      context.notice.clear();
    } catch (failure) {
      if (!(failure instanceof DOMException)) throw failure;
      context.notice.say("photo.unread");
    }
  }

  /** The picture with its noise, as patches and as pixels. */
  function noisy() {
    if (asked?.noise !== store.state.noise) {
      const levels = withNoise(clean, store.state.noise);
      asked = { noise: store.state.noise, levels, patches: patchesOf(levels), pixels: pixelsOf(levels) };
    }
    return asked;
  }

  /** @param {number[][]} patches @param {string[]} include */
  function body(patches, include) {
    const { patches: key, pixels: value } = noisy();
    return { query: patches, key, value, similarity: "gaussian", temperature: onTheWire(store.state.t * LEVELS ** 2), include };
  }

  /** What can be shown at once; the rest when the sliders rest. */
  function begin() {
    const { levels } = noisy();
    repairing.end();
    looking.end();
    panels.noisy.draw(levels);
    put(before, decibel(psnr(levels, clean)));
    put(noiseShown, `σ = ${fixed(store.state.noise)}`);
    noise.value = String(store.state.noise);
    slider.follow(store.state.t);
    element.setAttribute("aria-busy", "true");
    clearTimeout(waiting);
    waiting = setTimeout(ask, REST_MS);
  }

  async function ask() {
    clearTimeout(waiting);
    await look();
    if (looking.isOver()) return;
    if (store.state.revealed) await repair();
    else element.removeAttribute("aria-busy");
  }

  /** Where one patch looks. */
  async function look() {
    const at = chosen();
    const { levels, patches } = noisy();
    for (const one of [panels.noisy, panels.looks]) one.point(at);
    await looking.ask(async (signal) => {
      const answer = await api.post("/v1/attend", body([patches[at]], ["weights"]), signal);
      const weights = /** @type {number[]} */ (answer.weights[0]);
      panels.looks.shine(levels, weights, at);
      const far = weights.map((weight, i) => ({ weight, away: Math.hypot((i % SIDE) - (at % SIDE), Math.floor(i / SIDE) - Math.floor(at / SIDE)) }));
      const others = far.filter(({ away }) => away > 0).sort((a, b) => b.weight - a.weight);
      const beyond = far.filter(({ away }) => away > SIDE / 4).reduce((sum, { weight }) => sum + weight, 0);
      put(
        looked,
        say("photo.looked", {
          own: percent(weights[at]),
          best: percent(others[0].weight),
          away: fixed(others[0].away, 1),
          beyond: percent(beyond),
          quarter: SIDE / 4,
        }),
      );
      tell({ own: weights[at] });
    });
  }

  /** The whole picture: coarse at first, then tile by tile as they come, from the chosen patch outward. */
  async function repair() {
    const { levels, patches } = noisy();
    const began = performance.now();
    const output = new Float64Array(levels.length);
    const row = Math.floor(chosen() / TILE);
    const tiles = Array.from({ length: Math.ceil(patches.length / TILE) }, (_, i) => i)
      .sort((i, j) => Math.abs(i - row) - Math.abs(j - row))
      .map((i) => i * TILE);
    const total = tiles.length;
    let done = 0;
    panels.repaired.clear();
    put(after, "…");
    element.setAttribute("aria-busy", "true");
    const work = async (/** @type {AbortSignal} */ signal) => {
      for (let from = tiles.shift(); from !== undefined; from = tiles.shift()) {
        const answer = await api.post("/v1/attend", body(patches.slice(from, from + TILE), []), signal);
        output.set(answer.output.flat(), 3 * from);
        panels.repaired.draw(output, from, Math.min(from + TILE, patches.length));
        put(words, say("photo.tiles", { done: ++done, total }));
      }
    };
    await repairing.ask(async (signal) => {
      panels.repaired.draw(await coarse(patches, signal));
      put(words, say("photo.tiles", { done, total }));
      await Promise.all(Array.from({ length: AT_ONCE }, () => work(signal)));
      const [was, is] = [psnr(levels, clean), psnr(output, clean)];
      put(after, decibel(is));
      const seconds = fixed((performance.now() - began) / 1000, 1);
      put(
        words,
        say(is > was ? "photo.better" : is < was ? "photo.worse" : "photo.same", {
          before: decibel(was),
          after: decibel(is),
          gain: decibel(Math.abs(is - was)),
          patches: count(patches.length),
          total: total + 1,
          seconds,
        }),
      );
      tell({ gain: is === was ? 0 : is - was });
    });
    if (!repairing.isOver()) element.removeAttribute("aria-busy");
  }

  /**
   * One repaired pixel for each square of the picture.
   *
   * @returns {Promise<Float64Array>} [SIDE, SIDE, 3]
   * @param {number[][]} patches
   * @param {AbortSignal} signal
   */
  async function coarse(patches, signal) {
    const middles = patches.map((_, i) => i).filter((i) => [i % SIDE, Math.floor(i / SIDE)].every((at) => at % COARSE === COARSE / 2));
    const { output } = await api.post(
      "/v1/attend",
      body(
        middles.map((i) => patches[i]),
        [],
      ),
      signal,
    );
    const square = (/** @type {number} */ i) => Math.floor(i / SIDE / COARSE) * (SIDE / COARSE) + Math.floor((i % SIDE) / COARSE);
    return Float64Array.from(patches.flatMap((_, i) => output[square(i)]));
  }

  /** @param {{own: number} | {gain: number}} more */
  function tell(more) {
    seen = { gain: null, ...seen, ...more, patches: SIDE * SIDE };
    context.told({ state: store.state, ...seen });
  }

  /** @param {MouseEvent} event */
  function pick(event) {
    const box = picker.getBoundingClientRect();
    const along = (/** @type {number} */ at, /** @type {number} */ from, /** @type {number} */ size) =>
      Math.min(SIDE - 1, Math.max(0, Math.floor(((at - from) / size) * SIDE)));
    store.set({ patch: along(event.clientY, box.top, box.height) * SIDE + along(event.clientX, box.left, box.width) });
  }

  /** @param {KeyboardEvent} event */
  function move(event) {
    const step = MOVES[event.key];
    if (!step) return;
    event.preventDefault();
    const [x, y] = [(chosen() % SIDE) + step[0], Math.floor(chosen() / SIDE) + step[1]];
    if (x >= 0 && x < SIDE && y >= 0 && y < SIDE) store.set({ patch: y * SIDE + x });
  }

  function chosen() {
    return Math.min(SIDE * SIDE - 1, Math.max(0, Math.floor(store.state.patch)));
  }

  /** @param {Page.State} state @param {Set<string>} changed */
  function update(state, changed) {
    if (changed.has("t") || changed.has("noise")) {
      seen = seen && { ...seen, gain: null };
      begin();
    } else if (changed.has("patch")) look();
    if (changed.has("revealed") && state.revealed) ask();
  }

  begin();
  return { element, update, again: ask, leave: () => (repairing.end(), looking.end(), clearTimeout(waiting)) };
}

/** @param {number} ratio */
function decibel(ratio) {
  return `${fixed(ratio, 1)} dB`;
}
