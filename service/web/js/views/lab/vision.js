/**
 * A picture told in words: each word lights the patches that it rests on, and each patch those that it looks at. A
 * recorded training is there from the beginning; one's own takes its place.
 */

import { fill, h, put } from "../../element.js";
import { count, fixed, percent } from "../../numbers.js";
import { recorded, unpackedRows } from "../../recorded.js";
import { rich, say } from "../../words.js";
import { copyAsCurl } from "../copying.js";
import { latest } from "../latest.js";
import { named } from "./alignment.js";
import { curves } from "./curves.js";
import { budget, desk, secondsChoice } from "./desk.js";
import { painted, patches, SAMPLES, SIDE } from "./patches.js";
import { player, playsAlone } from "./player.js";
import { FEW_STEPS, runAt, wholeSeconds } from "./runs.js";
import { busy, run } from "./session.js";

const NAME = "pictures";
const BLANK = Array.from({ length: SIDE }, () => Array(SIDE).fill(0));
const HELD_SHOWN = 12;

/** @typedef {import("./runs.js").Recorded & {heads: number, pictures: {picture: string, target: string}[], written: (Written & {weights: string})[][], patches: string[]}} Recording */
/** @typedef {import("./runs.js").Written} Written */
/** @typedef {{picture: number[][], target: string}} Sample */
/**
 * @typedef {object} Decoded what a network wrote of a picture
 * @property {unknown[]} source a patch each
 * @property {{text: string, probability: number}[]} tokens
 * @property {number[][][][]} attention layer → head → token → patch
 * @property {number[][][][]} source_attention layer → head → patch → patch
 */

/** @param {Page.Context} context */
export function vision(context) {
  const { store, api } = context;
  /** @type {?Page.Lab} */
  let lab = null;
  /** @type {?Decoded} */
  let answer = null;
  let isDrawing = false;
  /** @type {?Recording} */
  let recording = null;
  /** The recorded pictures, and which of them is shown. @type {Sample[]} */
  let samples = [];
  let chosen = 0;
  let isOwn = Boolean(store.state.model) || run(NAME) !== undefined;
  let moment = 0;
  let hasPlayed = false;
  const seconds = secondsChoice(store);
  const trainer = desk(context, {
    buttons: [{ id: "train-pictures", text: say("vision.train"), plan: () => [{ name: NAME, shown: say("vision.name"), body: body() }] }],
    heard: () => {
      isOwn ||= busy() !== null;
      moments.stop();
      show();
    },
    trained: async ({ id, examples }) => {
      await look();
      store.set({ model: id, picture: store.state.picture ?? examples[0].picture, word: 0, to: -1 });
    },
  });
  const moments = player(
    (now) => {
      moment = now;
      show();
    },
    (now) => {
      moment = now;
      store.set({ moment: now, to: -1 });
      show();
    },
    () => {
      isOwn = false;
      isDrawing = false;
      store.set({ model: "", picture: null, word: 0, to: -1 });
      show();
    },
  );
  const chart = curves();
  const sums = h("p.small.number", { id: "vision-sums" });
  const accuracy = h("p.small", { id: "vision-accuracy" });
  const shelf = h("div.shelf", { role: "group", "aria-label": say("vision.unseen") });
  const draw = h("input", { type: "checkbox", id: "drawing", onchange: () => ((isDrawing = draw.checked), show()) });
  const blank = h(
    "button",
    {
      type: "button",
      id: "blank",
      onclick: () => {
        isDrawing = true;
        store.set({ picture: BLANK, to: -1 });
        show();
      },
    },
    say("vision.blank"),
  );
  const picture = patches({
    patch: (to) => {
      if (recording && isRecorded()) {
        moments.stop();
        moment = recording.moments.length - 1;
      }
      store.set({ to: store.state.to === to ? -1 : to });
      show();
    },
    pixel: turn,
  });
  const caption = h("div.caption", { id: "caption", role: "group", "aria-label": say("vision.caption") });
  const heads = h("select", { id: "head-of", onchange: () => store.set({ head: Number(heads.value) }) });
  const said = h("p.small.alignment-said", { id: "vision-said", role: "status" });
  const truth = h("p.small.soft", { id: "truth" });
  const unread = h("p.unread", { role: "status" });
  const none = h("p.hint", {}, say("vision.none"));
  const drawn = h("p", {}, draw, h("label", { for: "drawing" }, ` ${say("vision.draw")}`), " ", blank);
  const looked = h(
    "div.seen",
    {},
    h("div.labelled", {}, h("h2", {}, say("vision.picture")), picture.element, drawn),
    h(
      "div.labelled",
      {},
      h("h2", {}, say("vision.caption")),
      caption,
      said,
      truth,
      unread,
      h("div", {}, h("label", { for: "head-of" }, `${say("vision.head")} `), heads),
      h("h2", {}, say("vision.unseen")),
      shelf,
    ),
  );
  const element = h(
    "div.lookup.lab",
    {},
    h("section.left", {}, context.story, h("div.pair", {}, seconds.element), trainer.element, chart.element, sums, accuracy),
    h(
      "section.right",
      {},
      moments.element,
      none,
      looked,
      h("p.small.soft", {}, rich("vision.vit")),
      h(
        "div.under",
        {},
        h("span"),
        copyAsCurl(context, () => {
          const one = model();
          return one
            ? { method: "POST", path: "/v1/lab/decode", body: { model: one.id, picture: shown() } }
            : { method: "POST", path: "/v1/lab/train", body: body() };
        }),
      ),
    ),
  );

  const [looking, decoding] = [latest(context), latest(context, element)];

  function body() {
    return { task: "pictures", ...budget(store.state) };
  }

  /** @param {number} y @param {number} x */
  function turn(y, x) {
    store.set({ picture: shown().map((row, i) => (i === y ? row.map((ink, j) => (j === x ? (ink > 0.5 ? 0 : 1) : ink)) : row)), to: -1 });
  }

  function shown() {
    if (isRecorded()) return samples[chosen].picture;
    return store.state.picture ?? run(NAME)?.trained?.examples[0].picture ?? SAMPLES[0];
  }

  function model() {
    const known = (lab?.models ?? []).filter((one) => one.task === "pictures");
    return known.find((one) => one.id === store.state.model) ?? known[0] ?? null;
  }

  /** The recorded training, which plays once when the scene is no longer covered. */
  async function begin() {
    const found = /** @type {Recording} */ (await recorded("pictures"));
    recording = found;
    samples = found.pictures.map(({ picture: packed, target }) => ({ picture: unpackedRows(packed, SIDE), target }));
    const last = found.moments.length - 1;
    moment = store.state.moment >= 0 ? Math.min(last, store.state.moment) : last;
    play();
    show();
    if (context.exported) trainer.close();
    else look();
  }

  function play() {
    if (!isRecorded() || !store.state.revealed || hasPlayed) return;
    hasPlayed = true;
    if (store.state.moment < 0 && store.state.to < 0 && playsAlone()) moments.play();
  }

  function isRecorded() {
    return recording !== null && !isOwn;
  }

  /** What the recorded network wrote of the picture at the moment, as the service answers it. @param {Recording} own */
  function recordedAnswer({ written, patches: packedPatches, heads: many }) {
    const output = written[chosen][moment];
    const across = samples[chosen].picture.length;
    const perHead = (/** @type {string} */ packed, /** @type {number} */ rows) => {
      const all = unpackedRows(packed, across);
      return Array.from({ length: many }, (_, head) => all.slice(head * rows, (head + 1) * rows));
    };
    const places = Array.from({ length: across }, (_, at) => at);
    return {
      source: places,
      tokens: output.tokens.map((text, i) => ({ text, probability: output.probabilities[i] })),
      attention: [perHead(output.weights, output.tokens.length)],
      source_attention: [perHead(packedPatches[chosen], across)],
    };
  }

  async function look() {
    await looking.ask(async (signal) => {
      const now = /** @type {Page.Lab} */ (await api.get("/v1/lab", signal));
      lab = now;
      trainer.follow(now);
      show();
      decode();
    });
  }

  async function decode() {
    const one = model();
    if (isRecorded() || !one) return decoding.end();
    await decoding.ask(
      async (signal) => {
        answer = await api.post("/v1/lab/decode", { model: one.id, picture: shown() }, signal);
        put(unread, "");
        show();
      },
      (refused) => refused.status === 422 && (put(unread, refused.detail), true),
    );
  }

  function show() {
    const { state } = store;
    seconds.show(state);
    draw.checked = isDrawing;
    if (!recording) return;
    const isOld = isRecorded();
    const told = isOld ? runAt(recording, "transformer", moment) : run(NAME);
    const one = model();
    moments.show(
      recording.moments.map(([step]) => step),
      moment,
      isOld,
    );
    if (isOld) answer = recordedAnswer(recording);
    drawn.hidden = isOld;
    const last = told?.steps.at(-1);
    chart.draw(
      [{ kind: "transformer", name: say("lab.transformer"), points: (told?.steps ?? []).map((step) => [step.seconds, step.loss]) }],
      isOld ? wholeSeconds(recording.moments[recording.moments.length - 1][1]) : budget(state).seconds,
    );
    put(
      sums,
      last && told?.begun
        ? `${say("lab.column.loss")} ${fixed(last.loss, 3)} · ${fixed(last.step_ms, 1)} ${say("lab.column.step_ms")} · ${count(told.begun.parameters)} ${say("lab.column.parameters")}`
        : "",
    );
    const share = told?.tested?.accuracy ?? one?.accuracy;
    const few = !isOld && told?.tested && told.tested.step < FEW_STEPS ? told.tested.step : null;
    put(accuracy, few !== null ? say("lab.few", { steps: count(few) }) : share === undefined ? "" : `${percent(share)} ${say("vision.accuracy")}`);
    looked.hidden = !one && !isOld;
    none.hidden = !looked.hidden;
    const own = run(NAME)?.trained;
    const examples = isOld ? samples : (own?.examples.slice(0, HELD_SHOWN) ?? SAMPLES.map((sample) => ({ picture: sample, target: "" })));
    const shelfOf = isOld ? "recorded" : (own?.id ?? "samples");
    if (shelf.dataset.of !== shelfOf) {
      shelf.dataset.of = shelfOf;
      fill(
        shelf,
        examples.map((example, i) =>
          h(
            "button.example",
            {
              type: "button",
              "aria-label": say("vision.example", { target: example.target || String(i + 1) }),
              title: example.target,
              onclick: () => {
                isDrawing = false;
                chosen = i;
                store.set(isOld ? { word: 0, to: -1 } : { picture: example.picture, word: 0, to: -1 });
                show();
              },
            },
            painted(example.picture),
          ),
        ),
      );
    }
    const known = examples.find((example) => JSON.stringify(example.picture) === JSON.stringify(shown()));
    put(truth, known?.target ? say("vision.truth", { target: known.target }) : "");
    if ((one || isOld) && answer) attended(state, answer);
    else picture.show(shown(), null, -1, isDrawing);
    if (lab || isOld) context.told({ state, lab });
  }

  /** The patches that the chosen word rests on, or that the chosen patch looks at. @param {Page.State} state @param {Decoded} decoded */
  function attended(state, { source, tokens, attention, source_attention: within }) {
    const every = attention[attention.length - 1];
    const head = state.head >= 0 && state.head < every.length ? Math.round(state.head) : -1;
    if (heads.options.length !== every.length + 1)
      fill(
        heads,
        h("option", { value: -1 }, say("vision.mean")),
        every.map((_, i) => h("option", { value: i }, String(i + 1))),
      );
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
        tokens.map(({ text }, i) => h("button.word-of", { type: "button", onclick: () => store.set({ word: i, to: -1 }) }, named(text))),
      );
    }
    [...caption.children].forEach((button, i) => button.setAttribute("aria-pressed", String(to < 0 && i === word)));
    const { text, probability } = tokens[word];
    fill(said, to >= 0 ? rich("vision.of.patch", { patch: to + 1 }) : rich("vision.of.word", { word: named(text), probability: percent(probability) }));
  }

  /** @param {Page.State} _ @param {Set<string>} changed */
  function update(_, changed) {
    if (changed.has("model")) isOwn = Boolean(store.state.model);
    if (changed.has("revealed")) play();
    show();
    if (changed.has("picture") || changed.has("model")) decode();
  }

  begin();
  return { element, update, leave: () => (moments.stop(), looking.end(), decoding.end(), trainer.leave(), chart.leave()) };
}

/** One row of one head, or of the mean of all of them. @param {number[][][]} heads @param {number} head @param {number} row */
function rowOf(heads, head, row) {
  if (head >= 0) return heads[head][row];
  return heads[0][row].map((_, j) => heads.reduce((sum, one) => sum + one[row][j], 0) / heads.length);
}
