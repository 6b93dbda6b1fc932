/** Prediction first: the learner says which row will weigh most, and only then sees. */

import { fill, h } from "../element.js";
import { percent } from "../numbers.js";
import { say } from "../words.js";
import { heaviest } from "./answers.js";

const CHOICES = 4;

/** @param {object} context */
export function guess({ store }) {
  const element = h("fieldset.guess", { hidden: true });

  function show({ result, answer, state }) {
    element.hidden = state.guess === null || !result.asked;
    if (element.hidden) return;
    const order = heaviest(answer.weights, CHOICES);
    const offered = order.map((i) => result.rows[i]).sort((a, b) => a.key.localeCompare(b.key, "en"));
    const best = result.rows[order[0]];
    const open = state.guess === "";
    const choices = offered.map((row) => h("label.choice", {},
      h("input", { type: "radio", name: "guess", value: row.id, checked: row.id === state.guess, onchange: () => store.set({ guess: row.id }) }),
      h("bdi.key", {}, row.key.slice(0, 90))));
    const weightOf = (id) => answer.weights[result.rows.findIndex((row) => row.id === id)] ?? 0;
    const verdict = open ? "" : state.guess === best.id
      ? say("guess.right", { weight: percent(weightOf(best.id)) })
      : say("guess.other", { key: best.key, weight: percent(weightOf(best.id)), yours: percent(weightOf(state.guess)) });
    fill(element, h("legend.strong", {}, say("guess.ask")), choices,
      h("p", { role: "status" }, verdict),
      open ? null : h("button", { type: "button", onclick: () => store.set({ guess: "" }) }, say("guess.again")));
  }

  return { element, show };
}
