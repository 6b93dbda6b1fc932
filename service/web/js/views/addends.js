/** What a logit is made of: similarity ÷ T, and λ times the rank of the words that a key shares with the question. */

import { spoken, veiled } from "../asking.js";
import { fill, h, put } from "../element.js";
import { fixed, percent } from "../numbers.js";
import { LAMBDA } from "../scale.js";
import { clipped, rich, say } from "../words.js";
import { heaviest } from "./answers.js";

/** The rows with the largest weights, and those whose words rank first. */
const [WEIGHTS, RANKS] = [3, 2];
const LONGEST = 48;

/** @param {Page.Context} context @param {(state: Page.State, result: Page.Result) => boolean} isWordy whether words can be weighed */
export function addends({ store }, isWordy) {
  const input = h("input.slider.plain-slider", {
    type: "range",
    id: "lambda",
    min: 0,
    max: LAMBDA.most,
    step: 1 / LAMBDA.steps,
    oninput: () => store.set({ lambda: Number(input.value) }),
  });
  const shown = h("output.number.strong", { for: "lambda", "aria-live": "off" });
  const body = h("tbody");
  const columns = ["key", "similarity", "words", "logit", "weight"].map((name) => h("th", { scope: "col" }, say(`addends.${name}`)));
  const lines = h(
    "div.scrolling",
    { tabIndex: 0, role: "group", "aria-label": say("addends.title") },
    h("table", {}, h("thead", {}, h("tr", {}, columns)), body),
  );
  const told = h("p.small.soft", {}, rich("addends.how"));
  const element = h(
    "section.addends",
    { "aria-label": say("addends.title"), hidden: true },
    h("h2", {}, say("addends.title")),
    h("div.lambda", {}, h("div.across", {}, h("label", { for: "lambda" }, say("addends.lambda")), h("span", {}, "λ = ", shown)), input),
    told,
    lines,
  );

  /** @param {Page.Lookup} model */
  function weigh(model) {
    const { state, result, answer } = model;
    element.hidden = !isWordy(state, result) || veiled(model);
    if (element.hidden) return;
    if (Number(input.value) !== state.lambda) input.value = String(state.lambda);
    put(shown, fixed(state.lambda));
    input.setAttribute("aria-valuetext", `λ = ${fixed(state.lambda)}`);
    const { lambda = 0, ranks } = result.words ?? {};
    lines.hidden = !lambda || state.t === 0;
    if (lines.hidden || !ranks) return;
    const best = heaviest(answer.weights, WEIGHTS);
    const ofRows = result.rows.map((row) => ranks.get(row.id) ?? 0);
    const ranked = heaviest(ofRows, RANKS).filter((i) => ofRows[i] > 0 && !best.includes(i));
    fill(
      body,
      [...best, ...ranked].map((i) => line(result.rows[i], state.t, lambda, ofRows[i], answer.weights[i])),
    );
  }

  return { element, show: weigh, weigh };
}

/** @param {Page.ShownRow} row @param {number} temperature @param {number} lambda @param {number} rank @param {number} weight */
function line(row, temperature, lambda, rank, weight) {
  const near = row.similarity / temperature;
  return h(
    "tr",
    {},
    h("th.key", { scope: "row", dir: "auto" }, clipped(spoken(row), LONGEST)),
    h("td.number", {}, fixed(near)),
    h("td.number", { "data-addend": lambda * rank }, `+ ${fixed(lambda)} × ${fixed(rank)} = ${fixed(lambda * rank)}`),
    h("td.number.strong", {}, fixed(near + lambda * rank)),
    h("td.number.weight", {}, percent(weight)),
  );
}
