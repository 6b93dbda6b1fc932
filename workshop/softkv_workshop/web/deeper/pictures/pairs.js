/**
 * W_Q and W_K are learned from pairs: plain cosine before, then step by step. The pairs and their learning were
 * recorded; a learning of the reader's takes its place.
 */

import { vectorOf } from "../../../../../service/softkv_service/web/shared/api.js";
import { fill, h, put } from "../../../../../service/softkv_service/web/shared/element.js";
import { count, fixed, percent } from "../../../../../service/softkv_service/web/shared/numbers.js";
import { recorded, unpackedRows } from "../../shared/recorded.js";
import { subscripted } from "../../../../../service/softkv_service/web/shared/words.js";
import { hood, prediction, screen } from "../../story/parts.js";
import { budget, desk, secondsChoice } from "../lab/desk.js";
import { heatmap, rightIn } from "../lab/heatmap.js";
import lab from "../lab/lab.json";
import { player, playsAlone } from "../lab/player.js";
import { run } from "../lab/session.js";
import { latest } from "../parts.js";
import words from "./pairs.json";

const NAME = "pairs";
const TYPING_MS = 500;
const COSINE_T = 0.05;
const HELD_OUT = 5;
/** So many of the twenty recorded pairs are right by plain cosine. */
const [RIGHT, PAIRS] = [0, 20];

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
/**
 * @typedef {object} State `pairs` is empty until a reader edits them; `moment` is −1 until one is chosen
 * @property {string[][]} pairs
 * @property {number} moment
 * @property {number} seconds
 * @property {number} steps
 * @property {string} g
 */

/** @type {import("../parts.js").Picture} */
export const pairs = {
  id: "pairs",
  of: "it-learns",
  sketch: "M30 6h60v60H30zM30 6h12v12H30zM42 18h12v12H42zM54 30h12v12H54zM66 42h12v12H66zM78 54h12v12H78z",
  words: { en: { ...lab.en, ...words.en }, zh: { ...lab.zh, ...words.zh } },
  defaults: { pairs: [], moment: -1, seconds: 30, steps: 0, g: "" },

  mount(host, context) {
    const { say, api, set } = context;
    /** @type {State} */
    let state = context.state;
    let waiting = 0;
    /** @type {?Before} */
    let before = null;
    /** @type {?Recording} */
    let recording = null;
    let isOwn = run(NAME) !== undefined;
    let moment = 0;
    const seconds = secondsChoice(context);
    const trainer = desk(context, {
      buttons: [{ id: "train-pairs", text: say("train"), plan: () => [{ name: NAME, shown: say("name"), body: body() }] }],
      heard: () => {
        isOwn = true;
        moments.stop();
        show();
      },
      trained: () => show(),
    });
    const moments = player(
      say,
      (now, isChosen) => {
        moment = now;
        if (isChosen) set({ moment });
        show();
      },
      () => {
        isOwn = false;
        show();
      },
    );
    const map = heatmap(say);
    const title = h("h3", { id: "pairs-title" });
    const sums = h("table", { id: "pairs-sums" });
    const lines = h("tbody", {});
    const unread = h("p.unread", { role: "status" });
    const reset = h("button", { type: "button", onclick: () => set({ pairs: [] }) }, say("reset"));
    const heads = ["query", "key", "out"].map((name) => h("th", { scope: "col" }, say(name)));
    const listing = h("table.pair-rows", {}, h("thead", {}, h("tr", {}, heads)), lines);
    const guess = prediction(context, {
      question: say("predict"),
      choices: ["all", "most", "few", "none"].map((name) => ({ label: say(`predict.${name}`), isRight: name === "none" })),
      why: () => say("predict.why", { right: RIGHT, n: PAIRS }),
      reveal: () => {},
    });
    const mapped = h("div.labelled", {}, title, moments.element, map.element, map.told);
    host.append(
      screen({
        title: say("title"),
        sentence: say("sentence"),
        picture: h("div.lab.two", {}, mapped, h("div.labelled", {}, sums, h("h3", {}, say("rows")), unread, listing, h("div", {}, reset))),
        below: [guess.element, seconds.element, trainer.element],
        hood: hood(say, h("p", {}, ...say.rich("how"))),
      }),
    );
    const asking = latest(context, mapped);

    function listed() {
      return state.pairs.length >= 2 ? state.pairs : (recording?.pairs ?? []);
    }

    function body() {
      return { task: "pairs", pairs: listed().map(([query, key]) => ({ query, key })), ...budget(state) };
    }

    async function begin() {
      const content = /** @type {Recording} */ (await recorded("pairs"));
      recording = content;
      const last = content.steps.length - 1;
      moment = state.moment >= 0 ? Math.min(last, state.moment) : last;
      if (context.isExported) trainer.close();
      ask();
      if (isRecorded() && state.moment < 0 && playsAlone()) moments.play();
      show();
    }

    /** Whether the recorded learning is shown: that of the pairs as the picture has them. */
    function isRecorded() {
      return !isOwn && !state.pairs.length;
    }

    /** Find what cosine alone says: it was recorded for the picture's own pairs, else the service computes it. */
    async function ask() {
      if (!recording) return;
      const now = listed();
      const isEdited = state.pairs.length > 0;
      if (!isEdited) before = { pairs: now, weights: unpackedRows(recording.before, now.length), loss: recording.loss_before };
      if (context.isExported) return asking.end();
      put(unread, now.every((pair) => pair.every((text) => text.trim())) ? "" : say("empty"));
      if (unread.textContent) return asking.end();
      await asking.ask(async (signal) => {
        const [answer, queries, keys] = await Promise.all([
          api.get("/v1/lab", signal),
          isEdited && api.post("/v1/encode", { texts: now.map(([query]) => query), purpose: "query" }, signal),
          isEdited && api.post("/v1/encode", { texts: now.map(([, key]) => key), purpose: "document" }, signal),
        ]);
        trainer.follow(answer);
        if (isEdited) before = await compared(now, queries, keys, signal);
        show();
      });
    }

    /**
     * @param {string[][]} now the pairs
     * @param {{embeddings: Parameters<typeof vectorOf>[0][]}} queries
     * @param {{embeddings: Parameters<typeof vectorOf>[0][]}} keys
     * @param {AbortSignal} signal
     * @returns {Promise<Before>}
     */
    async function compared(now, queries, keys, signal) {
      const [query, key] = [queries, keys].map(({ embeddings }) => embeddings.map((one) => Array.from(vectorOf(one))));
      const request = { query, key, value: now.map(() => [0]), similarity: "cosine", temperature: COSINE_T };
      const { weights } = await api.post("/v1/attend", request, signal);
      return { pairs: now, weights, loss: lossOf(weights, heldOut(now)) };
    }

    /** The recorded learning as far as a moment, as the events of a learning of the reader's tell it. @param {Recording} own */
    function recordedRun({ steps, parameters, held_out, pairs: of }) {
      const { weights, ...step } = steps[moment];
      return { begun: { parameters, held_out }, steps: [{ ...step, weights: unpackedRows(weights, of.length) }] };
    }

    /** The run, if it was of these pairs. @param {Recording} own */
    function learned(own) {
      if (isRecorded()) return recordedRun(own);
      const last = run(NAME);
      return last?.steps.length && JSON.stringify(last.body.pairs) === JSON.stringify(body().pairs) ? last : null;
    }

    function show() {
      seconds.show(state);
      if (!recording) return;
      const isEdited = state.pairs.length > 0;
      const steps = recording.steps.map(({ step }) => step);
      moments.element.hidden = isEdited;
      moments.show(steps, moment, isRecorded());
      reset.hidden = !isEdited;
      rows();
      if (!before || before.pairs.join("\n") !== listed().join("\n")) return;
      const shown = learned(recording);
      const last = shown?.steps.at(-1);
      const out = shown?.begun ? new Set(shown.begun.held_out) : heldOut(listed());
      map.show({ pairs: listed(), weights: last?.weights ?? before.weights, isOut: (i) => out.has(i) });
      put(title, `${say("map")} · ${last ? say("step", { step: last.step }) : say("cosine")}`);
      const right = rightIn(before.weights);
      const share = (/** @type {boolean} */ isOut) =>
        right.filter((is, i) => is && out.has(i) === isOut).length / right.filter((_, i) => out.has(i) === isOut).length;
      const line = (/** @type {string} */ name, /** @type {string} */ cosine, /** @type {string} */ now) =>
        h("tr", { "data-sum": name }, h("th", { scope: "row" }, subscripted(say(name))), h("td.number", {}, cosine), h("td.number", {}, now));
      fill(
        sums,
        h("thead", {}, h("tr", {}, h("td", {}), h("th", { scope: "col" }, say("before")), h("th", { scope: "col" }, say("now")))),
        h(
          "tbody",
          {},
          line("loss", fixed(before.loss), last ? fixed(last.loss, 3) : "–"),
          line("first", portion(share(false)), portion(last?.right)),
          line("first.held", portion(share(true)), portion(last?.right_held_out)),
          line("parameters", "0", shown?.begun ? count(shown.begun.parameters) : "–"),
        ),
      );
    }

    /** Show the pairs in fields; the field that is typed in stays. */
    function rows() {
      const now = listed();
      if (lines.children.length !== now.length) {
        fill(
          lines,
          now.map((_, i) => h("tr", {}, fieldOf(i, 0, "query"), fieldOf(i, 1, "key"), h("td", {}, (i + 1) % HELD_OUT ? "" : "○"))),
        );
      }
      for (const [i, field] of [...lines.querySelectorAll("input")].entries()) {
        if (document.activeElement !== field) field.value = now[Math.floor(i / 2)][i % 2];
      }
    }

    /**
     * @param {number} row
     * @param {number} side
     * @param {string} kind
     */
    function fieldOf(row, side, kind) {
      const field = /** @type {HTMLInputElement} */ (
        h(`input.${kind}`, { type: "text", maxLength: 200, "aria-label": say(`field.${kind}`, { row: row + 1 }), oninput: () => edit(row, side, field.value) })
      );
      return h("td", {}, field);
    }

    /**
     * @param {number} row
     * @param {number} side
     * @param {string} text
     */
    function edit(row, side, text) {
      set({ pairs: listed().map((pair, i) => (i === row ? pair.map((old, j) => (j === side ? text : old)) : pair)) });
    }

    begin();
    show();
    return {
      update(now, changed) {
        state = now;
        guess.show();
        show();
        if (!changed.has("pairs")) return;
        clearTimeout(waiting);
        waiting = window.setTimeout(ask, TYPING_MS);
      },
      again: ask,
      leave: () => (clearTimeout(waiting), moments.stop()),
    };
  },
};

/** Every fifth pair. @param {string[][]} pairs */
function heldOut(pairs) {
  return new Set(pairs.flatMap((_, i) => ((i + 1) % HELD_OUT ? [] : [i])));
}

/**
 * −mean log of the weight on the own key, among the pairs that are learned from, as the service's loss.
 * @param {number[][]} weights
 * @param {Set<number>} out
 */
function lossOf(weights, out) {
  const own = weights.flatMap((row, i) => (out.has(i) ? [] : [row[i] / row.reduce((sum, weight, j) => sum + (out.has(j) ? 0 : weight), 0)]));
  return -own.reduce((sum, weight) => sum + Math.log(weight), 0) / own.length;
}

/** @param {number | undefined} share */
function portion(share) {
  return share !== undefined && Number.isFinite(share) ? percent(share) : "–";
}
