/** A Hopfield memory: attend again and again, with the energy of every step. */

import { fill, h } from "../element.js";
import { fixed, percent } from "../numbers.js";
import { damaged, NAMES, PATTERNS } from "../patterns.js";
import { onTheWire } from "../scale.js";
import { rich, say } from "../words.js";
import { cells } from "./cells.js";
import { copyAsCurl } from "./copying.js";
import { energies } from "./energies.js";
import { latest } from "./latest.js";
import { temperatureSlider } from "./temperature.js";

const STEPS = 4;
const TURNED = 20;
/** A memory has settled where one picture has more than this, and the last step moved no cell by more of its range than that. */
const SETTLED = 0.5;
const STILL = 0.01;

/** @param {Page.Context} context */
export function hopfield(context) {
  const { store, api } = context;
  const asking = latest(context);
  const slider = temperatureSlider(store.state.t, (t) => store.set({ t }), [0, 0.1, 1, 8, 30, Infinity]);
  const query = cells(
    start(store.state),
    (i) => {
      const noisy = start(store.state);
      noisy[i] = -noisy[i];
      store.set({ noisy });
    },
    say("hopfield.query"),
  );
  const begin = h(
    "div.choices",
    { role: "group", "aria-label": say("hopfield.begin") },
    NAMES.map((name, i) => h("button", { type: "button", onclick: () => store.set({ noisy: damaged(PATTERNS[i], TURNED, i + 3) }) }, name)),
  );
  const stored = PATTERNS.map((pattern, i) => {
    const weight = h("span.number.weight", {});
    return {
      weight,
      element: h("figure.stored", {}, cells(pattern, null, NAMES[i]).element, h("figcaption", {}, h("span.key", {}, `◆■ ${NAMES[i]} `), weight)),
    };
  });
  const path = h("div.path", { id: "path" });
  const chart = energies();
  const words = h("p.small", { id: "hopfield-words", role: "status" });
  const element = h(
    "div.lookup",
    {},
    h("section.left", {}, context.story, slider.element, h("div.labelled", {}, h("span.small.soft", {}, say("hopfield.begin")), begin), words),
    h(
      "section.right",
      {},
      h("h2.key", {}, say("hopfield.stored")),
      h(
        "div.memory",
        {},
        stored.map((one) => one.element),
      ),
      h("h2", {}, say("hopfield.path")),
      h("div.recalling", {}, h("figure.stored", {}, query.element, h("figcaption.query", {}, `● ${say("hopfield.query")}`)), path),
      h("h2", {}, say("hopfield.energy")),
      chart.element,
      h(
        "div.under",
        {},
        h("p.small.soft", {}, rich("hopfield.how")),
        copyAsCurl(context, () => ({ method: "POST", path: "/v1/attend", body: body(store.state) })),
      ),
    ),
  );

  async function request() {
    await asking.ask(async (signal) => show(await api.post("/v1/attend", body(store.state), signal)));
  }

  /** @param {{intermediates: {states: number[][][], energies: number[][], weights: number[][][]}}} answer */
  function show({ intermediates: { states, energies: levels, weights } }) {
    const at = (/** @type {number[][][]} */ array, /** @type {number} */ step) => array[step][0];
    fill(
      path,
      states
        .slice(1)
        .map((_, i) =>
          h(
            "figure.stored",
            {},
            cells(at(states, i + 1), null, say("hopfield.step", { step: i + 1 })).element,
            h("figcaption.value", {}, say("hopfield.step", { step: i + 1 })),
          ),
        ),
    );
    chart.draw(levels.map(([level]) => level));
    const first = at(weights, 0);
    stored.forEach((one, i) => (one.weight.textContent = percent(first[i])));
    const final = at(weights, STEPS);
    const best = final.indexOf(Math.max(...final));
    const pictures = states.map((_, step) => at(states, step));
    const moved = Math.max(...pictures[STEPS].map((cell, i) => Math.abs(cell - pictures[STEPS - 1][i]))) / 2;
    const kind = final[best] <= SETTLED ? "hopfield.mixed" : moved < STILL ? "hopfield.words" : "hopfield.moving";
    words.textContent = say(kind, { name: NAMES[best], weight: percent(final[best]), energy: fixed(levels[levels.length - 1][0], 2), steps: STEPS });
    context.told({ state: store.state, states: pictures, weights: weights.map((_, step) => at(weights, step)), stored: PATTERNS, names: NAMES });
  }

  /** @param {Page.State} state */
  function update(state) {
    slider.follow(state.t);
    query.draw(start(state));
    request();
  }

  request();
  return { element, update, leave: asking.end };
}

/** @param {Page.State} state */
function start({ noisy }) {
  return noisy?.length === PATTERNS[0].length ? [...noisy] : damaged(PATTERNS[0], TURNED, 3);
}

/** @param {Page.State} state */
function body(state) {
  return {
    query: [start(state)],
    key: PATTERNS,
    value: PATTERNS,
    similarity: "dot",
    temperature: onTheWire(state.t),
    hopfield_steps: STEPS,
    intermediates: true,
  };
}
