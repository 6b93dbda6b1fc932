/** Six similarities of one query with six keys, each with its weights: all of them the service's, wherever the points are. */

import { isAborted, SoftkvError } from "../../api.js";
import { fill, h } from "../../element.js";
import { fixed } from "../../numbers.js";
import { onTheWire } from "../../scale.js";
import { rich, say } from "../../words.js";
import { copyAsCurl } from "../copying.js";
import { temperatureSlider } from "../temperature.js";
import { LETTERS, measured, MEASURES, SPOTS, VALUES } from "./measures.js";
import { panels } from "./panels.js";
import { plane } from "./plane.js";

/** @typedef {{scores: number[], weights: number[], output: number}} Retrieved what one similarity answers */
/** @param {Page.Context} context */
export function scores(context) {
  const { store, api } = context;
  /** @type {Record<string, Retrieved>} */
  let answers = {};
  /** @type {?Page.State} */
  let asking = null;
  let left = false;
  const running = new AbortController();
  const picture = plane((at, place) => store.set({ spots: spots().map((spot, i) => (i === at ? place : spot)) }));
  const all = panels((similarity) => store.set({ similarity }));
  const slider = temperatureSlider(store.state.t, (t) => store.set({ t }), [0, 0.1, 1, 10, Infinity]);
  const vectors = h("div.vectors", { id: "vectors", role: "status" });
  const element = h(
    "div.lookup.similarities",
    {},
    h("section.left", {}, context.story, slider.element, picture.element, h("p.small.soft", {}, say("scores.drag"))),
    h(
      "section.right",
      {},
      all.element,
      vectors,
      h(
        "div.under",
        {},
        h("span.small.soft", {}, rich("scores.same")),
        copyAsCurl(context, () => ({ method: "POST", path: "/v1/attend", body: body(store.state, measured(store.state.similarity)) })),
      ),
    ),
  );

  function spots() {
    return spotsOf(store.state);
  }

  /** Ask for all six; while they are under way, the latest place waits for its turn. */
  async function request() {
    if (asking) return;
    const wanted = store.state;
    asking = wanted;
    element.setAttribute("aria-busy", "true");
    try {
      const found = await Promise.all(MEASURES.map((measure) => api.post("/v1/attend", body(wanted, measure), running.signal)));
      answers = Object.fromEntries(
        MEASURES.map(({ name }, i) => [name, { scores: found[i].intermediates.similarities[0], weights: found[i].weights[0], output: found[i].output[0][0] }]),
      );
      context.notice.clear();
      if (!left) show();
    } catch (failure) {
      if (isAborted(failure)) return;
      if (!(failure instanceof SoftkvError)) throw failure;
      context.notice.show(failure);
    }
    asking = null;
    if (!left && (wanted.t !== store.state.t || wanted.spots !== store.state.spots)) request();
    else element.removeAttribute("aria-busy");
  }

  function show() {
    const { state } = store;
    const { name } = measured(state.similarity);
    slider.follow(state.t);
    all.show(answers, name);
    picture.draw(spots(), answers[name]?.weights ?? null);
    if (!answers[name]) return;
    fill(vectors, retrieval(answers[name], name));
    context.told({ state, answers, best: bestOf(answers) });
  }

  /** @param {Page.State} _state @param {Set<string>} changed */
  function update(_state, changed) {
    show();
    if (changed.has("t") || changed.has("spots")) request();
  }

  request();
  show();
  return { element, update, leave: () => ((left = true), running.abort()) };
}

/** α, h and C of one similarity, and whether that is the retrieval of one element or a proportional one. @param {Retrieved} answer @param {string} name */
function retrieval({ weights, output }, name) {
  const isOneHot = weights.filter((weight) => weight > 0).length === 1;
  const kind = isOneHot ? "one" : new Set(weights).size === 1 ? "mean" : "part";
  const at = weights.indexOf(Math.max(...weights));
  const numbers = isOneHot ? weights.map((weight) => fixed(weight, 0)) : weights.map((weight) => fixed(weight));
  const lines = /** @type {const} */ ([
    ["α", "weight", numbers],
    ["h", "value", VALUES.map(String)],
  ]);
  return [
    h("h2", {}, say("scores.vectors", { name: say(`scores.${name}`) })),
    ...lines.map(([letter, kindOf, texts]) =>
      h(
        `p.number.${kindOf}.vector`,
        {},
        h("b", {}, `${letter} = `),
        "[ ",
        texts.map((text, i) => h(i === at && kindOf === "weight" ? "span.best" : "span", {}, text)),
        "]",
      ),
    ),
    h("p.number.vector", {}, "C = Σ αᵢ hᵢ = ", h("strong.value", {}, fixed(output))),
    h("p.small", {}, rich(`scores.retrieval.${kind}`, { key: LETTERS[at], value: VALUES[at], C: fixed(output) })),
  ];
}

/** The key that each similarity gives most to, by its letter. @param {Record<string, Retrieved>} answers */
function bestOf(answers) {
  return Object.fromEntries(Object.entries(answers).map(([name, { weights }]) => [name, LETTERS[weights.indexOf(Math.max(...weights))]]));
}

/** @param {Page.State} state */
function spotsOf({ spots }) {
  return spots?.length === SPOTS.length ? spots : SPOTS;
}

/** @param {Page.State} state @param {typeof MEASURES[0]} measure */
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
