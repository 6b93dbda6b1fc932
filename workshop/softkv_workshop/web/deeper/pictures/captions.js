/**
 * A picture in words: each word lights the patches that it rests on, and each patch those that it looks at. A recorded
 * network is there from the beginning; one that the reader trains takes its place.
 */

import { fill, h, put } from "../../../../../service/softkv_service/web/shared/element.js";
import { percent } from "../../../../../service/softkv_service/web/shared/numbers.js";
import { recorded, unpackedRows } from "../../shared/recorded.js";
import { hood, prediction, screen } from "../../story/parts.js";
import { named } from "../lab/alignment.js";
import { budget, desk, secondsChoice } from "../lab/desk.js";
import lab from "../lab/lab.json";
import { painted, patches, SIDE } from "../lab/patches.js";
import { FEW_STEPS } from "../lab/runs.js";
import { run } from "../lab/session.js";
import { latest } from "../parts.js";
import words from "./captions.json";

const NAME = "pictures";
const HEADS = 4;
const BLANK = Array.from({ length: SIDE }, () => Array(SIDE).fill(0));
const HELD_SHOWN = 12;

/** @typedef {import("../lab/session.js").Lab} Lab */
/** @typedef {import("../lab/runs.js").Written} Written */
/**
 * @typedef {object} Recording
 * @property {number} accuracy
 * @property {{picture: string, target: string}[]} pictures
 * @property {(Written & {weights: string})[]} written
 * @property {string[]} patches
 */
/** @typedef {{picture: number[][], target: string}} Sample */
/**
 * @typedef {object} Decoded what a network wrote of a picture
 * @property {unknown[]} source a patch each
 * @property {{text: string, probability: number}[]} tokens
 * @property {number[][][][]} attention layer → head → token → patch
 * @property {number[][][][]} source_attention layer → head → patch → patch
 */
/**
 * @typedef {object} State
 * @property {string} model of the lab; empty: the recorded one
 * @property {number[][]} picture what a reader drew; empty: the chosen one
 * @property {number} word that is shown
 * @property {number} to the patch that is shown, or −1
 * @property {number} head or −1, the mean of all
 * @property {number} seconds
 * @property {number} steps
 * @property {string} g
 */

/** @type {import("../parts.js").Picture} */
export const captions = {
  id: "captions",
  of: "it-learns",
  sketch: "M8 6h60v60H8zM23 6v60M38 6v60M53 6v60M8 21h60M8 36h60M8 51h60M84 14h28M84 30h22M84 46h28M68 28l16-14M53 44l31-14M68 58l16-12",
  words: { en: { ...lab.en, ...words.en }, zh: { ...lab.zh, ...words.zh } },
  defaults: { model: "", picture: [], word: 0, to: -1, head: -1, seconds: 30, steps: 0, g: "" },

  mount(host, context) {
    const { say, api, set } = context;
    /** @type {State} */
    let state = context.state;
    /** @type {?Lab} */
    let kept = null;
    /** @type {?Decoded} */
    let answer = null;
    let isDrawing = false;
    /** @type {?Recording} */
    let recording = null;
    /** The recorded pictures. @type {Sample[]} */
    let samples = [];
    let chosen = 0;
    const seconds = secondsChoice(context);
    const trainer = desk(context, {
      buttons: [{ id: "train-pictures", text: say("train"), plan: () => [{ name: NAME, shown: say("name"), body: { task: "pictures", ...budget(state) } }] }],
      heard: () => show(),
      trained: async ({ id, examples }) => {
        await look();
        set({ model: id, picture: state.picture.length ? state.picture : examples[0].picture, word: 0, to: -1 });
      },
    });
    const back = () => {
      isDrawing = false;
      set({ model: "", picture: [], word: 0, to: -1 });
      show();
    };
    const recordedBack = h("button", { type: "button", id: "back-to-recorded", onclick: back }, say("lab.recorded.back"));
    const accuracy = h("p.small", { id: "vision-accuracy" });
    const shelf = h("div.shelf", { role: "group", "aria-label": say("unseen") });
    const draw = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", id: "drawing", onchange: () => ((isDrawing = draw.checked), show()) }));
    const clear = () => {
      isDrawing = true;
      set({ picture: BLANK, to: -1 });
    };
    const blank = h("button", { type: "button", id: "blank", onclick: clear }, say("blank"));
    const picture = patches(say, { patch: (to) => set({ to: state.to === to ? -1 : to }), pixel: turn });
    const caption = h("div.caption", { id: "caption", role: "group", "aria-label": say("caption") });
    const options = Array.from({ length: HEADS }, (_, i) => h("option", { value: i }, String(i + 1)));
    const heads = /** @type {HTMLSelectElement} */ (
      h("select", { id: "head-of", onchange: () => set({ head: Number(heads.value) }) }, h("option", { value: -1 }, say("mean")), options)
    );
    const sentence = h("p.small.alignment-said", { id: "vision-said", role: "status" });
    const truth = h("p.small.soft", { id: "truth" });
    const unread = h("p.unread", { role: "status" });
    const drawn = h("p", {}, draw, h("label", { for: "drawing" }, ` ${say("draw")}`), " ", blank);
    const headOf = h("label.many", {}, say("head"), " ", heads);
    const seen = h(
      "div.seen",
      {},
      h("div.labelled", {}, h("h3", {}, say("picture")), picture.element, drawn),
      h("div.labelled", {}, h("h3", {}, say("caption")), caption, sentence, truth, unread, headOf, h("h3", {}, say("unseen")), shelf),
    );
    const guess = prediction(context, {
      question: say("predict"),
      choices: ["pixels", "patches", "words", "pictures"].map((name) => ({ label: say(`predict.${name}`), isRight: name === "patches" })),
      why: () => say("predict.why"),
      reveal: () => {},
    });
    host.append(
      screen({
        title: say("title"),
        sentence: say("sentence"),
        picture: h("div.lab", {}, recordedBack, seen),
        below: [guess.element, seconds.element, trainer.element],
        hood: hood(say, accuracy, h("p", {}, ...say.rich("vit"))),
      }),
    );
    const [looking, decoding] = [latest(context), latest(context, seen)];

    /**
     * @param {number} y
     * @param {number} x
     */
    function turn(y, x) {
      set({ picture: shown().map((row, i) => (i === y ? row.map((ink, j) => (j === x ? (ink > 0.5 ? 0 : 1) : ink)) : row)), to: -1 });
    }

    function shown() {
      return isRecorded() || !state.picture.length ? samples[chosen].picture : state.picture;
    }

    function model() {
      return (kept?.models ?? []).find((one) => one.id === state.model) ?? null;
    }

    /** Load the recorded network. */
    async function begin() {
      recording = /** @type {Recording} */ (await recorded("pictures"));
      samples = recording.pictures.map(({ picture: packed, target }) => ({ picture: unpackedRows(packed, SIDE), target }));
      show();
      if (context.isExported) trainer.close();
      else look();
    }

    /** Whether the recorded network is shown: until the reader has trained another one. */
    function isRecorded() {
      return model() === null;
    }

    /**
     * The recorded network's output for the picture, as the service answers it.
     * @param {Recording} own
     * @returns {Decoded}
     */
    function recordedAnswer({ written, patches: packedPatches }) {
      const output = written[chosen];
      const across = samples[chosen].picture.length;
      const perHead = (/** @type {string} */ packed, /** @type {number} */ rows) => {
        const all = unpackedRows(packed, across);
        return Array.from({ length: HEADS }, (_, head) => all.slice(head * rows, (head + 1) * rows));
      };
      return {
        source: Array.from({ length: across }, (_, place) => place),
        tokens: output.tokens.map((text, i) => ({ text, probability: output.probabilities[i] })),
        attention: [perHead(output.weights, output.tokens.length)],
        source_attention: [perHead(packedPatches[chosen], across)],
      };
    }

    async function look() {
      await looking.ask(async (signal) => {
        const now = /** @type {Lab} */ (await api.get("/v1/lab", signal));
        kept = now;
        trainer.follow(now);
        show();
        decode();
      });
    }

    async function decode() {
      const one = model();
      if (!one) return decoding.end();
      await decoding.ask(async (signal) => {
        const decoded = await api.post("/v1/lab/decode", { model: one.id, picture: shown() }, signal).catch((failure) => {
          if (failure.status !== 422) throw failure;
          put(unread, failure.detail);
        });
        if (!decoded) return;
        answer = decoded;
        put(unread, "");
        show();
      });
    }

    function show() {
      seconds.show(state);
      draw.checked = isDrawing;
      if (!recording) return;
      const isOld = isRecorded();
      const one = model();
      recordedBack.hidden = isOld;
      if (isOld) answer = recordedAnswer(recording);
      drawn.hidden = isOld;
      const tested = isOld ? null : run(NAME)?.tested;
      const right = isOld ? recording.accuracy : (tested?.accuracy ?? one?.accuracy);
      if (tested && tested.step < FEW_STEPS) put(accuracy, say("lab.few", { steps: tested.step }));
      else put(accuracy, right === undefined ? "" : `${percent(right)} ${say("accuracy")}`);
      const examples = exampleList(isOld);
      const example = examples.find((each) => JSON.stringify(each.picture) === JSON.stringify(shown()));
      put(truth, example?.target ? say("truth", { target: example.target }) : "");
      if (answer) attended(answer);
    }

    /**
     * Put pictures to choose on the shelf, and return them.
     * @param {boolean} isOld
     * @returns {Sample[]}
     */
    function exampleList(isOld) {
      const own = run(NAME)?.trained;
      const examples = isOld ? samples : (own?.examples.slice(0, HELD_SHOWN) ?? samples);
      const shelfOf = isOld ? "recorded" : (own?.id ?? "");
      if (shelf.dataset.of === shelfOf) return examples;
      shelf.dataset.of = shelfOf;
      const choose = (/** @type {Sample} */ example, /** @type {number} */ i) => {
        isDrawing = false;
        if (isOld) chosen = i;
        set(isOld ? { word: 0, to: -1 } : { picture: example.picture, word: 0, to: -1 });
        show();
      };
      fill(
        shelf,
        examples.map((example, i) => {
          const name = say("example", { target: example.target || String(i + 1) });
          const onclick = () => choose(example, i);
          return h("button.example", { type: "button", "aria-label": name, title: example.target, onclick }, painted(example.picture));
        }),
      );
      return examples;
    }

    /** Show the patches that the chosen word rests on, or that the chosen patch looks at. @param {Decoded} decoded */
    function attended({ source, tokens, attention, source_attention: within }) {
      const every = attention[attention.length - 1];
      const head = state.head >= 0 && state.head < HEADS ? Math.round(state.head) : -1;
      heads.value = String(head);
      const word = Math.min(tokens.length - 1, Math.max(0, Math.round(state.word)));
      const to = state.to >= 0 && state.to < source.length ? Math.round(state.to) : -1;
      const weights = to >= 0 ? rowOf(within[within.length - 1], head, to) : rowOf(every, head, word);
      picture.show(shown(), weights, to, isDrawing);
      const texts = tokens.map(({ text }) => text).join(" ");
      if (caption.dataset.text !== texts) {
        caption.dataset.text = texts;
        fill(
          caption,
          tokens.map(({ text }, i) => h("button.word-of", { type: "button", onclick: () => set({ word: i, to: -1 }) }, named(say, text))),
        );
      }
      for (const [i, button] of [...caption.children].entries()) button.setAttribute("aria-pressed", String(to < 0 && i === word));
      const { text, probability } = tokens[word];
      fill(sentence, to >= 0 ? say.rich("of.patch", { patch: to + 1 }) : say.rich("of.word", { word: named(say, text), probability: percent(probability) }));
    }

    begin();
    return {
      update(now, changed) {
        state = now;
        guess.show();
        show();
        if (changed.has("picture") || changed.has("model")) decode();
      },
      again: look,
    };
  },
};

/**
 * One row of one head, or of the mean of all of them.
 * @param {number[][][]} heads
 * @param {number} head
 * @param {number} row
 */
function rowOf(heads, head, row) {
  if (head >= 0) return heads[head][row];
  return heads[0][row].map((_, j) => heads.reduce((sum, one) => sum + one[row][j], 0) / heads.length);
}
