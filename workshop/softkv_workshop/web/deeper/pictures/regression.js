/** Kernel regression: keys are x, values are y, and the output at a query is a weighted mean of the points. */

import { blend, gaussian, weigh } from "../../../../../service/softkv_service/web/shared/formula.js";
import { h, put } from "../../../../../service/softkv_service/web/shared/element.js";
import { fixed, power, temperatureText } from "../../../../../service/softkv_service/web/shared/numbers.js";
import { onTheWire } from "../../../../../service/softkv_service/web/shared/scale.js";
import { statusLine } from "../../../../../service/softkv_service/web/shared/parts.js";
import { hood, prediction, screen } from "../../story/parts.js";
import { latest, slider, temperatureSlider } from "../parts.js";
import { plot } from "../plot.js";
import words from "./regression.json";

const LINE = 160;
const RANGE = [0, 10];
const REST_MS = 350;
/** Above this the browser and the service disagree; rounding alone is far below. */
const AGREED = 1e-6;
/** Points of a curve with a bump. */
const POINTS = [
  [0.4, 1.1],
  [0.9, 1.6],
  [1.5, 1.5],
  [2.1, 2.3],
  [2.6, 3.4],
  [3.0, 4.4],
  [3.5, 4.9],
  [4.0, 4.6],
  [4.7, 3.2],
  [5.2, 2.6],
  [5.9, 1.7],
  [6.5, 1.9],
  [7.1, 1.4],
  [7.8, 2.2],
  [8.4, 2.0],
  [9.2, 3.1],
  [9.7, 3.3],
];
const GRID = Array.from({ length: LINE + 1 }, (_, i) => RANGE[0] + (i / LINE) * (RANGE[1] - RANGE[0]));

/**
 * @typedef {object} State `points` is empty until a reader moves one
 * @property {number} t
 * @property {number} at
 * @property {number[][]} points
 * @property {string} g
 */

/** @type {import("../parts.js").Picture} */
export const regression = {
  id: "regression",
  of: "hard-and-soft",
  sketch:
    "M10 4v58h104M12 52C30 50 34 10 50 14S72 54 84 48s20-4 28-12M18 46a2 2 0 1 0 .1 0M34 26a2 2 0 1 0 .1 0M50 10a2 2 0 1 0 .1 0M66 40a2 2 0 1 0 .1 0M96 50a2 2 0 1 0 .1 0M44 4v58",
  words,
  defaults: { t: 0.25, at: 4.2, points: [], g: "" },

  mount(host, context) {
    const { say, api, set } = context;
    /** @type {State} */
    let state = context.state;
    let waiting = 0;
    const temperature = temperatureSlider(say, (t) => set({ t }), [0, 0.01, 0.05, 0.25, 1, 10, Infinity]);
    const at = slider({ id: "at", label: say("query"), min: RANGE[0], max: RANGE[1], step: 0.05, change: (x) => set({ at: x }) });
    const picture = plot(say, RANGE, {
      query: (x) => set({ at: Math.round(x * 20) / 20 }),
      point: (i, x, y) => set({ points: points().map((point, j) => (j === i ? [x, y] : point)) }),
    });
    const status = statusLine();
    const checked = h("p.checking", { id: "checking", role: "status" });
    const mean = POINTS.reduce((sum, [, y]) => sum + y, 0) / POINTS.length;
    const guess = prediction(context, {
      question: say("predict"),
      choices: ["through", "slope", "flat", "zero"].map((name) => ({ label: say(`predict.${name}`), isRight: name === "flat" })),
      why: () => say("predict.why", { mean: fixed(mean) }),
      reveal: () => set({ t: Infinity, points: [] }),
    });
    host.append(
      screen({
        title: say("title"),
        sentence: say("sentence"),
        picture: picture.element,
        below: [guess.element, temperature.element, at.element, status.element],
        hood: hood(say, h("p", {}, say("drag")), checked),
      }),
    );
    const asking = latest(context);

    function points() {
      return state.points.length ? state.points : POINTS;
    }

    /** The output at a place. @param {number} x */
    function estimate(x) {
      const similarities = points().map(([key]) => gaussian(x, key));
      const { weights } = weigh(similarities, { temperature: state.t });
      const values = points().map(([, value]) => [value]);
      return { weights, y: blend(weights, values, 1)[0] };
    }

    function show() {
      const { t, at: x } = state;
      const curve = GRID.map((place) => [place, estimate(place).y]);
      const here = estimate(x);
      picture.draw(points(), curve, { x, ...here });
      const bandwidth = t === Infinity ? "∞" : fixed(Math.sqrt(t));
      const text = say("words", { x: fixed(x), y: fixed(here.y), bandwidth, T: temperatureText(t) });
      at.follow(x, `x = ${fixed(x)}`, `x = ${fixed(x)}, y = ${fixed(here.y)}`);
      temperature.follow(t, text);
      status.show(text);
      checked.dataset.state = "local";
      put(checked, "…");
      clearTimeout(waiting);
      waiting = window.setTimeout(() => check(curve), REST_MS);
    }

    /** Ask the service for the whole curve, and compare. @param {number[][]} curve */
    function check(curve) {
      const body = {
        query: curve.map(([x]) => [x]),
        key: points().map(([x]) => [x]),
        value: points().map(([, y]) => [y]),
        similarity: "gaussian",
        temperature: onTheWire(state.t),
      };
      return asking.ask(async (signal) => {
        const { output } = await api.post("/v1/attend", body, signal);
        const worst = Math.max(...curve.map(([, y], i) => Math.abs(y - output[i][0])));
        checked.dataset.state = worst < AGREED ? "agreed" : "apart";
        put(checked, say(worst < AGREED ? "agreed" : "apart", { difference: power(worst) }));
      });
    }

    show();
    return {
      picture: picture.element,
      film: (share) => set({ at: Math.round((RANGE[0] + share * (RANGE[1] - RANGE[0])) * 20) / 20 }),
      update(now) {
        state = now;
        guess.show();
        show();
      },
      again: show,
      leave: () => clearTimeout(waiting),
    };
  },
};
