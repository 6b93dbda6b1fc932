/** The low-rank value map: its parameters counted, its shapes drawn to scale, and a small one computed. */

import { fill, h, put } from "../element.js";
import { EMBEDDINGS, product, WORDS } from "../example.js";
import { count, fixed, power } from "../numbers.js";
import { rich, say } from "../words.js";
import { copyAsCurl } from "./copying.js";
import { latest } from "./latest.js";
import { matrix } from "./matrix.js";

const WIDTHS = [384, 768, 1024, 4096, 12288];
const RANKS = [1, 8, 32, 64, 128, 256, 512, 1024];
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

/** @param {Page.Context} context */
export function lowRank(context) {
  const { store, api } = context;
  const asking = latest(context);
  const width = choice("width", WIDTHS);
  const rank = choice("rank", RANKS);
  const shapes = h("div.shapes", { id: "shapes" });
  const full = h("span.number.strong", { id: "full" });
  const low = h("span.number.strong.value", { id: "low" });
  const ratio = h("p.ratio", { id: "ratio" });
  const live = h("div.equation", {});
  const wide = h("div.equation", {});
  const checked = h("p.checking.small", { id: "checking", role: "status" });
  const element = h(
    "div.lookup",
    {},
    h(
      "section.left",
      {},
      context.story,
      h("div.pair", {}, width.element, rank.element),
      h("dl.counts", {}, h("dt", {}, say("lowrank.full")), h("dd", {}, full), h("dt", {}, say("lowrank.low")), h("dd", {}, low)),
      ratio,
      h("p.small.soft", { id: "whence" }, rich("lowrank.whence")),
    ),
    h(
      "section.right",
      {},
      shapes,
      h("h2", {}, say("lowrank.live")),
      h("p.small.soft", {}, rich("lowrank.how")),
      live,
      wide,
      h(
        "div.under",
        {},
        checked,
        copyAsCurl(context, () => ({ method: "POST", path: "/v1/attend", body: BODY })),
      ),
    ),
  );

  /** @param {string} name @param {number[]} values */
  function choice(name, values) {
    const select = h(
      "select",
      { id: name, onchange: () => store.set({ [name]: Number(select.value) }) },
      values.map((value) => h("option", { value }, count(value))),
    );
    return { select, element: h("div", {}, h("label", { for: name }, say(`lowrank.${name}`)), select) };
  }

  /** @param {Page.State} state */
  function show(state) {
    const d = WIDTHS.includes(state.width) ? state.width : WIDTHS[WIDTHS.length - 1];
    const r = RANKS.includes(state.rank) ? state.rank : 128;
    width.select.value = String(d);
    rank.select.value = String(r);
    put(full, `${count(d)} × ${count(d)} = ${count(d * d)}`);
    put(low, `${count(d)} × ${count(r)} + ${count(r)} × ${count(d)} = ${count(2 * d * r)}`);
    const times = (d * d) / (2 * d * r);
    const words = Math.abs(times - 1) < 0.05 ? "lowrank.same" : times > 1 ? "lowrank.ratio" : "lowrank.more";
    fill(ratio, say(words, { times: fixed(times, times < 10 ? 1 : 0) }));
    context.told({ state, width: d, rank: r });
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

  async function request() {
    await asking.ask(async (signal) => {
      /** @type {{intermediates: {value: number[][][], weights: number[][][], concatenated: number[][]}, output: number[][]}} */
      const { intermediates, output } = await api.post("/v1/attend", BODY, signal);
      const narrow = intermediates.value[0];
      const square = product(DOWN, UP);
      const mixed = product(intermediates.weights[0], product(EMBEDDINGS, square));
      const worst = Math.max(...output.flatMap((row, i) => row.map((number, j) => Math.abs(number - mixed[i][j]))));
      fill(
        live,
        matrix({ name: "X", numbers: EMBEDDINGS, rows: WORDS }).element,
        h("span.sign", {}, "·"),
        matrix({ name: say("lowrank.down"), numbers: DOWN }).element,
        h("span.sign", {}, "="),
        matrix({ name: say("lowrank.narrow"), kind: "value", numbers: narrow, rows: WORDS }).element,
      );
      fill(
        wide,
        matrix({ name: say("lowrank.blend"), kind: "value", numbers: intermediates.concatenated, rows: WORDS }).element,
        h("span.sign", {}, "·"),
        matrix({ name: say("lowrank.up"), numbers: UP }).element,
        h("span.sign", {}, "="),
        matrix({ name: say("word.output"), kind: "value", numbers: output, rows: WORDS }).element,
      );
      checked.dataset.state = worst < 1e-9 ? "agreed" : "apart";
      put(checked, say(worst < 1e-9 ? "lowrank.agreed" : "checking.apart", { difference: power(worst) }));
    });
  }

  show(store.state);
  request();
  return { element, update: show, leave: asking.end };
}

const EYE = EMBEDDINGS[0].map((_, i) => EMBEDDINGS[0].map((__, j) => (i === j ? 1 : 0)));
/** W_V is the way down, W_O the way up: a head's value map in two thin matrices. */
const BODY = {
  query: EMBEDDINGS,
  key: EMBEDDINGS,
  value: EMBEDDINGS,
  projections: { W_Q: EYE, W_K: EYE, W_V: DOWN, W_O: UP, n_heads: 1 },
  intermediates: true,
};

/** @param {string} kind @param {string} words @param {number} across @param {number} down shares of the full width */
function box(kind, words, across, down) {
  return h(
    "figure.shape",
    {},
    h(`div.box.${kind}`, { style: { "--across": String(across), "--down": String(down) } }),
    h("figcaption.number.small", {}, words),
  );
}
