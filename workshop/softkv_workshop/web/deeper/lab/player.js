/** The moments of a recorded training: they play by themselves, and readers drag through them. */

import { h, put } from "../../../../../service/softkv_service/web/shared/element.js";

const PLAYED_MS = 6000;

/**
 * @param {import("../parts.js").Say} say
 * @param {(moment: number, isChosen: boolean) => void} shown called with each moment that is to be drawn; a reader has chosen it or it is played
 * @param {() => void} own back from a training of one's own to the recorded one
 */
export function player(say, shown, own) {
  const slider = /** @type {HTMLInputElement} */ (
    h("input", {
      type: "range",
      id: "moment",
      min: "0",
      max: "0",
      value: "0",
      oninput: () => {
        stop();
        shown(Number(slider.value), true);
      },
    })
  );
  const button = /** @type {HTMLButtonElement} */ (h("button", { type: "button", id: "play", onclick: () => (timer ? stop() : play()) }, say("lab.play")));
  const back = h("button", { type: "button", id: "back-to-recorded", hidden: true, onclick: own }, say("lab.recorded.back"));
  const step = h("output.number", { for: "moment" });
  const dragged = h("div.moments", {}, button, h("label", { for: "moment" }, say("lab.moment")), slider, step);
  const element = h("div.player", { role: "group", "aria-label": say("lab.recorded") }, dragged, back);
  let timer = 0;
  /** @type {number[]} */
  let steps = [];

  function play() {
    stop();
    let moment = Number(slider.value) === steps.length - 1 ? 0 : Number(slider.value);
    put(button, say("lab.pause"));
    timer = window.setInterval(() => {
      if (moment >= steps.length - 1) return stop();
      shown(++moment, false);
    }, PLAYED_MS / steps.length);
    shown(moment, false);
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    put(button, say("lab.play"));
  }

  return {
    element,
    play,
    stop,
    /**
     * @param {number[]} at the steps of the training at each moment
     * @param {number} moment
     * @param {boolean} isRecorded whether the recorded training is what is shown
     */
    show(at, moment, isRecorded) {
      steps = at;
      slider.max = String(at.length - 1);
      slider.value = String(moment);
      const text = say("lab.recorded.step", { step: at[moment], steps: at.at(-1) ?? 0 });
      slider.setAttribute("aria-valuetext", text);
      put(step, text);
      dragged.hidden = !isRecorded;
      back.hidden = isRecorded;
    },
  };
}

/** Whether a recorded training may begin to play when its scene opens. */
export function playsAlone() {
  return !window.matchMedia("(prefers-reduced-motion: reduce)").matches;
}
