/**
 * W_Q and W_K are learned from pairs: by plain cosine before, and then step by step. The pairs, and their learning, were
 * recorded; a learning of one's own takes its place.
 */

import { vectorOf } from "../../api.js";
import { fill, h, put } from "../../element.js";
import { count, fixed, percent } from "../../numbers.js";
import { recorded, unpackedRows } from "../../recorded.js";
import { rich, say, subscripted } from "../../words.js";
import { copyAsCurl } from "../copying.js";
import { latest } from "../latest.js";
import { budget, desk, secondsChoice } from "./desk.js";
import { heatmap, rightIn } from "./heatmap.js";
import { player, playsAlone } from "./player.js";
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
  /** The pairs that the scene begins with, and their recorded learning. */
  let recording = null;
  let isOwn = run(NAME) !== undefined;
  let moment = 0;
  let hasPlayed = false;
  const seconds = secondsChoice(store);
  const trainer = desk(context, {
    buttons: [{ id: "train-pairs", text: say("pairs.train"), plan: () => [{ name: NAME, shown: say("pairs.name"), body: body() }] }],
    heard: () => {
      isOwn = true;
      moments.stop();
      show();
    },
    trained: () => show(),
  });
  const moments = player(
    (now) => {
      moment = now;
      show();
    },
    (now) => {
      moment = now;
      store.set({ moment: now });
      show();
    },
    () => {
      isOwn = false;
      show();
    },
  );
  const map = heatmap();
  const title = h("h2", { id: "pairs-title" });
  const sums = h("table", { id: "pairs-sums" });
  const lines = h("tbody", {});
  const unread = h("p.unread", { role: "status" });
  const reset = h("button", { type: "button", onclick: () => store.set({ pairs: null }) }, say("pairs.reset"));
  const listing = h(
    "div.labelled",
    {},
    h("h2", {}, say("pairs.rows")),
    unread,
    h(
      "table.pair-rows",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["query", "key", "out"].map((name) => h("th", { scope: "col" }, say(`pairs.${name}`))),
        ),
      ),
      lines,
    ),
    h("div", {}, reset),
  );
  const element = h(
    "div.lookup.lab",
    {},
    h("section.left", {}, context.story, h("div.pair", {}, seconds.element), trainer.element, sums, h("p.small.soft", {}, rich("pairs.how"))),
    h(
      "section.right",
      {},
      title,
      moments.element,
      h("div.mapped", {}, h("div.labelled", {}, map.element, map.told), listing),
      h(
        "div.under",
        {},
        h("span"),
        copyAsCurl(context, () => ({ method: "POST", path: "/v1/lab/train", body: body() })),
      ),
    ),
  );

  const asking = latest(context, element);

  function listed() {
    return store.state.pairs?.length >= 2 ? store.state.pairs : recording.pairs;
  }

  function body() {
    return { task: "pairs", pairs: listed().map(([query, key]) => ({ query, key })), ...budget(store.state) };
  }

  async function begin() {
    recording = await recorded("pairs");
    const last = recording.steps.length - 1;
    moment = store.state.moment >= 0 ? Math.min(last, store.state.moment) : last;
    if (context.exported) trainer.close();
    request();
    play();
    show();
  }

  /** Play once, when the scene is no longer covered, unless a moment was chosen. */
  function play() {
    if (!isRecorded() || !store.state.revealed || hasPlayed) return;
    hasPlayed = true;
    if (store.state.moment < 0 && playsAlone()) moments.play();
  }

  /** Whether the recorded learning is what is shown: that of the pairs as the scene has them. */
  function isRecorded() {
    return !isOwn && store.state.pairs === null;
  }

  /** What cosine alone says: recorded for the scene's own pairs, else by the service. */
  async function request() {
    const now = listed();
    if (store.state.pairs === null) before = { pairs: now, weights: unpackedRows(recording.before, now.length), loss: recording.loss_before };
    if (context.exported) return asking.end();
    if (store.state.pairs === null) {
      await asking.ask(async (signal) => {
        lab = await api.get("/v1/lab", signal);
        trainer.follow(lab);
        show();
      });
      return;
    }
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
      before = { pairs: now, weights, loss: lossOf(weights, heldOut(now)) };
      trainer.follow(lab);
      show();
    });
  }

  /** The recorded learning as far as a moment, as the events of a learning of one's own tell it. */
  function recordedRun() {
    const { weights, ...step } = recording.steps[moment];
    const { parameters, held_out: out } = recording;
    return { begun: { parameters, held_out: out }, steps: [{ ...step, weights: unpackedRows(weights, recording.pairs.length) }] };
  }

  /** The run, if it was of these pairs. */
  function learned() {
    if (isRecorded()) return recordedRun();
    const told = run(NAME);
    return told?.steps.length && JSON.stringify(told.body.pairs) === JSON.stringify(body().pairs) ? told : null;
  }

  function show() {
    seconds.show(store.state);
    if (!recording) return;
    moments.element.hidden = store.state.pairs !== null;
    moments.show(
      recording.steps.map(({ step }) => step),
      moment,
      isRecorded(),
    );
    reset.hidden = store.state.pairs === null;
    rows();
    if (!before || before.pairs.join("\n") !== listed().join("\n")) return;
    const told = learned();
    const last = told?.steps.at(-1);
    const out = told?.begun ? new Set(told.begun.held_out) : heldOut(listed());
    map.show({ pairs: listed(), weights: last?.weights ?? before.weights, isOut: (i) => out.has(i) });
    put(title, `${say("pairs.map")} · ${last ? say("pairs.step", { step: last.step }) : say("pairs.cosine")}`);
    const right = rightIn(before.weights);
    const share = (wanted) => right.filter((is, i) => is && out.has(i) === wanted).length / right.filter((_, i) => out.has(i) === wanted).length;
    const line = (name, was, is) =>
      h("tr", { "data-sum": name }, h("th", { scope: "row" }, subscripted(say(`pairs.${name}`))), h("td.number", {}, was), h("td.number", {}, is));
    fill(
      sums,
      h("thead", {}, h("tr", {}, h("td", {}), h("th", { scope: "col" }, say("pairs.before")), h("th", { scope: "col" }, say("pairs.now")))),
      h(
        "tbody",
        {},
        line("loss", fixed(before.loss), last ? fixed(last.loss, 3) : "–"),
        line("right", portion(share(false)), portion(last?.right)),
        line("held", portion(share(true)), portion(last?.right_held_out)),
        line("parameters", "0", told?.begun ? count(told.begun.parameters) : "–"),
      ),
    );
    context.told({ state: store.state, lab, begun: { right: right.filter(Boolean).length, n: right.length } });
  }

  /** The editable pairs; a field that is typed in stays. */
  function rows() {
    const now = listed();
    if (lines.children.length !== now.length) {
      fill(
        lines,
        now.map((_, i) =>
          h(
            "tr",
            {},
            ["query", "key"].map((kind, side) =>
              h(
                "td",
                {},
                h(`input.${kind}`, {
                  type: "text",
                  maxLength: 200,
                  "aria-label": say(`pairs.field.${kind}`, { row: i + 1 }),
                  oninput: ({ target }) => target instanceof HTMLInputElement && edit(i, side, target.value),
                }),
              ),
            ),
            h("td", {}, (i + 1) % HELD_OUT ? "" : "○"),
          ),
        ),
      );
    }
    [...lines.querySelectorAll("input")].forEach((field, at) => {
      if (document.activeElement !== field) field.value = now[Math.floor(at / 2)][at % 2];
    });
  }

  function edit(row, side, text) {
    store.set({ pairs: listed().map((pair, i) => (i === row ? pair.map((old, j) => (j === side ? text : old)) : pair)) });
  }

  function update(_, changed) {
    if (changed.has("revealed")) play();
    show();
    if (!changed.has("pairs")) return;
    clearTimeout(waiting);
    waiting = setTimeout(request, TYPING_MS);
  }

  begin();
  show();
  return { element, update, leave: () => (asking.end(), clearTimeout(waiting), moments.stop(), trainer.leave()) };
}

/** Every fifth pair. @param {string[][]} pairs */
function heldOut(pairs) {
  return new Set(pairs.flatMap((_, i) => ((i + 1) % HELD_OUT ? [] : [i])));
}

/** −mean log of the weight on the own key, among the pairs that are learned from: as the service's loss is. */
function lossOf(weights, out) {
  const own = weights.flatMap((row, i) => (out.has(i) ? [] : [row[i] / row.reduce((sum, weight, j) => sum + (out.has(j) ? 0 : weight), 0)]));
  return -own.reduce((sum, weight) => sum + Math.log(weight), 0) / own.length;
}

function portion(share) {
  return Number.isFinite(share) ? percent(share) : "–";
}
