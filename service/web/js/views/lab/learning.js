/** Three networks of the same size learn one task, and what one of them wrote is laid over what it read. */

import { fill, h, put } from "../../element.js";
import { fixed, percent } from "../../numbers.js";
import { rich, say } from "../../words.js";
import { copyAsCurl } from "../copying.js";
import { latest } from "../latest.js";
import { alignment } from "./alignment.js";
import { curves } from "./curves.js";
import { budget, desk, secondsChoice } from "./desk.js";
import { outcome, TRAINED_LENGTH } from "./outcome.js";
import { run } from "./session.js";

/** A task, and sources to begin with. */
const TASKS = {
  dates: ["3 March 2014", "March 3, 2014", "17/11/1986", "2001 Sep 9"],
  numbers: ["three hundred two", "ninety nine", "four thousand seventy one"],
  translation: ["the cat does not see the small red car", "the old red car", "my star loves a white bird"],
  copy: ["abcab", "jihgf", "abcdefghijab"],
  reverse: ["abcab", "jihgf", "abcdefghijab"],
};
const NETWORKS = ["transformer", "gru", "lstm"];
const TYPING_MS = 350;

/** @param {Page.Context} context */
export function learning(context) {
  const { store, api } = context;
  let lab = null;
  let waiting = 0;
  const task = h("select", { id: "task", onchange: () => store.set({ task: task.value, text: TASKS[task.value][0], model: "" }) }, Object.keys(TASKS).map((name) => h("option", { value: name }, say(`lab.task.${name}`))));
  const seconds = secondsChoice(store, "lab.seconds");
  const aligned = h("input", { type: "checkbox", id: "aligned", onchange: () => store.set({ aligned: aligned.checked }) });
  const trainer = desk(context, {
    buttons: [
      ...NETWORKS.map((name) => ({ id: `train-${name}`, text: say("lab.train", { model: say(`lab.${name}`) }), plan: () => [plan(name)] })),
      { id: "train-all", text: say("lab.train.all"), plan: () => NETWORKS.map(plan) },
    ],
    heard: () => show(),
    trained: async ({ trained: { id }, body: { model: kind } }, isOfSeveral) => {
      await look();
      if (!isOfSeveral || kind === "transformer" || store.state.aligned) store.set({ model: id });
    },
  });
  const chart = curves();
  const legend = h("p.small.legend-of", {});
  const sums = outcome();
  const note = h("p.small.soft", {});
  const chosen = h("select", { id: "model", onchange: () => store.set({ model: chosen.value }) });
  const source = h("input.question.of-key", { id: "source-text", type: "text", maxLength: 200, autocomplete: "off", spellcheck: false, dir: "auto", oninput: () => store.set({ text: source.value }) });
  const examples = h("div.examples", { role: "group", "aria-label": say("lab.examples") });
  const unread = h("p.unread", { role: "status" });
  const written = h("p.written-out", { id: "written", role: "status" });
  const matrix = alignment();
  const asked = h("div.labelled", { id: "asked" }, h("div.pair", {}, h("div", {}, h("label", { for: "model" }, say("lab.model")), chosen), h("div", {}, h("label.key", { for: "source-text" }, say("lab.source")), source)),
    examples, unread, written, matrix.element);
  const none = h("p.hint", { id: "none-yet" }, say("lab.none"));
  const element = h("div.lookup.lab", {},
    h("section.left", {}, context.story, h("div.pair", {}, h("div", {}, h("label", { for: "task" }, say("lab.task")), task), seconds.element),
      h("p", {}, aligned, h("label", { for: "aligned" }, ` ${say("lab.aligned")}`)), trainer.element, h("p.small.soft", {}, rich("lab.fair"))),
    h("section.right", {}, h("h2", {}, say("lab.curves")), legend, chart.element, sums.element, note),
    h("section.below", {}, h("div.labelled", {}, h("h2", {}, say("lab.alignment")), h("p.small", {}, rich("lab.alignment.how")), none, asked,
      h("div.under", {}, h("span.small.soft", {}, rich("lab.alignment.caution")), copyAsCurl(context, () => (store.state.model
        ? { method: "POST", path: "/v1/lab/decode", body: { model: store.state.model, source: store.state.text } }
        : { method: "POST", path: "/v1/lab/train", body: plan("transformer").body }))))));

  const [looking, decoding] = [latest(context), latest(context, element)];

  function plan(network) {
    const model = network === "transformer" || !store.state.aligned ? network : `${network}_attention`;
    const { task: name } = stateOf(store.state);
    return { name: `${name} ${network}`, shown: say(`lab.${model}`), body: { task: name, model, ...budget(store.state) } };
  }

  /** What the lab keeps. */
  async function look() {
    await looking.ask(async (signal) => {
      lab = await api.get("/v1/lab", signal);
      trainer.follow(lab);
      show();
      decode();
    });
  }

  /** The model that is asked: the chosen one, else the last of this task. */
  function model() {
    const known = (lab?.models ?? []).filter((one) => one.task === stateOf(store.state).task);
    return known.find((one) => one.id === store.state.model) ?? known[0] ?? null;
  }

  async function decode() {
    const one = model();
    if (!one || !store.state.text.trim()) return decoding.end();
    await decoding.ask(async (signal) => {
      const answer = await api.post("/v1/lab/decode", { model: one.id, source: store.state.text }, signal);
      put(unread, "");
      draw(one, answer);
    }, (refused) => refused.status === 422 && (put(unread, refused.detail), true));
  }

  function draw(one, { text, source: tokens, tokens: said, attention }) {
    const least = Math.min(...said.map((token) => token.probability));
    fill(written, rich(attention.length ? "lab.written" : "lab.written.none", { model: say(`lab.${one.model}`), text, probability: percent(least) }));
    written.dataset.text = text;
    matrix.element.hidden = !attention.length;
    if (attention.length) matrix.show({ source: tokens, tokens: said, weights: attention.at(-1)[0] });
  }

  function show() {
    const state = stateOf(store.state);
    task.value = state.task;
    seconds.show(state);
    aligned.checked = state.aligned;
    const networks = NETWORKS.flatMap((kind) => {
      const told = run(`${state.task} ${kind}`);
      return told ? [{ kind, name: say(`lab.${told.body.model}`), run: told }] : [];
    });
    fill(legend, (networks.length ? networks : NETWORKS.map((kind) => ({ kind, name: say(`lab.${kind}`), run: null }))).map(({ kind, name, run: told }) => h("span", {}, h(`span.stroke.${kind}`, { "aria-hidden": "true" }),
      told?.steps.length ? `${name} ${fixed(told.steps.at(-1).loss, 3)}` : name)));
    chart.draw(networks.map(({ kind, name, run: told }) => ({ kind, name, points: told.steps.map((step) => /** @type {[number, number]} */ ([step.seconds, step.loss])) })), budget(state).seconds);
    sums.show(networks, state.task);
    put(note, networks.some((one) => one.run.tested) ? say(TRAINED_LENGTH[state.task] < Infinity ? `lab.beyond.${state.task === "numbers" ? "numbers" : "letters"}` : "lab.unseen") : "");
    const one = model();
    const known = (lab?.models ?? []).filter((each) => each.task === state.task);
    fill(chosen, known.map((each) => h("option", { value: each.id }, `${say(`lab.${each.model}`)} · ${percent(each.accuracy)} · ${each.seconds} s · ${each.id}`)));
    if (one) chosen.value = one.id;
    asked.hidden = !one;
    none.hidden = Boolean(one);
    if (document.activeElement !== source) source.value = state.text;
    const tried = NETWORKS.map((kind) => run(`${state.task} ${kind}`)?.trained).find((told) => told && told.id === one?.id);
    fill(examples, (tried ? tried.examples.map((each) => each.source).slice(0, 6) : TASKS[state.task]).map((text) => h("button", { type: "button", onclick: () => store.set({ text }) }, h("bdi", {}, text))));
    if (lab) context.told({ state: store.state, lab, networks });
  }

  function update(_, changed) {
    clearTimeout(waiting);
    show();
    if (["task", "model"].some((name) => changed.has(name))) decode();
    else if (changed.has("text")) waiting = setTimeout(decode, TYPING_MS);
  }

  look();
  show();
  return { element, update, leave: () => (looking.end(), decoding.end(), clearTimeout(waiting), trainer.leave(), chart.leave()) };
}

function stateOf(state) {
  return { ...state, task: state.task in TASKS ? state.task : "dates" };
}
