/** A picture told in words: each word lights the patches that it rests on, and each patch those that it looks at. */

import { fill, h, put } from "../../element.js";
import { count, fixed, percent } from "../../numbers.js";
import { rich, say } from "../../words.js";
import { copyAsCurl } from "../copying.js";
import { latest } from "../latest.js";
import { named } from "./alignment.js";
import { curves } from "./curves.js";
import { budget, desk, secondsChoice } from "./desk.js";
import { painted, patches, SAMPLES, SIDE } from "./patches.js";
import { run } from "./session.js";

const NAME = "pictures";
const BLANK = Array.from({ length: SIDE }, () => Array(SIDE).fill(0));
const HELD_SHOWN = 12;

/** @param {Page.Context} context */
export function vision(context) {
  const { store, api } = context;
  let lab = null;
  let answer = null;
  let isDrawing = false;
  const seconds = secondsChoice(store);
  const trainer = desk(context, {
    buttons: [{ id: "train-pictures", text: say("vision.train"), plan: () => [{ name: NAME, shown: say("vision.name"), body: body() }] }],
    heard: () => show(),
    trained: async ({ trained: { id, examples } }) => {
      await look();
      store.set({ model: id, picture: store.state.picture ?? examples[0].picture, word: 0, to: -1 });
    },
  });
  const chart = curves();
  const sums = h("p.small.number", { id: "vision-sums" });
  const accuracy = h("p.small", { id: "vision-accuracy" });
  const shelf = h("div.shelf", { role: "group", "aria-label": say("vision.unseen") });
  const draw = h("input", { type: "checkbox", id: "drawing", onchange: () => ((isDrawing = draw.checked), show()) });
  const blank = h("button", { type: "button", id: "blank", onclick: () => {
    isDrawing = true;
    store.set({ picture: BLANK, to: -1 });
    show();
  } }, say("vision.blank"));
  const picture = patches({ patch: (to) => store.set({ to: store.state.to === to ? -1 : to }), pixel: turn });
  const caption = h("div.caption", { id: "caption", role: "group", "aria-label": say("vision.caption") });
  const heads = h("select", { id: "head-of", onchange: () => store.set({ head: Number(heads.value) }) });
  const said = h("p.small.alignment-said", { id: "vision-said", role: "status" });
  const truth = h("p.small.soft", { id: "truth" });
  const unread = h("p.unread", { role: "status" });
  const none = h("p.hint", {}, say("vision.none"));
  const looked = h("div.seen", {}, h("div.labelled", {}, h("h2", {}, say("vision.picture")), picture.element, h("p", {}, draw, h("label", { for: "drawing" }, ` ${say("vision.draw")}`), " ", blank)),
    h("div.labelled", {}, h("h2", {}, say("vision.caption")), caption, said, truth, unread, h("div", {}, h("label", { for: "head-of" }, `${say("vision.head")} `), heads), h("h2", {}, say("vision.unseen")), shelf));
  const element = h("div.lookup.lab", {},
    h("section.left", {}, context.story, h("div.pair", {}, seconds.element), trainer.element, chart.element, sums, accuracy),
    h("section.right", {}, none, looked, h("p.small.soft", {}, rich("vision.vit")), h("div.under", {}, h("span"), copyAsCurl(context, () => (model()
      ? { method: "POST", path: "/v1/lab/decode", body: { model: model().id, picture: shown() } } : { method: "POST", path: "/v1/lab/train", body: body() })))));

  const [looking, decoding] = [latest(context), latest(context, element)];

  function body() {
    return { task: "pictures", ...budget(store.state) };
  }

  function turn(y, x) {
    store.set({ picture: shown().map((row, i) => (i === y ? row.map((ink, j) => (j === x ? (ink > 0.5 ? 0 : 1) : ink)) : row)), to: -1 });
  }

  function shown() {
    return store.state.picture ?? run(NAME)?.trained?.examples[0].picture ?? SAMPLES[0];
  }

  function model() {
    const known = (lab?.models ?? []).filter((one) => one.task === "pictures");
    return known.find((one) => one.id === store.state.model) ?? known[0] ?? null;
  }

  async function look() {
    await looking.ask(async (signal) => {
      lab = await api.get("/v1/lab", signal);
      trainer.follow(lab);
      show();
      decode();
    });
  }

  async function decode() {
    if (!model()) return decoding.end();
    await decoding.ask(async (signal) => {
      answer = await api.post("/v1/lab/decode", { model: model().id, picture: shown() }, signal);
      put(unread, "");
      show();
    }, (refused) => refused.status === 422 && (put(unread, refused.detail), true));
  }

  function show() {
    const { state } = store;
    seconds.show(state);
    draw.checked = isDrawing;
    const told = run(NAME);
    const one = model();
    const last = told?.steps.at(-1);
    chart.draw([{ kind: "transformer", name: say("lab.transformer"), points: (told?.steps ?? []).map((step) => [step.seconds, step.loss]) }], budget(state).seconds);
    put(sums, last ? `${say("lab.column.loss")} ${fixed(last.loss, 3)} · ${fixed(last.step_ms, 1)} ${say("lab.column.step_ms")} · ${count(told.begun.parameters)} ${say("lab.column.parameters")}` : "");
    const share = told?.tested?.accuracy ?? one?.accuracy;
    put(accuracy, share === undefined ? "" : `${percent(share)} ${say("vision.accuracy")}`);
    looked.hidden = !one;
    none.hidden = Boolean(one);
    const examples = told?.trained?.examples.slice(0, HELD_SHOWN) ?? SAMPLES.map((sample) => ({ picture: sample, target: "" }));
    if (shelf.dataset.of !== (told?.trained?.id ?? "samples")) {
      shelf.dataset.of = told?.trained?.id ?? "samples";
      fill(shelf, examples.map((example, i) => h("button.example", { type: "button", "aria-label": say("vision.example", { target: example.target || String(i + 1) }), title: example.target, onclick: () => {
        isDrawing = false;
        store.set({ picture: example.picture, word: 0, to: -1 });
        show();
      } }, painted(example.picture))));
    }
    const known = examples.find((example) => JSON.stringify(example.picture) === JSON.stringify(shown()));
    put(truth, known?.target ? say("vision.truth", { target: known.target }) : "");
    if (one && answer) attended(state);
    else picture.show(shown(), null, -1, isDrawing);
    if (lab) context.told({ state, lab });
  }

  /** The patches that the chosen word rests on, or that the chosen patch looks at. */
  function attended(state) {
    const every = answer.attention.at(-1);
    const head = state.head >= 0 && state.head < every.length ? Math.round(state.head) : -1;
    if (heads.options.length !== every.length + 1) fill(heads, h("option", { value: -1 }, say("vision.mean")), every.map((_, i) => h("option", { value: i }, String(i + 1))));
    heads.value = String(head);
    const word = Math.min(answer.tokens.length - 1, Math.max(0, Math.round(state.word)));
    const to = state.to >= 0 && state.to < answer.source.length ? Math.round(state.to) : -1;
    const weights = to >= 0 ? rowOf(answer.source_attention.at(-1), head, to) : rowOf(every, head, word);
    picture.show(shown(), weights, to, isDrawing);
    const texts = answer.tokens.map(({ text }) => text).join(" ");
    if (caption.dataset.text !== texts) {
      caption.dataset.text = texts;
      fill(caption, answer.tokens.map(({ text }, i) => h("button.word-of", { type: "button", onclick: () => store.set({ word: i, to: -1 }) }, named(text))));
    }
    [...caption.children].forEach((button, i) => button.setAttribute("aria-pressed", String(to < 0 && i === word)));
    const { text, probability } = answer.tokens[word];
    fill(said, to >= 0 ? rich("vision.of.patch", { patch: to + 1 }) : rich("vision.of.word", { word: named(text), probability: percent(probability) }));
  }

  function update(_, changed) {
    show();
    if (changed.has("picture") || changed.has("model")) decode();
  }

  look();
  show();
  return { element, update, leave: () => (looking.end(), decoding.end(), trainer.leave(), chart.leave()) };
}

/** One row of one head, or of the mean of all of them. */
function rowOf(heads, head, row) {
  if (head >= 0) return heads[head][row];
  return heads[0][row].map((_, j) => heads.reduce((sum, one) => sum + one[row][j], 0) / heads.length);
}
