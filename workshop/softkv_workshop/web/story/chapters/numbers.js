/** 5 The same in numbers: one sheet of matrices, a camera over it, and a formula that grows with each step. */

import { fill, h } from "../../../../../service/softkv_service/web/shared/element.js";
import { layer } from "../arithmetic.js";
import parameters from "../layer.json";
import { hood, prediction, screen, toPicture } from "../parts.js";
import { layerStep } from "../sentences.js";
import { Sheet, STEPS } from "../sheet.js";
import { styled } from "../styles.js";
import { subscripted } from "../../../../../service/softkv_service/web/shared/words.js";
import words from "./numbers.json";

const [X, MASKED, LAST] = [0, STEPS.indexOf("softmax"), STEPS.length - 1];

/**
 * The formula in its parts: what is written, its colour, from which step to which, and at which it is lit.
 *
 * @type {[string, string, number, number][]}
 */
const FORMULA = [
  ["norm(", "", 8, LAST],
  ["X", "", 0, 0],
  ["X +", "", 8, LAST],
  ["Q = X W_Q", "query", 1, 1],
  ["K = X W_K", "key", 1, 1],
  ["V = X W_V", "value", 1, 1],
  ["concat(", "", 7, LAST],
  ["softmax(", "weight", 5, LAST],
  ["Q", "query", 2, LAST],
  ["Kᵀ", "key", 2, LAST],
  ["/ √d_k", "", 3, LAST],
  ["+ M", "", 4, LAST],
  [")", "weight", 5, LAST],
  ["V", "value", 6, LAST],
  [")", "", 7, LAST],
  ["W_O", "", 7, LAST],
  [")", "", 8, LAST],
];

/** @type {import("../story.js").Chapter} */
export const numbers = {
  id: "in-numbers",
  leads: true,
  words,
  defaults: { step: 0, mask: true, x: "", g: "" },

  mount(host, context) {
    const { say } = context;
    styled("sheet");
    let state = context.state;
    let computed = layer(parameters, state.mask);
    let isPlain = true;
    const features = ["animal", "hunts", "hunted", "moves"].map((name) => say(`feature.${name}`));
    const sum = h("p.told.sum", { role: "status" });
    const sheet = new Sheet({
      say,
      parameters,
      words: parameters.X.map((_, i) => say(`word.${i}`)),
      features,
      change: (changed) =>
        context.set({
          x: listed(embeddings(state.x).map((row, i) => row.map((number, j) => (i === changed.row && j === changed.column ? changed.number : number)))),
        }),
      told: (text) => fill(sum, text || hint()),
    });
    const formula = h("p.formula", { role: "math" });
    const picture = h("div.sheet-picture", {}, formula, h("div.sheet-place", {}, sheet.element));
    const scrubber = /** @type {HTMLInputElement} */ (
      h("input", { type: "range", min: 0, max: LAST, step: 1, "aria-label": say("step"), oninput: () => context.set({ step: Number(scrubber.value) }) })
    );
    const back = h("button", { type: "button", "aria-label": say("back"), onclick: () => context.set({ step: stepOf(state) - 1 }) }, "←");
    const next = h("button", { type: "button", "aria-label": say("forward"), onclick: () => context.set({ step: stepOf(state) + 1 }) }, "→");
    const mask = h("button.mask", { type: "button", onclick: () => context.set({ mask: !state.mask }) }, say("mask"));
    const guess = prediction(context, {
      question: say("predict"),
      choices: ["0.33, 0.33, 0.33", "1, 0, 0", "0, 0.5, 0.5"].map((label, i) => ({ label, isRight: i === 1 })),
      why: () => (state.mask ? say("predict.why") : ""),
      reveal: () => context.set({ step: MASKED, mask: true }),
    });
    const element = screen({
      title: say("title"),
      sentence: "",
      picture,
      below: [h("div.scrubber", {}, back, scrubber, next, mask), sum, guess.element],
      hood: hood(
        say,
        h("p", {}, h("a", { href: "#row-to-word&z=1" }, say("whole"))),
        h("p", {}, ...subscripted(say("hood.why"))),
        h("p", {}, say("hood.features")),
        h("p", {}, ...subscripted(say("hood.rank"))),
        h("p", {}, say("hood.norm")),
        h("p.formula", {}, ...subscripted("score(q, k) = vᵀ tanh(W_Q q + W_K k)")),
        h("p", {}, say("hood.scores")),
        h("p", {}, toPicture("similarities", say("hood.similarities"))),
      ),
    });
    const sentence = /** @type {HTMLElement} */ (element.querySelector(".sentence"));
    host.append(element);

    function compute() {
      const embedded = { ...parameters, X: embeddings(state.x) };
      isPlain = embedded.X === parameters.X;
      computed = layer(embedded, state.mask);
      sheet.draw(embedded, computed, { isMasked: state.mask, isCovered: isCovered() });
    }

    /** Whether the weights of the first word are still to be guessed. */
    function isCovered() {
      return stepOf(state) === MASKED && state.mask && !guess.isTold();
    }

    /** Return the hint below the picture. It is empty at the last step, which shows no number. */
    function hint() {
      if (!isPlain) return say("hint.again");
      return stepOf(state) === LAST ? "" : say("hint");
    }

    function write() {
      const step = stepOf(state);
      const shown = FORMULA.filter(([, , from, to]) => step >= from && step <= to);
      fill(
        formula,
        ...shown.map(([text, kind, from]) => h(`span.part${kind ? `.${kind}` : ""}${from === step || step === LAST ? ".now" : ""}`, {}, ...subscripted(text))),
      );
      formula.setAttribute("aria-label", shown.map(([text]) => text.replace("_", "")).join(" "));
      const text = layerStep(say, { step: STEPS[step], isMasked: state.mask });
      fill(sentence, ...subscripted(text));
      scrubber.value = String(step);
      scrubber.setAttribute("aria-valuetext", `${step + 1}: ${text.replaceAll("_", "")}`);
      back.toggleAttribute("disabled", step === 0);
      next.toggleAttribute("disabled", step === LAST);
      // Reserve its place, so that the picture keeps its size.
      mask.style.setProperty("visibility", step < STEPS.indexOf("mask") ? "hidden" : "visible");
      mask.setAttribute("aria-pressed", String(state.mask));
      // There are weights to guess at one step only: before it nothing is computed, and after it the picture tells.
      guess.element.classList.toggle("waiting", step !== MASKED);
      fill(sum, hint());
    }

    let hasArrived = stepOf(state) !== X;
    compute();
    write();
    sheet.look(stepOf(state));
    context.sized(/** @type {Element} */ (picture.lastElementChild), (width, height) => sheet.layout(width, height));

    return {
      picture: sheet.element,
      update(now, changed) {
        state = now;
        guess.show();
        compute();
        if (changed.size > 1 || !changed.has("x")) write();
        if (changed.has("step")) sheet.look(stepOf(state));
      },
      film(share) {
        const at = share * LAST;
        const step = Math.min(LAST, Math.floor(at));
        if (step !== stepOf(state)) context.set({ step });
        sheet.between(at);
      },
      arrive() {
        if (hasArrived) return;
        hasArrived = true;
        sheet.look(stepOf(state), true);
      },
      leave: () => sheet.leave(),
    };
  },
};

/** @param {{step: number}} state an address may say any number */
function stepOf({ step }) {
  return Math.max(0, Math.min(LAST, Math.round(step) || 0));
}

/** The numbers of X: the example's, unless the address has as many others. @param {string} text */
function embeddings(text) {
  const given = text.split(",").map(Number);
  const width = parameters.X[0].length;
  const isWhole = given.length === parameters.X.length * width && given.every((number) => Number.isFinite(number) && Math.abs(number) <= 2);
  return isWhole ? parameters.X.map((row, i) => row.map((_, j) => given[i * width + j])) : parameters.X;
}

/** @param {number[][]} rows "" for the example's own */
function listed(rows) {
  const text = rows.flat().join(",");
  return text === parameters.X.flat().join(",") ? "" : text;
}
