/** The low-rank value map: its parameters counted, its shapes drawn to scale, and a small one computed. */

import { fill, h, put } from "../../../../../service/softkv_service/web/shared/element.js";
import { count, fixed, power } from "../../../../../service/softkv_service/web/shared/numbers.js";
import { hood, prediction, screen } from "../../story/parts.js";
import { matrix } from "../matrix.js";
import { latest } from "../parts.js";
import words from "./low-rank.json";

const WIDTHS = [384, 768, 1024, 4096, 12288];
const RANKS = [1, 8, 32, 64, 128, 256, 512, 1024];
const [WIDTH, RANK] = [12288, 128];
/** Above this the browser and the service disagree. */
const AGREED = 1e-9;
/** The small example: three words, four numbers each. */
const WORDS = ["cat", "chases", "mouse"];
const EMBEDDINGS = [
  [1.0, 0.8, 0.1, 0.4],
  [0.1, 0.6, 0.6, 1.0],
  [0.9, 0.1, 0.9, 0.5],
];
const DOWN = [
  [1.0, 0.0],
  [0.5, 0.5],
  [0.0, 1.0],
  [0.5, -0.5],
];
const UP = [
  [0.8, 0.4, 0.0, 0.2],
  [0.0, 0.2, 0.6, -0.4],
];
const IDENTITY = EMBEDDINGS[0].map((_, i) => EMBEDDINGS[0].map((__, j) => (i === j ? 1 : 0)));
/** W_V is the way down and W_O the way up: a head's value map as two thin matrices. */
const BODY = {
  query: EMBEDDINGS,
  key: EMBEDDINGS,
  value: EMBEDDINGS,
  projections: { W_Q: IDENTITY, W_K: IDENTITY, W_V: DOWN, W_O: UP, n_heads: 1 },
  intermediates: true,
};

/** @typedef {{width: number, rank: number, g: string}} State */
/**
 * @typedef {object} Computed
 * @property {{value: number[][][], weights: number[][][], concatenated: number[][]}} intermediates
 * @property {number[][]} output
 */

/** @type {import("../parts.js").Picture} */
export const lowRank = {
  id: "low-rank",
  of: "in-numbers",
  sketch: "M6 12h48v48H6zM62 32h8M62 38h8M78 12h5v48h-5zM88 33h26v6H88z",
  words,
  defaults: { width: WIDTH, rank: RANK, g: "" },

  mount(host, context) {
    const { say, api, set } = context;
    /** @type {State} */
    let state = context.state;
    const width = choice("width", WIDTHS);
    const rank = choice("rank", RANKS);
    const shapes = h("div.shapes", { id: "shapes" });
    const [full, low, ratio] = [h("dd.number", { id: "full" }), h("dd.number.value", { id: "low" }), h("p.ratio", { id: "ratio", role: "status" })];
    const [narrow, wide] = [h("div.equation"), h("div.equation")];
    const checked = h("p.checking", { id: "checking", role: "status" });
    const factor = WIDTH / RANK;
    const guess = prediction(context, {
      question: say("predict", { d: WIDTH, r: RANK }),
      choices: [
        { label: say("predict.two"), isRight: false },
        { label: say("predict.half", { half: factor / 2 }), isRight: true },
        { label: say("predict.whole", { whole: factor }), isRight: false },
        { label: say("predict.width", { d: WIDTH }), isRight: false },
      ],
      why: () => say("predict.why", { low: 2 * WIDTH * RANK, full: WIDTH * WIDTH }),
      reveal: () => set({ width: WIDTH, rank: RANK }),
    });
    const counted = h("dl.counts", {}, h("dt", {}, say("full")), full, h("dt", {}, say("low")), low);
    host.append(
      screen({
        title: say("title"),
        sentence: say("sentence"),
        picture: h("div.low-rank", {}, shapes, h("div.counting", {}, counted, ratio), h("h3", {}, say("live")), narrow, wide, checked),
        below: [guess.element, width.element, rank.element],
        hood: hood(say, h("p", {}, ...say.rich("whence")), h("p", {}, ...say.rich("how"))),
      }),
    );
    const asking = latest(context);

    /**
     * @param {string} name
     * @param {number[]} values
     */
    function choice(name, values) {
      const select = /** @type {HTMLSelectElement} */ (
        h(
          "select",
          { id: name, onchange: () => set({ [name]: Number(select.value) }) },
          values.map((value) => h("option", { value }, count(value))),
        )
      );
      return { select, element: h("label.many", {}, say(name), " ", select) };
    }

    function show() {
      const d = WIDTHS.includes(state.width) ? state.width : WIDTH;
      const r = RANKS.includes(state.rank) ? state.rank : RANK;
      width.select.value = String(d);
      rank.select.value = String(r);
      put(full, `${count(d)} × ${count(d)} = ${count(d * d)}`);
      put(low, `${count(d)} × ${count(r)} + ${count(r)} × ${count(d)} = ${count(2 * d * r)}`);
      const times = d / (2 * r);
      const name = Math.abs(times - 1) < 0.05 ? "same" : times > 1 ? "ratio" : "more";
      put(ratio, say(name, { times: fixed(times, times < 10 ? 1 : 0) }));
      const share = Math.max(0.004, r / d);
      fill(
        shapes,
        box("full", `${count(d)} × ${count(d)}`, 1, 1),
        h("span.sign", {}, "≈"),
        box("down", `↓ ${count(d)} × ${count(r)}`, share, 1),
        h("span.sign", {}, "·"),
        box("up", `↑ ${count(r)} × ${count(d)}`, 1, share),
      );
    }

    function ask() {
      return asking.ask(async (signal) => {
        /** @type {Computed} */
        const { intermediates, output } = await api.post("/v1/attend", BODY, signal);
        const square = product(intermediates.weights[0], product(EMBEDDINGS, product(DOWN, UP)));
        const worst = Math.max(...output.flatMap((row, i) => row.map((number, j) => Math.abs(number - square[i][j]))));
        fill(
          narrow,
          ...equation(
            { name: "X", numbers: EMBEDDINGS, rows: WORDS },
            { name: say("down"), numbers: DOWN },
            { name: say("narrow"), kind: "value", numbers: intermediates.value[0], rows: WORDS },
          ),
        );
        fill(
          wide,
          ...equation(
            { name: say("blend"), kind: "value", numbers: intermediates.concatenated, rows: WORDS },
            { name: say("up"), numbers: UP },
            { name: say("output"), kind: "value", numbers: output, rows: WORDS },
          ),
        );
        checked.dataset.state = worst < AGREED ? "agreed" : "apart";
        put(checked, say(worst < AGREED ? "agreed" : "apart", { difference: power(worst) }));
      });
    }

    show();
    ask();
    return {
      update(now) {
        state = now;
        guess.show();
        show();
      },
      again: ask,
    };
  },
};

/**
 * A · B = C.
 * @param {Parameters<typeof matrix>[0]} a
 * @param {Parameters<typeof matrix>[0]} b
 * @param {Parameters<typeof matrix>[0]} c
 */
function equation(a, b, c) {
  return [matrix(a), h("span.sign", {}, "·"), matrix(b), h("span.sign", {}, "="), matrix(c)];
}

/**
 * @param {number[][]} a
 * @param {number[][]} b
 */
function product(a, b) {
  return a.map((row) => b[0].map((_, j) => row.reduce((sum, value, k) => sum + value * b[k][j], 0)));
}

/**
 * @param {string} kind
 * @param {string} text
 * @param {number} across
 * @param {number} down shares of the full width
 */
function box(kind, text, across, down) {
  const drawn = h(`div.box.${kind}`, { style: { "--across": String(across), "--down": String(down) } });
  return h("figure.shape", {}, drawn, h("figcaption.number", {}, text));
}
