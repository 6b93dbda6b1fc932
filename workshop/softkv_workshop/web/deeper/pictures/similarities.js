/** Six similarities of one query with six keys, each with its weights. The service computes all of them. */

import { fill, h } from "../../../../../service/softkv_service/web/shared/element.js";
import { fixed } from "../../../../../service/softkv_service/web/shared/numbers.js";
import { onTheWire } from "../../../../../service/softkv_service/web/shared/scale.js";
import { hood, prediction, screen } from "../../story/parts.js";
import { latest, temperatureSlider } from "../parts.js";
import { LETTERS, MEASURES, measured, SPOTS, VALUES } from "../similarities/measures.js";
import { panels } from "../similarities/panels.js";
import { plane } from "../similarities/plane.js";
import words from "./similarities.json";

/** The key that wins by each similarity, as the picture begins. */
const WINNERS = { dot: "a", cosine: "b", gaussian: "c", bilinear: "d", additive: "e" };

/** @typedef {{scores: number[], weights: number[], output: number}} Retrieved what one similarity answers */
/**
 * @typedef {object} State `spots` is empty until a reader moves one
 * @property {number} t
 * @property {number[][]} spots
 * @property {string} similarity
 * @property {string} g
 */

/** @type {import("../parts.js").Picture} */
export const similarities = {
  id: "similarities",
  of: "in-numbers",
  sketch:
    "M60 4v64M8 36h104M60 36l30-18M60 36l44 8M60 36l12-26M60 36L34 12M60 36L20 58M60 36L96 62M90 18a3 3 0 1 0 .1 0M104 44a3 3 0 1 0 .1 0M72 10a3 3 0 1 0 .1 0M34 12a3 3 0 1 0 .1 0M20 58a3 3 0 1 0 .1 0M96 62a3 3 0 1 0 .1 0",
  words,
  defaults: { t: 1, spots: [], similarity: "additive", g: "" },

  mount(host, context) {
    const { say, api, set } = context;
    /** @type {State} */
    let state = context.state;
    /** @type {Record<string, Retrieved>} */
    let answers = {};
    let isAsking = false;
    const picture = plane(say, (moved, place) => set({ spots: spotsOf(state).map((spot, i) => (i === moved ? place : spot)) }));
    const all = panels(say, (similarity) => set({ similarity }));
    const slider = temperatureSlider(say, (t) => set({ t }), [0, 0.1, 1, 10, Infinity]);
    const vectors = h("div.vectors", { id: "vectors", role: "status" });
    const guess = prediction(context, {
      question: say("predict"),
      choices: ["one", "two", "several", "six"].map((name) => ({ label: say(`predict.${name}`), isRight: name === "several" })),
      why: () => say("predict.why", WINNERS),
      reveal: () => set({ spots: [], t: 1 }),
    });
    const left = h("div.plane-of", {}, picture.element, h("p.small.soft", {}, say("drag")));
    host.append(
      screen({
        title: say("title"),
        sentence: say("sentence"),
        picture: h("div.similarities", {}, left, all.element),
        below: [guess.element, slider.element, vectors],
        hood: hood(say, h("p", {}, ...say.rich("same"))),
      }),
    );
    const asking = latest(context);

    /** Ask for all six. While they are under way, the last place of a point waits for its turn. */
    async function ask() {
      if (isAsking) return;
      isAsking = true;
      const wanted = state;
      await asking.ask(async (signal) => {
        const replies = await Promise.all(MEASURES.map((measure) => api.post("/v1/attend", body(wanted, measure), signal)));
        answers = Object.fromEntries(replies.map((reply, i) => [MEASURES[i].name, retrieved(reply)]));
        show();
      });
      isAsking = false;
      if (wanted.t !== state.t || wanted.spots !== state.spots) ask();
    }

    function show() {
      const { name } = measured(state.similarity);
      slider.follow(state.t);
      all.show(answers, name);
      picture.draw(spotsOf(state), answers[name]?.weights ?? null);
      if (answers[name]) fill(vectors, retrieval(say, answers[name], name));
    }

    ask();
    show();
    return {
      picture: picture.element,
      update(now, changed) {
        state = now;
        guess.show();
        show();
        if (changed.has("t") || changed.has("spots")) ask();
      },
      again: ask,
    };
  },
};

/**
 * @param {{intermediates: {similarities: number[][]}, weights: number[][], output: number[][]}} reply
 * @returns {Retrieved}
 */
function retrieved({ intermediates, weights, output }) {
  return { scores: intermediates.similarities[0], weights: weights[0], output: output[0][0] };
}

/**
 * α, h and C of one similarity, and whether one element or a proportion of each is retrieved.
 *
 * @param {import("../parts.js").Say} say
 * @param {Retrieved} answer
 * @param {string} name
 */
function retrieval(say, { weights, output }, name) {
  const isOneHot = weights.filter((weight) => weight > 0).length === 1;
  const kind = isOneHot ? "one" : new Set(weights).size === 1 ? "mean" : "part";
  const best = weights.indexOf(Math.max(...weights));
  const vector = (/** @type {string} */ letter, /** @type {string} */ term, /** @type {string[]} */ texts) =>
    h(
      `p.number.${term}.vector`,
      {},
      h("b", {}, `${letter} = `),
      "[ ",
      texts.map((text, i) => h(i === best && term === "weight" ? "span.best" : "span", {}, text)),
      "]",
    );
  return [
    h("h3", {}, say("vectors", { name: say(name) })),
    vector(
      "α",
      "weight",
      weights.map((weight) => fixed(weight, isOneHot ? 0 : 2)),
    ),
    vector("h", "value", VALUES.map(String)),
    h("p.number.vector", {}, "C = Σ αᵢ hᵢ = ", h("strong.value", {}, fixed(output))),
    h("p.small", {}, ...say.rich(`retrieval.${kind}`, { key: LETTERS[best], value: VALUES[best], C: fixed(output) })),
  ];
}

/** @param {State} state */
function spotsOf({ spots }) {
  return spots.length === SPOTS.length ? spots : SPOTS;
}

/**
 * @param {State} state
 * @param {typeof MEASURES[0]} measure
 */
function body(state, { name, parameters }) {
  const [query, ...key] = spotsOf(state);
  return {
    query: [query],
    key,
    value: VALUES.map((value) => [value]),
    similarity: name,
    ...(parameters ? { parameters } : {}),
    temperature: onTheWire(state.t),
    intermediates: true,
  };
}
