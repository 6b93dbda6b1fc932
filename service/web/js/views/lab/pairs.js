/** W_Q and W_K are learned from pairs: by plain cosine before, and then step by step. */

import { vectorOf } from "../../api.js";
import { fill, h, put } from "../../element.js";
import { count, fixed, percent } from "../../numbers.js";
import { rich, say, subscripted } from "../../words.js";
import { copyAsCurl } from "../copying.js";
import { latest } from "../latest.js";
import { budget, desk, secondsChoice } from "./desk.js";
import { heatmap, rightIn } from "./heatmap.js";
import { PAIRS } from "./pairlist.js";
import { run } from "./session.js";

const NAME = "pairs";
const TYPING_MS = 500;
const COSINE_T = 0.05;
const HELD_OUT = 5;

/** @param {Page.Context} context */
export function pairs(context) {
  const { store, api } = context;
  let waiting = 0;
  let lab = null;
  let before = null;
  const seconds = secondsChoice(store);
  const trainer = desk(context, {
    buttons: [{ id: "train-pairs", text: say("pairs.train"), plan: () => [{ name: NAME, shown: say("pairs.name"), body: body() }] }],
    heard: () => show(),
    trained: () => show(),
  });
  const map = heatmap();
  const title = h("h2", { id: "pairs-title" });
  const sums = h("table", { id: "pairs-sums" });
  const lines = h("tbody", {});
  const unread = h("p.unread", { role: "status" });
  const reset = h("button", { type: "button", onclick: () => store.set({ pairs: null }) }, say("pairs.reset"));
  const listing = h("div.labelled", {}, h("h2", {}, say("pairs.rows")), unread,
    h("table.pair-rows", {}, h("thead", {}, h("tr", {}, ["query", "key", "out"].map((name) => h("th", { scope: "col" }, say(`pairs.${name}`))))), lines), h("div", {}, reset));
  const element = h("div.lookup.lab", {},
    h("section.left", {}, context.story, h("div.pair", {}, seconds.element), trainer.element, sums, h("p.small.soft", {}, rich("pairs.how"))),
    h("section.right", {}, title, h("div.mapped", {}, h("div.labelled", {}, map.element, map.told), listing), h("div.under", {}, h("span"), copyAsCurl(context, () => ({ method: "POST", path: "/v1/lab/train", body: body() })))));

  const asking = latest(context, element);

  function listed() {
    return store.state.pairs?.length >= 2 ? store.state.pairs : PAIRS;
  }

  function body() {
    return { task: "pairs", pairs: listed().map(([query, key]) => ({ query, key })), ...budget(store.state) };
  }

  /** What cosine alone says, by the service: the encodings, and attention over them. */
  async function request() {
    const now = listed();
    put(unread, now.every((pair) => pair.every((text) => text.trim())) ? "" : say("pairs.empty"));
    if (unread.textContent) return asking.end();
    await asking.ask(async (signal) => {
      const [answer, asked, keys] = await Promise.all([
        api.get("/v1/lab", signal),
        api.post("/v1/encode", { texts: now.map(([query]) => query), purpose: "query" }, signal),
        api.post("/v1/encode", { texts: now.map(([, key]) => key), purpose: "document" }, signal),
      ]);
      const [query, key] = [asked, keys].map(({ embeddings }) => embeddings.map((one) => Array.from(vectorOf(one))));
      const { weights } = await api.post("/v1/attend", { query, key, value: now.map(() => [0]), similarity: "cosine", temperature: COSINE_T }, signal);
      lab = answer;
      before = { pairs: now, weights };
      trainer.follow(lab);
      show();
    });
  }

  /** The run, if it was of these pairs. */
  function learned() {
    const told = run(NAME);
    return told?.steps.length && JSON.stringify(told.body.pairs) === JSON.stringify(body().pairs) ? told : null;
  }

  function show() {
    seconds.show(store.state);
    reset.hidden = store.state.pairs === null;
    rows();
    if (!before || before.pairs.join("\n") !== listed().join("\n")) return;
    const told = learned();
    const last = told?.steps.at(-1);
    const out = new Set(told?.begun?.held_out ?? listed().flatMap((_, i) => ((i + 1) % HELD_OUT ? [] : [i])));
    map.show({ pairs: listed(), weights: last?.weights ?? before.weights, isOut: (i) => out.has(i) });
    put(title, `${say("pairs.map")} · ${last ? say("pairs.step", { step: last.step }) : say("pairs.cosine")}`);
    const right = rightIn(before.weights);
    const share = (wanted) => right.filter((is, i) => is && out.has(i) === wanted).length / right.filter((_, i) => out.has(i) === wanted).length;
    const line = (name, was, is) => h("tr", { "data-sum": name }, h("th", { scope: "row" }, subscripted(say(`pairs.${name}`))), h("td.number", {}, was), h("td.number", {}, is));
    fill(sums, h("thead", {}, h("tr", {}, h("td", {}), h("th", { scope: "col" }, say("pairs.before")), h("th", { scope: "col" }, say("pairs.now")))), h("tbody", {},
      line("loss", fixed(lossOf(before.weights, out)), last ? fixed(last.loss, 3) : "–"),
      line("right", portion(share(false)), portion(last?.right)), line("held", portion(share(true)), portion(last?.right_held_out)),
      line("parameters", "0", told?.begun ? count(told.begun.parameters) : "–")));
    context.told({ state: store.state, lab, begun: { right: right.filter(Boolean).length, n: right.length } });
  }

  /** The editable pairs; a field that is typed in stays. */
  function rows() {
    const now = listed();
    if (lines.children.length !== now.length) {
      fill(lines, now.map((_, i) => h("tr", {}, ["query", "key"].map((kind, side) => h("td", {}, h(`input.${kind}`, {
        type: "text", maxLength: 200, "aria-label": say(`pairs.field.${kind}`, { row: i + 1 }), oninput: ({ target }) => target instanceof HTMLInputElement && edit(i, side, target.value),
      }))), h("td", {}, (i + 1) % HELD_OUT ? "" : "○"))));
    }
    [...lines.querySelectorAll("input")].forEach((field, at) => {
      if (document.activeElement !== field) field.value = now[Math.floor(at / 2)][at % 2];
    });
  }

  function edit(row, side, text) {
    store.set({ pairs: listed().map((pair, i) => (i === row ? pair.map((old, j) => (j === side ? text : old)) : pair)) });
  }

  function update(_, changed) {
    show();
    if (!changed.has("pairs")) return;
    clearTimeout(waiting);
    waiting = setTimeout(request, TYPING_MS);
  }

  request();
  show();
  return { element, update, leave: () => (asking.end(), clearTimeout(waiting), trainer.leave()) };
}

/** −mean log of the weight on the own key, among the pairs that are learned from: as the service's loss is. */
function lossOf(weights, out) {
  const own = weights.flatMap((row, i) => (out.has(i) ? [] : [row[i] / row.reduce((sum, weight, j) => sum + (out.has(j) ? 0 : weight), 0)]));
  return -own.reduce((sum, weight) => sum + Math.log(weight), 0) / own.length;
}

function portion(share) {
  return Number.isFinite(share) ? percent(share) : "–";
}
