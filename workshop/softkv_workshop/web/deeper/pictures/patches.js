/** Non-local means: every patch of a noisy picture is a query to all patches, and takes their mean by weight. */

import { h, put } from "../../../../../service/softkv_service/web/shared/element.js";
import { fixed, percent } from "../../../../../service/softkv_service/web/shared/numbers.js";
import { onTheWire } from "../../../../../service/softkv_service/web/shared/scale.js";
import { statusLine } from "../../../../../service/softkv_service/web/shared/parts.js";
import { hood, prediction, screen } from "../../story/parts.js";
import { latest, slider, temperatureSlider } from "../parts.js";
import { panel } from "../patches/panel.js";
import { LEVELS, madePicture, patchesOf, pixelsOf, psnr, SIDE, smallPicture, withNoise } from "../patches/picture.js";
import words from "./patches.json";

/** Patches in one request, three rows of the picture; and how many requests are under way. */
const TILE = 3 * SIDE;
const AT_ONCE = 2;
/** The side of a square of which one pixel is repaired first: the whole picture is seen after one request. */
const COARSE = 4;
const REST_MS = 400;
/** @type {Record<string, number[] | undefined>} */
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @typedef {{t: number, noise: number, patch: number, g: string}} State */

/** @type {import("../parts.js").Picture} */
export const patches = {
  id: "patches",
  of: "inside-a-model",
  sketch: "M8 6h60v60H8zM23 6v60M38 6v60M53 6v60M8 21h60M8 36h60M8 51h60M86 21h26v30H86zM68 28h18M68 44h18",
  words,
  defaults: { t: 0.1, noise: 0.1, patch: 1300, g: "" },

  mount(host, context) {
    const { say, api, set } = context;
    /** @type {State} */
    let state = context.state;
    let clean = madePicture();
    /** @type {?{noise: number, levels: Uint8ClampedArray, patches: number[][], pixels: number[][]}} */
    let drawn = null;
    let waiting = 0;
    const temperature = temperatureSlider(say, (t) => set({ t }), [0, 0.01, 0.1, 0.3, 1, 10, Infinity]);
    const noise = slider({ id: "noise", label: say("noise"), min: 0, max: 0.3, step: 0.01, change: (value) => set({ noise: value }) });
    const file = /** @type {HTMLInputElement} */ (
      h("input", { type: "file", id: "own-photo", accept: "image/*", onchange: () => file.files?.[0] && own(file.files[0]) })
    );
    const made = h("button", { type: "button", onclick: () => ((file.value = ""), take(madePicture())) }, say("made"));
    const unread = h("p.unread", { role: "status" });
    const [before, after] = [h("span.number", { id: "psnr-before" }), h("span.number", { id: "psnr-after" })];
    const panels = {
      noisy: panel(say("noisy"), [h("span.query", {}, `${say("noisy")} `), before]),
      repaired: panel(say("repaired"), [h("span.value", {}, `${say("repaired")} `), after]),
      looks: panel(say("looks"), [h("span.weight", {}, say("looks"))]),
    };
    const picker = panels.noisy.canvas;
    Object.assign(picker, { tabIndex: 0, id: "picker", onclick: pick, onkeydown: move });
    picker.setAttribute("role", "application");
    picker.setAttribute("aria-label", say("pick"));
    const status = statusLine();
    const looked = h("p", { id: "looked", role: "status" });
    const guess = prediction(context, {
      question: say("predict"),
      choices: ["same", "sharp", "grey", "black"].map((name) => ({ label: say(`predict.${name}`), isRight: name === "same" })),
      why: () => say("predict.why", { patches: SIDE * SIDE }),
      reveal: () => set({ t: 0 }),
    });
    const panelsElement = h("div.panels", {}, ...Object.values(panels).map(({ element }) => element));
    const photo = h("div.own", {}, h("label", { for: "own-photo" }, say("own")), file, made, unread);
    const picture = h("div.patches-of", {}, panelsElement, looked);
    host.append(
      screen({
        title: say("title"),
        sentence: say("sentence"),
        picture,
        below: [guess.element, temperature.element, noise.element, status.element],
        hood: hood(say, photo, h("p", {}, say("private")), h("p", {}, say("psnr")), h("h3", {}, say("vit.title")), h("p", {}, say("vit"))),
      }),
    );
    const [looking, repairing] = [latest(context), latest(context, picture)];

    /** Another picture: answers about the last one are no longer wanted. @param {Uint8ClampedArray} levels */
    function take(levels) {
      clean = levels;
      drawn = null;
      put(unread, "");
      begin();
    }

    /** @param {File} chosen */
    async function own(chosen) {
      try {
        take(await smallPicture(chosen));
      } catch (failure) {
        if (!(failure instanceof DOMException)) throw failure;
        put(unread, say("unread"));
      }
    }

    /** The picture with its noise, as patches and as pixels. */
    function noisy() {
      if (drawn?.noise !== state.noise) {
        const levels = withNoise(clean, state.noise);
        drawn = { noise: state.noise, levels, patches: patchesOf(levels), pixels: pixelsOf(levels) };
      }
      return drawn;
    }

    /**
     * @param {number[][]} queries
     * @param {string[]} include
     */
    function body(queries, include) {
      const { patches: key, pixels: value } = noisy();
      return { query: queries, key, value, similarity: "gaussian", temperature: onTheWire(state.t * LEVELS ** 2), include };
    }

    /** Show at once what can be; the service is asked when the sliders rest. */
    function begin() {
      const { levels } = noisy();
      repairing.end();
      looking.end();
      panels.noisy.draw(levels);
      put(before, decibel(psnr(levels, clean)));
      noise.follow(state.noise, `σ = ${fixed(state.noise)}`);
      temperature.follow(state.t);
      picture.setAttribute("aria-busy", "true");
      clearTimeout(waiting);
      waiting = window.setTimeout(ask, REST_MS);
    }

    async function ask() {
      clearTimeout(waiting);
      await look();
      if (!looking.isOver()) await repair();
    }

    /** Show where one patch looks. */
    async function look() {
      const place = chosen();
      const { levels, patches: all } = noisy();
      for (const one of [panels.noisy, panels.looks]) one.point(place);
      await looking.ask(async (signal) => {
        const answer = await api.post("/v1/attend", body([all[place]], ["weights"]), signal);
        const weights = /** @type {number[]} */ (answer.weights[0]);
        panels.looks.shine(levels, weights, place);
        const others = weights
          .map((weight, i) => ({ weight, away: Math.hypot((i % SIDE) - (place % SIDE), Math.floor(i / SIDE) - Math.floor(place / SIDE)) }))
          .filter(({ away }) => away > 0);
        const best = others.reduce((most, one) => (one.weight > most.weight ? one : most));
        const beyond = others.filter(({ away }) => away > SIDE / 4).reduce((sum, { weight }) => sum + weight, 0);
        const shares = { own: percent(weights[place]), best: percent(best.weight), beyond: percent(beyond) };
        put(looked, say("looked", { ...shares, away: fixed(best.away, 1), quarter: SIDE / 4 }));
      });
    }

    /** Repair the whole picture: coarsely at first, then tile by tile, from the chosen patch outward. */
    async function repair() {
      const { levels, patches: all } = noisy();
      const began = performance.now();
      const output = new Float64Array(levels.length);
      const row = Math.floor(chosen() / TILE);
      const tiles = Array.from({ length: Math.ceil(all.length / TILE) }, (_, i) => i)
        .sort((i, j) => Math.abs(i - row) - Math.abs(j - row))
        .map((i) => i * TILE);
      const total = tiles.length;
      let done = 0;
      panels.repaired.clear();
      put(after, "…");
      const work = async (/** @type {AbortSignal} */ signal) => {
        for (let from = tiles.shift(); from !== undefined; from = tiles.shift()) {
          const answer = await api.post("/v1/attend", body(all.slice(from, from + TILE), []), signal);
          output.set(answer.output.flat(), 3 * from);
          panels.repaired.draw(output, from, Math.min(from + TILE, all.length));
          status.show(say("tiles", { done: ++done, total }));
        }
      };
      await repairing.ask(async (signal) => {
        panels.repaired.draw(await coarse(all, signal));
        await Promise.all(Array.from({ length: AT_ONCE }, () => work(signal)));
        const [noisyRatio, ratio] = [psnr(levels, clean), psnr(output, clean)];
        put(after, decibel(ratio));
        const name = ratio > noisyRatio ? "better" : ratio < noisyRatio ? "worse" : "same";
        const numbers = { before: decibel(noisyRatio), after: decibel(ratio), gain: decibel(Math.abs(ratio - noisyRatio)) };
        const seconds = fixed((performance.now() - began) / 1000, 1);
        status.show(say(name, { ...numbers, patches: all.length, total: total + 1, seconds }));
      });
    }

    /**
     * One repaired pixel for each square of the picture.
     *
     * @param {number[][]} all the patches
     * @param {AbortSignal} signal
     * @returns {Promise<Float64Array>} [SIDE, SIDE, 3]
     */
    async function coarse(all, signal) {
      const middles = all.flatMap((patch, i) => ([i % SIDE, Math.floor(i / SIDE)].every((place) => place % COARSE === COARSE / 2) ? [patch] : []));
      const { output } = await api.post("/v1/attend", body(middles, []), signal);
      const square = (/** @type {number} */ i) => Math.floor(i / SIDE / COARSE) * (SIDE / COARSE) + Math.floor((i % SIDE) / COARSE);
      return Float64Array.from(all.flatMap((_, i) => output[square(i)]));
    }

    /** @param {MouseEvent} event */
    function pick(event) {
      const box = picker.getBoundingClientRect();
      const along = (/** @type {number} */ place, /** @type {number} */ from, /** @type {number} */ size) =>
        Math.min(SIDE - 1, Math.max(0, Math.floor(((place - from) / size) * SIDE)));
      set({ patch: along(event.clientY, box.top, box.height) * SIDE + along(event.clientX, box.left, box.width) });
    }

    /** @param {KeyboardEvent} event */
    function move(event) {
      const step = MOVES[event.key];
      if (!step) return;
      event.preventDefault();
      const [x, y] = [(chosen() % SIDE) + step[0], Math.floor(chosen() / SIDE) + step[1]];
      if (x >= 0 && x < SIDE && y >= 0 && y < SIDE) set({ patch: y * SIDE + x });
    }

    function chosen() {
      return Math.min(SIDE * SIDE - 1, Math.max(0, Math.floor(state.patch)));
    }

    begin();
    return {
      update(now, changed) {
        state = now;
        guess.show();
        if (changed.has("t") || changed.has("noise")) begin();
        else if (changed.has("patch")) look();
      },
      arrive: begin,
      again: ask,
      leave: () => (repairing.end(), looking.end(), clearTimeout(waiting)),
    };
  },
};

/** @param {number} ratio */
function decibel(ratio) {
  return `${fixed(ratio, 1)} dB`;
}
