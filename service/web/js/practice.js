/** What to try in a scene, each with a check that ticks itself, and the questions that learners ask. */

import { fill, h, put } from "./element.js";
import { beginning } from "./state.js";
import { heaviest } from "./views/answers.js";
import { say } from "./words.js";

/**
 * A task's name → whether what is seen fulfils it.
 *
 * @template {Page.Model} M what the scene shows
 * @typedef {Record<string, {holds(model: M): boolean}["holds"]>} Tasks
 */

/** The exercises of scenes with rows. @type {Record<string, Tasks<Page.Lookup>>} */
const OF_ROWS = {
  library: {
    equal: ({ state, result, answer }) =>
      state.t === 0 &&
      result.sql.rows.length > 0 &&
      sameRows(
        result.rows.filter((_, i) => answer.weights[i] > 0),
        result.sql.rows,
      ),
    forgotten: ({ state, answer }) => state.t === Infinity && answer.weights.length > 1,
  },
  videos: {
    wordless: (model) => {
      const first = winner(model);
      return isAsked(model) && first !== null && first.weight > 1 / 3 && !haveCommonWord(model.state.query, `${first.row.key} ${first.row.value}`);
    },
  },
  python: {
    sure: (model) => isAsked(model) && isMild(model.state) && (winner(model)?.weight ?? 0) >= 0.9,
  },
  unicode: {
    one: (model) => isAsked(model) && model.state.t >= 0.05 && model.answer.verdict !== "none" && model.answer.effective < 2,
  },
  nothing: {
    unknown: (model) => isAsked(model) && isMild(model.state) && model.answer.verdict === "none" && model.state.query.trim().split(/\s+/).length > 1,
    known: (model) => isAsked(model) && isMild(model.state) && model.answer.nullWeight < 0.02,
  },
  share: {
    ninety: ({ state, answer }) => state.t > 0 && Math.max(...answer.weights) >= 0.9,
    apart: (model) => isAsked(model) && isMild(model.state) && model.answer.verdict !== "none" && model.answer.effective > 1.8 && model.answer.effective < 3,
  },
  filter: {
    emptied: ({ state, answer }) => state.masked.length > 0 && answer.verdict === "none",
    horse: (model) => model.state.masked.length > 0 && winner(model)?.row.id === "black-beauty",
  },
  guess: {
    own: (model) => isAsked(model) && model.state.guess !== null,
    misled: (model) => isAsked(model) && model.result.fullText.rows.length > 0 && !model.result.fullText.rows.some((row) => row.id === winner(model)?.row.id),
  },
  rows: {
    drink: (model) => {
      const first = winner(model);
      const begun = beginning("rows");
      return (
        first !== null &&
        !begun.rows?.some((row) => row.key === first.row.key) &&
        model.state.query === begun.query &&
        !haveCommonWord(model.state.query, first.row.key, 1)
      );
    },
    value: ({ state }) => Boolean(beginning("rows").rows?.some((row) => state.rows?.some((one) => one.key === row.key && one.value !== row.value))),
  },
};

/** The exercises of all other scenes, by their views. @type {{[V in Exclude<keyof Page.Models, "lookup">]?: Tasks<Page.Models[V]>}} */
const OF_VIEWS = {
  sure: {
    calibrated: ({ numbers }) => numbers !== null && numbers.n >= 10 && Math.abs(numbers.mean - numbers.right) < 0.03,
    own: ({ labelled }) => labelled.some((one) => one.own),
  },
  steps: {
    sharp: ({ numbers }) => numbers.weights.every((row) => Math.max(...row) > 0.99),
    alone: ({ numbers }) => numbers.weights[0][0] === 1 && numbers.mask !== null,
  },
  scores: {
    agree: ({ state, best }) => state.t > 0 && Number.isFinite(state.t) && new Set(Object.values(best)).size === 1,
    onehot: ({ state, answers }) => state.similarity in answers && answers[state.similarity].weights.every((weight, i) => weight === (i === 4 ? 1 : 0)),
  },
  encoder: {
    previous: ({ attention }) =>
      attention.length > 3 && attention.slice(2).filter((row, i) => row.indexOf(Math.max(...row)) === i + 1).length >= 0.8 * (attention.length - 2),
    found: ({ tokens, word, weights }) => tokens[word] === "dog" && weights[tokens.indexOf("chased")] > 0.5,
    refuted: ({ state, tokens, weights }) =>
      state.text !== beginning("encoder").text && isScenesHead(state) && /^\[/.test(tokens[weights.indexOf(Math.max(...weights))]),
  },
  hopfield: {
    once: ({ weights }) => Math.max(...weights[0]) < 0.99 && Math.max(...weights[1]) > 0.999,
    mixed: ({ state, weights }) => Number.isFinite(state.t) && Math.max(...weights[weights.length - 1]) < 0.5,
  },
  regression: {
    through: ({ points, fitted }) => points.every(([, y], i) => Math.abs(y - fitted[i]) < 0.02),
    moved: ({ state, y }) => state.points !== null && Math.abs(state.at - beginning("regression").at) < 0.01 && y < 3,
  },
  space: {
    inside: ({ state, inside }) => state.t <= 0.05 && inside >= 3,
    agreed: ({ state, nearest, best }) => state.flat && nearest === best,
  },
  photo: {
    better: ({ state, gain }) => gain !== null && gain >= 6 && state.noise >= 0.15,
    copied: ({ state, gain }) => state.t === 0 && gain !== null && Math.abs(gain) < 1e-9,
  },
  lowrank: {
    thousand: ({ width, rank }) => width / (2 * rank) >= 1000,
    none: ({ width, rank }) => width <= 2 * rank,
  },
};

/** Questions that learners ask, and the scene where each is asked first. @type {Record<string, string[]>} */
const WHYS = {
  library: ["cold", "probability"],
  videos: ["vectors"],
  python: ["scale"],
  unicode: ["scale"],
  nothing: ["level"],
  share: ["probability"],
  filter: ["scale"],
  guess: ["probability", "order"],
  rows: ["output", "projections"],
  values: ["output"],
  sure: ["probability", "score"],
  steps: ["projections", "cold"],
  scores: ["cold", "projections"],
  encoder: ["heads", "order"],
  hopfield: ["cold"],
  regression: ["cold"],
  space: ["vectors"],
  million: ["scale"],
  photo: ["patches", "heads"],
  lowrank: ["heads"],
  pairs: ["projections", "heldout"],
  learning: ["recurrent", "longer"],
  vision: ["order", "heads"],
};

const done = new Set();

/** The exercises and the questions of a scene. @param {string} scene */
export function practice(scene) {
  /** @type {Record<string, Tasks<Page.Model> | undefined>} */
  const exercises = { ...OF_ROWS, ...OF_VIEWS };
  const tasks = Object.entries(exercises[scene] ?? {}).map(([name, holds]) => {
    const tick = h("span.tick-of", { "aria-hidden": "true" });
    const said = h("span.unseen", {});
    return { name: `${scene}.${name}`, holds, tick, said, element: h("li", {}, tick, h("span", {}, say(`exercise.${scene}.${name}`)), said) };
  });
  const title = h("summary", {});
  const heard = h("p.unseen", { role: "status" });
  const list = tasks.length
    ? h(
        "details.exercises",
        { id: "exercises" },
        title,
        h(
          "ul",
          {},
          tasks.map((task) => task.element),
        ),
      )
    : null;
  const whys = WHYS[scene] ?? [];
  const why = whys.length
    ? h(
        "details.whys",
        { id: "whys" },
        h("summary", {}, say("practice.why")),
        h(
          "dl",
          {},
          whys.map((name) => [h("dt", {}, say(`why.${name}.ask`)), h("dd", {}, say(`why.${name}.say`))]),
        ),
      )
    : null;
  const element = h("div.practice", {}, list, why, heard);

  /** Tick what is fulfilled; a tick stays for as long as the page is open. @param {Page.Model} model */
  function show(model) {
    if (!model.state.revealed) return;
    for (const { name, holds, said } of tasks) {
      if (done.has(name) || !isThere(model) || !holds(model)) continue;
      done.add(name);
      put(said, ` (${say("practice.done")})`);
      put(heard, say("practice.done"));
    }
    for (const { name, tick, element: line } of tasks) {
      put(tick, done.has(name) ? "✓" : "○");
      line.dataset.done = String(done.has(name));
    }
    const count = tasks.filter((task) => done.has(task.name)).length;
    put(title, `${say("practice.try")} (${count ? `✓ ${count}/` : ""}${tasks.length})`);
  }

  fill(title, say("practice.try"));
  return { element, show };
}

/** Whether there is an answer to look at. @param {Page.Model} model */
function isThere(model) {
  return model.state.view !== "lookup" || ("result" in model && model.result.asked && !model.result.unread);
}

/** A question of the learner's own, to the rows that the scene began with. @param {Page.Lookup} model */
function isAsked({ state, result }) {
  const begun = beginning(state.scene);
  return result.asked && state.query.trim() !== begun.query && state.source === begun.source && !state.rows && typeof state.none === typeof begun.none;
}

/** Near the temperature that everything begins at. @param {Page.State} state */
function isMild({ t }) {
  return t >= 0.03 && t <= 0.1;
}

/** Layer 6, head 12, of which the scene speaks. @param {Page.State} state */
function isScenesHead({ layer, head }) {
  const begun = beginning("encoder");
  return layer === begun.layer && head === begun.head;
}

/** The row with the largest weight, and that weight; null where nothing has any. @param {Page.Lookup} model */
function winner({ result, answer }) {
  const [first] = heaviest(answer.weights, 1);
  return first === undefined ? null : { row: result.rows[first], weight: answer.weights[first] };
}

/** @param {{id: string}[]} ours @param {{id: string}[]} theirs */
function sameRows(ours, theirs) {
  return ours.length === theirs.length && theirs.every(({ id }) => ours.some((row) => row.id === id));
}

/** Whether two texts have a word of so many letters in common; plurals count. @param {string} a @param {string} b @param {number} [least] */
function haveCommonWord(a, b, least = 3) {
  const words = (/** @type {string} */ text) =>
    new Set((text.toLowerCase().match(/[a-z0-9]+/g) ?? []).filter((word) => word.length >= least).map((word) => word.replace(/s$/, "")));
  const other = words(b);
  return [...words(a)].some((word) => other.has(word));
}
