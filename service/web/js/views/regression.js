/** Kernel regression: keys are x, values are y, the output at the query is a weighted mean of the points. */

import { blend, gaussian, weigh } from "../formula.js";
import { h, put } from "../element.js";
import { fixed, power, temperatureText } from "../numbers.js";
import { onTheWire } from "../scale.js";
import { POINTS } from "../scenes.js";
import { say } from "../words.js";
import { copyAsCurl } from "./copying.js";
import { latest } from "./latest.js";
import { plot } from "./plot.js";
import { temperatureSlider } from "./temperature.js";

const LINE = 160;
const RANGE = [0, 10];
const REST_MS = 350;

/** @param {Page.Context} context */
export function regression(context) {
  const { store, api } = context;
  let waiting = 0;
  const asking = latest(context);
  const slider = temperatureSlider(store.state.t, (t) => store.set({ t }), [0, 0.01, 0.05, 0.25, 1, 10, Infinity]);
  const at = h("input.slider.plain-slider", {
    type: "range",
    id: "at",
    min: RANGE[0],
    max: RANGE[1],
    step: 0.05,
    value: store.state.at,
    oninput: () => store.set({ at: Number(at.value) }),
  });
  const atShown = h("output.number.query", { for: "at" });
  const picture = plot(RANGE, {
    query: (x) => store.set({ at: Math.round(x * 20) / 20 }),
    point: (i, x, y) => store.set({ points: points().map((point, j) => (j === i ? [x, y] : point)) }),
  });
  const words = h("p", { id: "regression-words", role: "status" });
  const checked = h("p.checking.small.soft", { id: "checking", role: "status" });
  const element = h(
    "div.lookup",
    {},
    h(
      "section.left",
      {},
      context.story,
      slider.element,
      h("div", {}, h("div.across", {}, h("label", { for: "at" }, `● ${say("regression.query")}`), h("span.query", {}, "x = ", atShown)), at),
      words,
    ),
    h(
      "section.right",
      {},
      picture.element,
      h("p.small.soft", {}, say("regression.drag")),
      h(
        "div.under",
        {},
        checked,
        copyAsCurl(context, () => ({ method: "POST", path: "/v1/attend", body: body([store.state.at]) })),
      ),
    ),
  );

  function points() {
    return store.state.points ?? POINTS;
  }

  /** The blend at a place. @param {number} x @param {number} t */
  function estimate(x, t) {
    const pairs = points();
    const { weights } = weigh(
      pairs.map(([key]) => gaussian(x, key)),
      { temperature: t },
    );
    return {
      weights,
      y: blend(
        weights,
        pairs.map(([, value]) => [value]),
        1,
      )[0],
    };
  }

  function show() {
    const { t, at: x } = store.state;
    const curve = grid().map((place) => [place, estimate(place, t).y]);
    const here = estimate(x, t);
    picture.draw(points(), curve, { x, ...here });
    at.value = String(x);
    put(atShown, fixed(x));
    const bandwidth = t === Infinity ? "∞" : fixed(Math.sqrt(t));
    put(words, say("regression.words", { x: fixed(x), y: fixed(here.y), bandwidth, T: temperatureText(t) }));
    at.setAttribute("aria-valuetext", `x = ${fixed(x)}, y = ${fixed(here.y)}`);
    slider.follow(t, words.textContent);
    context.told({ state: store.state, points: points(), y: here.y, fitted: points().map(([place]) => estimate(place, t).y) });
    put(checked, say("checking.local"));
    checked.dataset.state = "local";
    clearTimeout(waiting);
    waiting = setTimeout(() => check(curve), REST_MS);
  }

  /** The whole curve once more, by the service. @param {number[][]} curve */
  async function check(curve) {
    await asking.ask(async (signal) => {
      const { output } = await api.post("/v1/attend", body(curve.map(([x]) => x)), signal);
      const worst = Math.max(...curve.map(([, y], i) => Math.abs(y - output[i][0])));
      checked.dataset.state = worst < 1e-6 ? "agreed" : "apart";
      checked.dataset.difference = String(worst);
      put(checked, say(worst < 1e-6 ? "regression.agreed" : "checking.apart", { difference: power(worst) }));
    });
  }

  /** @param {number[]} places */
  function body(places) {
    const pairs = points();
    return {
      query: places.map((x) => [x]),
      key: pairs.map(([x]) => [x]),
      value: pairs.map(([, y]) => [y]),
      similarity: "gaussian",
      temperature: onTheWire(store.state.t),
    };
  }

  show();
  return { element, update: show, leave: () => (asking.end(), clearTimeout(waiting), picture.leave()) };
}

function grid() {
  return Array.from({ length: LINE + 1 }, (_, i) => RANGE[0] + (i / LINE) * (RANGE[1] - RANGE[0]));
}
