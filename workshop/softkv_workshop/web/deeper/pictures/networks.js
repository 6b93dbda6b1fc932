/**
 * Three networks of the same size learn one task, and what one of them wrote is laid over what it read. A recorded
 * training is there from the beginning; a training of the reader's takes its place.
 */

import { fill, h, put } from "../../../../../service/softkv_service/web/shared/element.js";
import { count, fixed, percent } from "../../../../../service/softkv_service/web/shared/numbers.js";
import { recorded } from "../../shared/recorded.js";
import { hood, prediction, screen } from "../../story/parts.js";
import { alignment } from "../lab/alignment.js";
import { curves } from "../lab/curves.js";
import { budget, desk, secondsChoice } from "../lab/desk.js";
import lab from "../lab/lab.json";
import { outcome, TRAINED_LENGTH } from "../lab/outcome.js";
import { player, playsAlone } from "../lab/player.js";
import { decodedAt, FEW_STEPS, runAt, wholeSeconds } from "../lab/runs.js";
import { busy, run } from "../lab/session.js";
import { latest } from "../parts.js";
import words from "./networks.json";

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
/** The beginning of the name of a recorded model. */
const OLD = "recorded:";
const TYPING_MS = 350;

/** @typedef {import("../lab/session.js").Lab} Lab */
/** @typedef {import("../lab/session.js").Network} Network */
/** @typedef {import("../lab/runs.js").Recorded & {written: import("../lab/runs.js").Written[][]}} RecordedRun its output for each source at each moment */
/**
 * @typedef {object} Recording of a task, its runs by their models
 * @property {{text: string, tokens: string[]}[]} sources
 * @property {Record<string, RecordedRun>} runs
 */
/**
 * @typedef {object} State `moment` is −1 until a reader chooses one
 * @property {string} task
 * @property {string} text
 * @property {string} model
 * @property {boolean} aligned
 * @property {number} moment
 * @property {number} seconds
 * @property {number} steps
 * @property {string} g
 */

/** @type {import("../parts.js").Picture} */
export const networks = {
  id: "networks",
  of: "it-learns",
  sketch: "M10 4v60h104M12 10c14 40 40 48 100 50M12 10c22 26 50 32 100 36M12 10c30 14 60 20 100 22",
  words: { en: { ...lab.en, ...words.en }, zh: { ...lab.zh, ...words.zh } },
  defaults: { task: "dates", text: TASKS.dates[0], model: "", aligned: false, moment: -1, seconds: 30, steps: 0, g: "" },

  mount(host, context) {
    const { say, api, set } = context;
    let state = stateOf(context.state);
    /** @type {?Lab} */
    let answer = null;
    let waiting = 0;
    /** The recorded training of the task; null until it has loaded, and if none was recorded. @type {?Recording} */
    let recording = null;
    /** Whether a training of the reader's is shown. */
    let isOwn = namesOwn(state) || busy() !== null;
    let moment = 0;
    let hasPlayed = false;
    const task = /** @type {HTMLSelectElement} */ (
      h(
        "select",
        { id: "task", onchange: () => set({ task: task.value, text: TASKS[task.value][0], model: "" }) },
        Object.keys(TASKS).map((name) => h("option", { value: name }, say(`lab.task.${name}`))),
      )
    );
    const seconds = secondsChoice(context);
    const aligned = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", id: "aligned", onchange: () => set({ aligned: aligned.checked }) }));
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
        if (!isOfSeveral || kind === "transformer" || state.aligned) set({ model: id });
      },
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
        set({ model: "" });
        show();
      },
    );
    const chart = curves(say);
    const legend = h("p.small.legend-of", {});
    const sums = outcome(say);
    const note = h("p.small.soft", {});
    const chosen = /** @type {HTMLSelectElement} */ (h("select", { id: "model", onchange: () => set({ model: chosen.value }) }));
    const source = /** @type {HTMLInputElement} */ (
      h("input.question.of-key", {
        id: "source-text",
        type: "text",
        maxLength: 200,
        autocomplete: "off",
        spellcheck: false,
        dir: "auto",
        oninput: () => set({ text: source.value }),
      })
    );
    const typed = h("p.small.soft", {}, say("lab.recorded.source"));
    const examples = h("div.examples", { role: "group", "aria-label": say("lab.examples") });
    const unread = h("p.unread", { role: "status" });
    const written = h("p.written-out", { id: "written", role: "status" });
    const matrix = alignment(say);
    const field = h("div", {}, h("label.key", { for: "source-text" }, say("lab.source")), source);
    const models = h("div", {}, h("label", { for: "model" }, say("lab.model")), " ", chosen);
    const output = h("div.labelled", { id: "output" }, models, field, typed, examples, unread, written, matrix.element);
    const none = h("p.hint", { id: "none-yet" }, say("lab.none"));
    const guess = prediction(context, {
      question: say("predict"),
      choices: ["transformer", "attention", "plain", "all"].map((name) => ({ label: say(`predict.${name}`), isRight: name === "plain" })),
      why: () => say("predict.why"),
      reveal: () => {},
    });
    const learned = h("div.labelled", {}, h("h3", {}, say("lab.curves")), legend, chart.element, sums.element, note);
    host.append(
      screen({
        title: say("title"),
        sentence: say("sentence"),
        picture: h("div.lab.two", {}, h("div.labelled", {}, h("h3", {}, say("lab.alignment")), moments.element, none, output), learned),
        below: [
          guess.element,
          h("label.many", {}, say("lab.task"), " ", task),
          seconds.element,
          h("p", {}, aligned, h("label", { for: "aligned" }, ` ${say("lab.aligned")}`)),
          trainer.element,
        ],
        hood: hood(say, h("p", {}, ...say.rich("lab.alignment.how")), h("p", {}, ...say.rich("lab.alignment.caution")), h("p", {}, ...say.rich("lab.fair"))),
      }),
    );
    const [looking, decoding] = [latest(context), latest(context, output)];

    /** @param {string} network */
    function plan(network) {
      const model = network === "transformer" || !state.aligned ? network : `${network}_attention`;
      return { name: `${state.task} ${network}`, shown: say(`lab.${model}`), body: { task: state.task, model, ...budget(state) } };
    }

    /** See what the lab keeps. */
    async function look() {
      await record();
      if (context.isExported) {
        trainer.close();
        return show();
      }
      await looking.ask(async (signal) => {
        const now = /** @type {Lab} */ (await api.get("/v1/lab", signal));
        answer = now;
        trainer.follow(now);
        show();
        decode();
      });
    }

    /** Load the recorded training of the task, and play it. */
    async function record() {
      const { task: name } = state;
      const content = RECORDED.includes(name) ? await recorded(name) : null;
      if (name !== state.task) return;
      recording = content;
      hasPlayed = false;
      begin();
      show();
    }

    /** Play once; if a moment was chosen, show that. */
    function begin() {
      if (!recording) return;
      const last = recording.runs.transformer.moments.length - 1;
      moment = state.moment >= 0 ? Math.min(last, state.moment) : last;
      if (hasPlayed || isOwn) return;
      hasPlayed = true;
      if (state.moment < 0 && playsAlone()) moments.play();
    }

    function isRecorded() {
      return recording !== null && !isOwn;
    }

    /** The network whose alignment in the recorded training is shown. @param {Recording} own */
    function recordedModel({ runs }) {
      const name = state.model.slice(OLD.length);
      return name in runs ? name : "transformer";
    }

    /** The models of this task that the lab keeps. */
    function kept() {
      return (answer?.models ?? []).filter((one) => one.task === state.task);
    }

    /** The chosen model, else the last of this task. */
    function model() {
      return kept().find((one) => one.id === state.model) ?? kept()[0] ?? null;
    }

    async function decode() {
      const one = model();
      if (isRecorded() || !one || !state.text.trim()) return decoding.end();
      await decoding.ask(async (signal) => {
        const decoded = await api.post("/v1/lab/decode", { model: one.id, source: state.text }, signal).catch((failure) => {
          if (failure.status !== 422) throw failure;
          put(unread, failure.detail);
        });
        if (!decoded) return;
        put(unread, "");
        draw(one, decoded);
      });
    }

    /**
     * @param {{model: string}} one
     * @param {ReturnType<typeof decodedAt>} decoded
     */
    function draw(one, { text, source: tokens, tokens: output, attention }) {
      const least = Math.min(...output.map((token) => token.probability));
      const name = attention.length ? "lab.written" : "lab.written.none";
      fill(written, say.rich(name, { model: say(`lab.${one.model}`), text, probability: percent(least) }));
      written.dataset.text = text;
      matrix.element.hidden = !attention.length;
      if (attention.length) matrix.show({ source: tokens, tokens: output, weights: attention[attention.length - 1][0] });
    }

    function show() {
      const old = isRecorded() ? recording : null;
      task.value = state.task;
      seconds.show(state);
      aligned.checked = state.aligned;
      const shown = old ? recordedNetworks(old) : trainedNetworks();
      fill(
        legend,
        shown.length
          ? shown.map(({ kind, name, run: one }) => stroke(kind, name, one.steps.at(-1)?.loss))
          : NETWORKS.map((kind) => stroke(kind, say(`lab.${kind}`))),
      );
      chart.draw(
        shown.map(({ kind, name, run: one }) => ({ kind, name, points: one.steps.map((step) => [step.seconds, step.loss]) })),
        old ? wholeSeconds(recordedSeconds(old)) : budget(state).seconds,
      );
      sums.show(shown, state.task);
      put(note, noteOn(shown, old !== null));
      moments.element.hidden = !recording;
      if (recording) moments.show(stepsOf(recording), moment, old !== null);
      const one = model();
      const options = Object.keys(recording?.runs ?? {}).map((name) => [`${OLD}${name}`, say("lab.recorded.model", { model: say(`lab.${name}`) })]);
      const own = kept().map(({ id, model: kind, accuracy, seconds: took }) => [id, `${say(`lab.${kind}`)} · ${percent(accuracy)} · ${took} s · ${id}`]);
      fill(
        chosen,
        [...options, ...own].map(([value, text]) => h("option", { value }, text)),
      );
      if (old) chosen.value = `${OLD}${recordedModel(old)}`;
      else if (one) chosen.value = one.id;
      output.hidden = !one && !old;
      none.hidden = !output.hidden;
      field.hidden = old !== null;
      typed.hidden = !old;
      if (document.activeElement !== source) source.value = state.text;
      fill(
        examples,
        sourcesOf(old, one?.id).map((text) => h("button", { type: "button", onclick: () => set({ text }) }, h("bdi", {}, text))),
      );
      if (old) drawRecorded(old);
    }

    /**
     * Sources to try: those of the recording, or those that the network never saw.
     * @param {?Recording} old
     * @param {string | undefined} id
     */
    function sourcesOf(old, id) {
      if (old) return old.sources.map(({ text }) => text);
      const trained = NETWORKS.map((kind) => run(`${state.task} ${kind}`)?.trained).find((one) => one && one.id === id);
      return trained ? trained.examples.map((example) => example.source).slice(0, 6) : TASKS[state.task];
    }

    /** @param {Recording} own */
    function drawRecorded(own) {
      const place = Math.max(
        0,
        own.sources.findIndex(({ text }) => text === state.text),
      );
      const name = recordedModel(own);
      put(unread, "");
      draw({ model: name }, decodedAt(own.runs[name].written[place][moment], own.sources[place].tokens));
    }

    /**
     * @param {Recording} own
     * @returns {Network[]}
     */
    function recordedNetworks({ runs }) {
      return NETWORKS.map((kind) => {
        const name = kind === "transformer" || !state.aligned ? kind : `${kind}_attention`;
        return { kind, name: say(`lab.${name}`), run: runAt(runs[name], name, moment) };
      });
    }

    /** @returns {Network[]} */
    function trainedNetworks() {
      return NETWORKS.flatMap((kind) => {
        const one = run(`${state.task} ${kind}`);
        return one ? [{ kind, name: say(`lab.${one.body.model}`), run: one }] : [];
      });
    }

    /** The seconds of the longest recorded training. @param {Recording} own */
    function recordedSeconds(own) {
      return Math.max(...recordedNetworks(own).flatMap(({ run: { body } }) => own.runs[body.model ?? ""].moments.slice(-1).map(([, took]) => took)));
    }

    /**
     * Explain the figures, or say that there were too few steps to judge.
     * @param {Network[]} shown
     * @param {boolean} isOld
     */
    function noteOn(shown, isOld) {
      const fewest = Math.min(...shown.flatMap(({ run: { tested } }) => (tested ? [tested.step] : [])));
      if (!isOld && fewest < FEW_STEPS) return say("lab.few", { steps: count(fewest) });
      if (!shown.some((one) => one.run.tested)) return "";
      return say(TRAINED_LENGTH[state.task] < Infinity ? `lab.beyond.${state.task === "numbers" ? "numbers" : "letters"}` : "lab.unseen");
    }

    look();
    show();
    return {
      update(now, changed) {
        state = stateOf(now);
        guess.show();
        clearTimeout(waiting);
        if (changed.has("model")) isOwn = namesOwn(state);
        show();
        if (changed.has("task")) {
          isOwn = Boolean(run(`${state.task} transformer`));
          moments.stop();
          record().then(decode);
        } else if (changed.has("model")) decode();
        else if (changed.has("text")) waiting = window.setTimeout(decode, TYPING_MS);
      },
      again: look,
      leave: () => (clearTimeout(waiting), moments.stop()),
    };
  },
};

/**
 * @param {string} kind
 * @param {string} name
 * @param {number} [loss]
 */
function stroke(kind, name, loss) {
  return h("span", {}, h(`span.stroke.${kind}`, { "aria-hidden": "true" }), loss === undefined ? name : `${name} ${fixed(loss, 3)}`);
}

/** The steps of the training at each moment. @param {Recording} recording */
function stepsOf({ runs }) {
  return runs.transformer.moments.map(([step]) => step);
}

/** Whether the model is one that the service keeps. @param {State} state */
function namesOwn({ model }) {
  return model !== "" && !model.startsWith(OLD);
}

/**
 * The state, of a task that exists.
 * @param {State} state
 * @returns {State}
 */
function stateOf(state) {
  return { ...state, task: state.task in TASKS ? state.task : "dates" };
}
