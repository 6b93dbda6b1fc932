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

/** @typedef {{step: number, loss: number, right: number, right_held_out: number}} Step */
/** @typedef {{pairs: string[][], weights: number[][], loss: number}} Before what cosine alone says */
/**
 * @typedef {object} Recording
 * @property {string[][]} pairs
 * @property {string} before the weights, packed
 * @property {number} loss_before
 * @property {number} parameters
 * @property {number[]} held_out
 * @property {(Step & {weights: string})[]} steps
 */

/** @param {Page.Context} context */
export function pairs(context) {
  const { store, api } = context;
  let waiting = 0;
  /** @type {?Page.Lab} */
  let lab = null;
  /** @type {?Before} */
  let before = null;
  /** The pairs that the scene begins with, and their recorded learning. @type {?Recording} */
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
    const { pairs: own } = store.state;
    return own && own.length >= 2 ? own : (recording?.pairs ?? []);
  }

  function body() {
    return { task: "pairs", pairs: listed().map(([query, key]) => ({ query, key })), ...budget(store.state) };
  }

  async function begin() {
    const found = /** @type {Recording} */ (await recorded("pairs"));
    recording = found;
    const last = found.steps.length - 1;
    moment = store.state.moment >= 0 ? Math.min(last, store.state.moment) : last;
    if (context.exported) trainer.close();
    request(found);
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

  /** What cosine alone says: recorded for the scene's own pairs, else by the service. @param {Recording} own */
  async function request(own) {
    const now = listed();
    if (store.state.pairs === null) before = { pairs: now, weights: unpackedRows(own.before, now.length), loss: own.loss_before };
    if (context.exported) return asking.end();
    if (store.state.pairs === null) {
      await asking.ask(async (signal) => {
        follow(await api.get("/v1/lab", signal));
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
      const [query, key] = [asked, keys].map((/** @type {{embeddings: Parameters<typeof vectorOf>[0][]}} */ { embeddings }) =>
        embeddings.map((one) => Array.from(vectorOf(one))),
      );
      const { weights } = await api.post("/v1/attend", { query, key, value: now.map(() => [0]), similarity: "cosine", temperature: COSINE_T }, signal);
      before = { pairs: now, weights, loss: lossOf(weights, heldOut(now)) };
      follow(answer);
      show();
    });
  }

  /** @param {Page.Lab} answer */
  function follow(answer) {
    lab = answer;
    trainer.follow(answer);
  }

  /** The recorded learning as far as a moment, as the events of a learning of one's own tell it. @param {Recording} own */
  function recordedRun({ steps, parameters, held_out, pairs: of }) {
    const { weights, ...step } = steps[moment];
    return { begun: { parameters, held_out }, steps: [{ ...step, weights: unpackedRows(weights, of.length) }] };
  }

  /** The run, if it was of these pairs. @param {Recording} own */
  function learned(own) {
    if (isRecorded()) return recordedRun(own);
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
    const told = learned(recording);
    const last = told?.steps.at(-1);
    const out = told?.begun ? new Set(told.begun.held_out) : heldOut(listed());
    map.show({ pairs: listed(), weights: last?.weights ?? before.weights, isOut: (i) => out.has(i) });
    put(title, `${say("pairs.map")} · ${last ? say("pairs.step", { step: last.step }) : say("pairs.cosine")}`);
    const right = rightIn(before.weights);
    const share = (/** @type {boolean} */ wanted) =>
      right.filter((is, i) => is && out.has(i) === wanted).length / right.filter((_, i) => out.has(i) === wanted).length;
    const line = (/** @type {string} */ name, /** @type {string} */ was, /** @type {string} */ is) =>
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

  /** @param {number} row @param {number} side @param {string} text */
  function edit(row, side, text) {
    store.set({ pairs: listed().map((pair, i) => (i === row ? pair.map((old, j) => (j === side ? text : old)) : pair)) });
  }

  /** @param {Page.State} _ @param {Set<string>} changed */
  function update(_, changed) {
    if (changed.has("revealed")) play();
    show();
    if (!changed.has("pairs")) return;
    clearTimeout(waiting);
    waiting = setTimeout(() => recording && request(recording), TYPING_MS);
  }

  begin();
  show();
  return { element, update, leave: () => (asking.end(), clearTimeout(waiting), moments.stop(), trainer.leave()) };
}

/** Every fifth pair. @param {string[][]} pairs */
function heldOut(pairs) {
  return new Set(pairs.flatMap((_, i) => ((i + 1) % HELD_OUT ? [] : [i])));
}

/** −mean log of the weight on the own key, among the pairs that are learned from: as the service's loss is. @param {number[][]} weights @param {Set<number>} out */
function lossOf(weights, out) {
  const own = weights.flatMap((row, i) => (out.has(i) ? [] : [row[i] / row.reduce((sum, weight, j) => sum + (out.has(j) ? 0 : weight), 0)]));
  return -own.reduce((sum, weight) => sum + Math.log(weight), 0) / own.length;
}

/** @param {number | undefined} share */
function portion(share) {
  return share !== undefined && Number.isFinite(share) ? percent(share) : "–";
}
