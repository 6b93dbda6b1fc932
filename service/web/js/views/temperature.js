/** The temperature slider, from 0 to ∞, and its words. */

import { h, put } from "../element.js";
import { temperatureText } from "../numbers.js";
import { positionOf, STEPS, temperatureAt } from "../scale.js";
import { say } from "../words.js";

const TICKS = [0, 0.01, 0.05, 0.2, 1, 10, Infinity];

/**
 * @param {number} temperature to begin with
 * @param {(it: number) => void} change told the temperature while the slider moves
 * @param {number[]} [ticks] temperatures with a mark under the slider; each is a button
 */
export function temperatureSlider(temperature, change, ticks = TICKS) {
  const input = h("input.slider", {
    type: "range",
    min: 0,
    max: STEPS,
    step: 1,
    id: "temperature",
    value: positionOf(temperature),
    oninput: () => change(temperatureAt(Number(input.value))),
  });
  // The slider's own words tell each step; its number is not told once more, and its marks are for a pointer.
  const shown = h("output.number.strong", { for: "temperature", "aria-live": "off" });
  const marks = ticks.map((tick) =>
    h(
      "button.tick",
      {
        type: "button",
        tabIndex: -1,
        style: { "--at": String(positionOf(tick) / STEPS) },
        onclick: () => change(tick),
        "aria-label": `T = ${temperatureText(tick)}`,
      },
      temperatureText(tick),
    ),
  );
  const element = h(
    "div.temperature",
    {},
    h("div.across", {}, h("label", { for: "temperature" }, say("temperature.label")), h("span", {}, "T = ", shown)),
    input,
    h("div.ticks", {}, marks),
  );

  /** Follow the state; `words` is what a screen reader hears with the number. @param {number} value @param {string} [words] */
  function follow(value, words = "") {
    if (temperatureAt(Number(input.value)) !== value) input.value = String(positionOf(value));
    put(shown, temperatureText(value));
    input.setAttribute("aria-valuetext", `${temperatureText(value)}${words ? `. ${words}` : ""}`);
    input.style.setProperty("--at", String(positionOf(value) / STEPS));
  }
  follow(temperature);
  return { element, follow };
}
