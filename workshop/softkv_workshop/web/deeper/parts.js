/** Parts of several pictures, beside those of the story: sliders, and one question at a time. */

import { h, put } from "../../../../service/softkv_service/web/shared/element.js";
import { temperatureText } from "../../../../service/softkv_service/web/shared/numbers.js";
import { positionOf, STEPS, temperatureAt } from "../../../../service/softkv_service/web/shared/scale.js";

/** @typedef {import("../../../../service/softkv_service/web/shared/words.js").Say} Say */
/** @typedef {import("../story/story.js").Context} Context */

/**
 * A picture that goes deeper than the story: a chapter of its own, which belongs to a chapter of the story.
 *
 * @typedef {import("../story/story.js").Chapter & {of: string, sketch: string}} Picture `of` is the chapter's id, `sketch` an SVG path in a box of 120 × 72
 */

const TICKS = [0, 0.01, 0.1, 1, 10, Infinity];

/**
 * A slider with its label and its value in words.
 *
 * @param {object} what
 * @param {string} what.id
 * @param {string} what.label
 * @param {number} what.min
 * @param {number} what.max
 * @param {number} what.step
 * @param {(value: number) => void} what.change called while the slider moves
 */
export function slider({ id, label, min, max, step, change }) {
  const input = /** @type {HTMLInputElement} */ (h("input", { type: "range", id, min, max, step, oninput: () => change(Number(input.value)) }));
  const shown = h("output.number", { for: id, "aria-live": "off" });
  const element = h("div.knob-of", {}, h("div.across", {}, h("label", { for: id }, label), shown), input);
  return {
    element,
    /**
     * Follow the state.
     * @param {number} value
     * @param {string} text what stands beside the label
     * @param {string} [spoken] what is read out
     */
    follow(value, text, spoken = text) {
      if (Number(input.value) !== value) input.value = String(value);
      put(shown, text);
      input.setAttribute("aria-valuetext", spoken);
    },
  };
}

/**
 * The temperature, from 0 to ∞, on a scale of logarithms, with marks to press.
 *
 * @param {Say} say
 * @param {(temperature: number) => void} change called while the slider moves
 * @param {number[]} [ticks]
 */
export function temperatureSlider(say, change, ticks = TICKS) {
  const { element, follow } = slider({
    id: "temperature",
    label: say("temperature"),
    min: 0,
    max: STEPS,
    step: 1,
    change: (position) => change(temperatureAt(position)),
  });
  const marks = ticks.map((tick) => {
    const at = String(positionOf(tick) / STEPS);
    const name = temperatureText(tick);
    // The slider is for the keyboard; its marks are for a pointer.
    return h("button.tick", { type: "button", tabIndex: -1, style: { "--at": at }, onclick: () => change(tick), "aria-label": `T = ${name}` }, name);
  });
  element.append(h("div.ticks", {}, marks));
  return {
    element,
    /**
     * Follow the state.
     * @param {number} temperature
     * @param {string} [words] what is read out beside the temperature
     */
    follow: (temperature, words = "") =>
      follow(positionOf(temperature), `T = ${temperatureText(temperature)}`, `${temperatureText(temperature)}${words ? `. ${words}` : ""}`),
  };
}

/**
 * One question at a time: the next one takes the place of the last. What goes wrong is said under the picture.
 *
 * @param {Context} context
 * @param {Element} [element] busy while a question is under way
 */
export function latest(context, element) {
  let running = new AbortController();

  /** Ask; an answer to an earlier question is no longer wanted. @param {(signal: AbortSignal) => Promise<void>} work asks, and shows the answer */
  async function ask(work) {
    running.abort();
    running = new AbortController();
    const { signal } = running;
    element?.setAttribute("aria-busy", "true");
    await context.patiently(
      work(signal).catch((failure) => {
        if (!signal.aborted) throw failure;
      }),
    );
    if (!signal.aborted) element?.removeAttribute("aria-busy");
  }

  function end() {
    running.abort();
    element?.removeAttribute("aria-busy");
  }

  return { ask, end, isOver: () => running.signal.aborted };
}
