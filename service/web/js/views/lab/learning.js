/**
 * Three networks of the same size learn one task, and what one of them wrote is laid over what it read. A recorded
 * training is there from the beginning; a training of one's own takes its place.
 */

import { fill, h, put } from "../../element.js";
import { count, fixed, percent } from "../../numbers.js";
import { recorded } from "../../recorded.js";
import { rich, say } from "../../words.js";
import { copyAsCurl } from "../copying.js";
import { latest } from "../latest.js";
import { alignment } from "./alignment.js";
import { curves } from "./curves.js";
import { budget, desk, secondsChoice } from "./desk.js";
import { outcome, TRAINED_LENGTH } from "./outcome.js";
import { player, playsAlone } from "./player.js";
import { decodedAt, FEW_STEPS, runAt, wholeSeconds } from "./runs.js";
import { busy, run } from "./session.js";

/** A task, and sources to begin with. @type {Record<string, string[]>} */
const TASKS = {
  dates: ["March 14, 2015", "14/7/2014", "3 March 2014", "2001 Sep 9"],
  numbers: ["three hundred two", "ninety nine", "four thousand seventy one"],
  translation: ["the dog does not see the old red car", "the old red car", "my star loves a white book"],
  copy: ["abcab", "jihgf", "abcdefghijab"],
  reverse: ["badge", "abcdefgh", "abcdefghijab"],
};
const NETWORKS = ["transformer", "gru", "lstm"];
/** The tasks of which a training was recorded. */
const RECORDED = ["dates", "translation", "reverse"];
/** What the name of a recorded model begins with. */
const OLD = "recorded:";
const TYPING_MS = 350;

/** @typedef {import("./runs.js").Recorded & {written: import("./runs.js").Written[][]}} RecordedRun what it wrote of each source at each moment */
/** @typedef {{sources: {text: string, tokens: string[]}[], runs: Record<string, RecordedRun>}} Recording of a task, its runs by their models */

/** @param {Page.Context} context */
export function learning(context) {
  const { store, api } = context;
  /** @type {?Page.Lab} */
  let lab = null;
  let waiting = 0;
  /** The recorded training of the task, once it is there; null where none was recorded. @type {?Recording} */
  let recording = null;
  /** Whether a training of one's own is what is shown. */
  let isOwn = namesOwn(store.state) || busy() !== null;
  let moment = 0;
  let hasPlayed = false;
  const task = h(
    "select",
    { id: "task", onchange: () => store.set({ task: task.value, text: TASKS[task.value][0], model: "" }) },
    Object.keys(TASKS).map((name) => h("option", { value: name }, say(`lab.task.${name}`))),
  );
  const seconds = secondsChoice(store, "lab.seconds");
  const aligned = h("input", { type: "checkbox", id: "aligned", onchange: () => store.set({ aligned: aligned.checked }) });
  const trainer = desk(context, {
    buttons: [
      ...NETWORKS.map((name) => ({ id: `train-${name}`, text: say("lab.train", { model: say(`lab.${name}`) }), plan: () => [plan(name)] })),
      { id: "train-all", text: say("lab.train.all"), plan: () => NETWORKS.map(plan) },
    ],
    heard: () => {
      isOwn ||= busy() !== null;
      moments.stop();
      show();
    },
    trained: async ({ id }, { model: kind }, isOfSeveral) => {
      await look();
      if (!isOfSeveral || kind === "transformer" || store.state.aligned) store.set({ model: id });
    },
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
      store.set({ model: "" });
      show();
    },
  );
  const chart = curves();
  const legend = h("p.small.legend-of", {});
  const sums = outcome();
  const note = h("p.small.soft", {});
  const chosen = h("select", { id: "model", onchange: () => store.set({ model: chosen.value }) });
  const source = h("input.question.of-key", {
    id: "source-text",
    type: "text",
    maxLength: 200,
    autocomplete: "off",
    spellcheck: false,
    dir: "auto",
    oninput: () => store.set({ text: source.value }),
  });
  const typed = h("p.small.soft", {}, say("lab.recorded.source"));
  const examples = h("div.examples", { role: "group", "aria-label": say("lab.examples") });
  const unread = h("p.unread", { role: "status" });
  const written = h("p.written-out", { id: "written", role: "status" });
  const matrix = alignment();
  const field = h("div", {}, h("label.key", { for: "source-text" }, say("lab.source")), source);
  const asked = h(
    "div.labelled",
    { id: "asked" },
    h("div.pair", {}, h("div", {}, h("label", { for: "model" }, say("lab.model")), chosen), field),
    typed,
    examples,
    unread,
    written,
    matrix.element,
  );
  const none = h("p.hint", { id: "none-yet" }, say("lab.none"));
  const element = h(
    "div.lookup.lab",
    {},
    h(
      "section.left",
      {},
      context.story,
      h("div.pair", {}, h("div", {}, h("label", { for: "task" }, say("lab.task")), task), seconds.element),
      h("p", {}, aligned, h("label", { for: "aligned" }, ` ${say("lab.aligned")}`)),
      trainer.element,
      h("p.small.soft", {}, rich("lab.fair")),
    ),
    h(
      "section.right",
      {},
      h("h2", {}, say("lab.alignment")),
      moments.element,
      none,
      asked,
      h("p.small", {}, rich("lab.alignment.how")),
      h(
        "div.under",
        {},
        h("span.small.soft", {}, rich("lab.alignment.caution")),
        copyAsCurl(context, () => {
          const one = model();
          return one
            ? { method: "POST", path: "/v1/lab/decode", body: { model: one.id, source: store.state.text } }
            : { method: "POST", path: "/v1/lab/train", body: plan("transformer").body };
        }),
      ),
    ),
    h(
      "section.below",
      {},
      h("div.compared", {}, h("div.labelled", {}, h("h2", {}, say("lab.curves")), legend, chart.element), h("div.labelled", {}, sums.element, note)),
    ),
  );

  const [looking, decoding] = [latest(context), latest(context, element)];

  /** @param {string} network */
  function plan(network) {
    const model = network === "transformer" || !store.state.aligned ? network : `${network}_attention`;
    const { task: name } = stateOf(store.state);
    return { name: `${name} ${network}`, shown: say(`lab.${model}`), body: { task: name, model, ...budget(store.state) } };
  }

  /** What the lab keeps. */
  async function look() {
    await record();
    if (context.exported) {
      trainer.close();
      show();
      return;
    }
    await looking.ask(async (signal) => {
      const now = /** @type {Page.Lab} */ (await api.get("/v1/lab", signal));
      lab = now;
      trainer.follow(now);
      show();
      decode();
    });
  }

  /** The recorded training of the task that is chosen; where a reader may see it, it begins to play. */
  async function record() {
    const { task: name } = stateOf(store.state);
    const found = RECORDED.includes(name) ? await recorded(name) : null;
    if (name !== stateOf(store.state).task) return;
    recording = found;
    hasPlayed = false;
    begin();
    show();
  }

  /** Play once, when the scene is no longer covered; where a moment was chosen, show that. */
  function begin() {
    if (!recording) return;
    const last = recording.runs.transformer.moments.length - 1;
    moment = store.state.moment >= 0 ? Math.min(last, store.state.moment) : last;
    if (!store.state.revealed || hasPlayed || isOwn) return;
    hasPlayed = true;
    if (store.state.moment < 0 && playsAlone()) moments.play();
  }

  /** Whether the recorded training is what is shown. */
  function isRecorded() {
    return recording !== null && !isOwn;
  }

  /** The network whose alignment of the recorded training is shown. @param {Recording} own */
  function recordedModel({ runs }) {
    const asked = store.state.model.slice(OLD.length);
    return asked in runs ? asked : "transformer";
  }

  /** The model that is asked: the chosen one, else the last of this task. */
  function model() {
    const known = (lab?.models ?? []).filter((one) => one.task === stateOf(store.state).task);
    return known.find((one) => one.id === store.state.model) ?? known[0] ?? null;
  }

  async function decode() {
    const one = model();
    if (isRecorded() || !one || !store.state.text.trim()) return decoding.end();
    await decoding.ask(
      async (signal) => {
        const answer = await api.post("/v1/lab/decode", { model: one.id, source: store.state.text }, signal);
        put(unread, "");
        draw(one, answer);
      },
      (refused) => refused.status === 422 && (put(unread, refused.detail), true),
    );
  }

  /** @param {{model: string}} one @param {ReturnType<typeof decodedAt>} decoded */
  function draw(one, { text, source: tokens, tokens: said, attention }) {
    const least = Math.min(...said.map((token) => token.probability));
    fill(written, rich(attention.length ? "lab.written" : "lab.written.none", { model: say(`lab.${one.model}`), text, probability: percent(least) }));
    written.dataset.text = text;
    matrix.element.hidden = !attention.length;
    if (attention.length) matrix.show({ source: tokens, tokens: said, weights: attention[attention.length - 1][0] });
  }

  function show() {
    const state = stateOf(store.state);
    const old = isRecorded() ? recording : null;
    task.value = state.task;
    seconds.show(state);
    aligned.checked = state.aligned;
    const networks = old
      ? recordedNetworks(old, state)
      : NETWORKS.flatMap((kind) => {
          const told = run(`${state.task} ${kind}`);
          return told ? [{ kind, name: say(`lab.${told.body.model}`), run: told }] : [];
        });
    fill(
      legend,
      (networks.length ? networks : NETWORKS.map((kind) => ({ kind, name: say(`lab.${kind}`), run: null }))).map(({ kind, name, run: told }) => {
        const last = told?.steps.at(-1);
        return h("span", {}, h(`span.stroke.${kind}`, { "aria-hidden": "true" }), last ? `${name} ${fixed(last.loss, 3)}` : name);
      }),
    );
    chart.draw(
      networks.map(({ kind, name, run: told }) => ({
        kind,
        name,
        points: told.steps.map((step) => /** @type {[number, number]} */ ([step.seconds, step.loss])),
      })),
      old ? wholeSeconds(recordedSeconds(old, state)) : budget(state).seconds,
    );
    sums.show(networks, state.task);
    put(note, noteOn(networks, state, old !== null));
    moments.element.hidden = !recording;
    if (recording)
      moments.show(
        recording.runs.transformer.moments.map(([step]) => step),
        moment,
        old !== null,
      );
    const one = model();
    const known = (lab?.models ?? []).filter((each) => each.task === state.task);
    const recordedModels = recording
      ? Object.keys(recording.runs).map((name) => h("option", { value: `${OLD}${name}` }, say("lab.recorded.model", { model: say(`lab.${name}`) })))
      : [];
    fill(
      chosen,
      recordedModels,
      known.map((each) => h("option", { value: each.id }, `${say(`lab.${each.model}`)} · ${percent(each.accuracy)} · ${each.seconds} s · ${each.id}`)),
    );
    if (old) chosen.value = `${OLD}${recordedModel(old)}`;
    else if (one) chosen.value = one.id;
    asked.hidden = !one && !old;
    none.hidden = !asked.hidden;
    field.hidden = old !== null;
    typed.hidden = !old;
    if (document.activeElement !== source) source.value = state.text;
    const tried = NETWORKS.map((kind) => run(`${state.task} ${kind}`)?.trained).find((told) => told && told.id === one?.id);
    const texts = old ? old.sources.map(({ text }) => text) : tried ? tried.examples.map((each) => each.source).slice(0, 6) : TASKS[state.task];
    fill(
      examples,
      texts.map((text) => h("button", { type: "button", onclick: () => store.set({ text }) }, h("bdi", {}, text))),
    );
    if (old) drawRecorded(old, state);
    if (lab || old) context.told({ state: store.state, lab, networks });
  }

  /** @param {Recording} own @param {Page.State} state */
  function drawRecorded(own, { text }) {
    const at = Math.max(
      0,
      own.sources.findIndex((each) => each.text === text),
    );
    const name = recordedModel(own);
    put(unread, "");
    draw({ model: name }, decodedAt(own.runs[name].written[at][moment], own.sources[at].tokens));
  }

  /** @param {Recording} own @param {Page.State} state */
  function recordedNetworks({ runs }, { aligned: isAligned }) {
    return NETWORKS.map((kind) => {
      const name = kind === "transformer" || !isAligned ? kind : `${kind}_attention`;
      return { kind, name: say(`lab.${name}`), run: runAt(runs[name], name, moment) };
    });
  }

  /** @param {Recording} own @param {Page.State} state */
  function recordedSeconds(own, state) {
    return Math.max(...recordedNetworks(own, state).flatMap(({ run: { body } }) => own.runs[body.model].moments.slice(-1).map(([, seconds]) => seconds)));
  }

  /**
   * What the figures mean; or that there were too few steps for them to mean anything.
   *
   * @param {Page.Network[]} networks @param {Page.State} state @param {boolean} isOld whether they are recorded
   */
  function noteOn(networks, state, isOld) {
    const fewest = Math.min(...networks.flatMap(({ run: { tested } }) => (tested ? [tested.step] : [])));
    if (!isOld && fewest < FEW_STEPS) return say("lab.few", { steps: count(fewest) });
    if (!networks.some((one) => one.run.tested)) return "";
    return say(TRAINED_LENGTH[state.task] < Infinity ? `lab.beyond.${state.task === "numbers" ? "numbers" : "letters"}` : "lab.unseen");
  }

  /** @param {Page.State} _ @param {Set<string>} changed */
  function update(_, changed) {
    clearTimeout(waiting);
    if (changed.has("model")) isOwn = namesOwn(store.state);
    if (changed.has("revealed")) begin();
    show();
    if (changed.has("task")) {
      isOwn = Boolean(run(`${stateOf(store.state).task} transformer`));
      moments.stop();
      record().then(decode);
    } else if (changed.has("model")) decode();
    else if (changed.has("text")) waiting = setTimeout(decode, TYPING_MS);
  }

  look();
  show();
  return { element, update, leave: () => (looking.end(), decoding.end(), clearTimeout(waiting), moments.stop(), trainer.leave(), chart.leave()) };
}

/** Whether the model that is asked is one that the service keeps. @param {Page.State} state */
function namesOwn({ model }) {
  return model !== "" && !model.startsWith(OLD);
}

/** The state, of a task that there is. @param {Page.State} state */
function stateOf(state) {
  return { ...state, task: state.task in TASKS ? state.task : "dates" };
}
