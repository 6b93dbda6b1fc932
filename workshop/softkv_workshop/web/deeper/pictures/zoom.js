/**
 * The way of a question: from its tokens through all layers and heads of the encoder, number by number, to its vector and
 * to the weights of a collection.
 */

import { explorer, home } from "../../../../../service/softkv_service/web/shared/assets.js";
import { vectorOf } from "../../../../../service/softkv_service/web/shared/api.js";
import { each, fill, h, put } from "../../../../../service/softkv_service/web/shared/element.js";
import { HeadMap } from "../../../../../service/softkv_service/web/shared/headmap.js";
import { fixed, levelText, percent, power } from "../../../../../service/softkv_service/web/shared/numbers.js";
import { headPattern } from "../../../../../service/softkv_service/web/shared/sentences.js";
import { wordsMet } from "../../../../../service/softkv_service/web/shared/words-met.js";
import { clipped } from "../../../../../service/softkv_service/web/shared/words.js";
import { hood, screen } from "../../story/parts.js";
import { latest, slider } from "../parts.js";
import { cells, neuronsOf, termsOf } from "../zoom/head.js";
import { countLayers, leaveOut, readAnswer, readHead, readRows, readText } from "../zoom/reading.js";
import { cosine, dot, everyNumber, largest, lengthOf, strip } from "../zoom/strip.js";
import words from "./zoom.json";

/** The recorded question. */
const [QUESTION, COLLECTION] = ["what animal makes a purring noise", "library"];
/** The most tokens that are drawn, and the longest key. */
const [MOST_TOKENS, LONGEST] = [16, 60];
/** The heads that moved an answer most. */
const MOVERS = 3;
const STEPS = ["input", "attention", "middle", "network", "output"];

/**
 * @typedef {object} State
 * @property {string} q
 * @property {string} collection
 * @property {string} ask the options of the question, in JSON
 * @property {string} model of the collection; empty: the service's
 * @property {string} doc the row that is looked at; empty: the heaviest
 * @property {number} layer from 1
 * @property {number} head from 1
 * @property {number} i the token that attends
 * @property {number} j the token attended to
 * @property {number} dim the shown number of the row, from 0
 * @property {string} second another sentence
 * @property {string[][]} rows that the question brings along, a key each; empty: those of the collection
 * @property {string} back the address after # of the screen that one came from
 */

/** @type {import("../parts.js").Picture} */
export const zoom = {
  id: "zoom",
  of: "inside-a-model",
  sketch:
    "M8 10h18M8 26h18M8 42h18M8 58h18M40 8h10v10H40zM54 8h10v10H54zM40 22h10v10H40zM54 22h10v10H54zM40 36h10v10H40zM54 36h10v10H54zM40 50h10v10H40zM54 50h10v10H54zM78 16h34M78 34h20M78 52h8",
  words,
  defaults: { q: QUESTION, collection: COLLECTION, ask: "", model: "", doc: "", layer: 6, head: 7, i: 6, j: 7, dim: 0, second: "", rows: [], back: "" },

  mount(host, context) {
    const { say, set } = context;
    /** @type {State} */
    let state = context.state;
    /** @type {?{answers: {[call: string]: any}, left: import("../zoom/reading.js").Left}} */
    let recorded = null;
    /** @type {?import("../zoom/reading.js").Reading} */
    let reading = null;
    /** @type {?import("../zoom/reading.js").Head} */
    let of = null;
    /** @type {?import("../zoom/reading.js").Answer} */
    let answer = null;
    /** @type {?import("../zoom/reading.js").Left} */
    let left = null;
    /** @type {?HeadMap} */
    let map = null;
    let layers = 0;

    const question = field(
      "zoom-question",
      say("ask"),
      () => state.q,
      (q) => set({ q, i: 1, j: 1 }),
    );
    const second = field(
      "zoom-second",
      say("second"),
      () => state.second,
      (other) => set({ second: other }),
      true,
    );
    const back = h("a", { id: "zoom-back" });
    const chips = h("div.chips", { role: "group", "aria-label": say("tokens") });
    const mapPlace = h("div.zoom-map");
    const told = h("p.told", { role: "status" });
    const movers = h("div.movers", { role: "status" });
    const leave = h("button", { type: "button", id: "leave-out", onclick: () => void leaveHeadsOut() }, say("leave"));
    const table = cells(say, (i, j) => set({ i, j }));
    const linking = h("button", { type: "button", id: "linking" });
    const terms = h("div.terms");
    const rows = h("div.strips");
    const neurons = h("div.terms");
    const dimension = slider({ id: "dimension", label: say("dimension"), min: 0, max: 383, step: 1, change: (dim) => set({ dim }) });
    const sum = h("p.formula", { role: "status" });
    const vector = h("div.strips");
    const matches = h("div.scrolling", { tabIndex: 0, role: "group", "aria-label": say("step.answer") });
    const why = h("div.strips");
    const differences = h("div.terms");
    const limit = h("p.unread", { role: "status" });
    /** The strips whose number is marked. @type {((at: number) => void)[]} */
    let points = [];

    const steps = [
      step("tokens", chips),
      step("heads", told, mapPlace, h("div.choices", {}, leave), movers),
      step("head", h("div.head-of", {}, h("div.terms", {}, table.element, linking), terms)),
      step("row", rows, dimension.element, sum, h("h4", {}, say("neurons")), neurons),
      step("vector", vector),
      step("answer", matches, why, h("p", {}, back)),
      step("two", second.element, differences),
    ];
    const picture = h("div.zoomed", {}, question.element, limit, ...steps);
    host.append(
      screen({
        title: say("title"),
        sentence: say("sentence"),
        picture,
        hood: hood(say, ...["numbers", "leave", "explanation"].map((name) => h("p", {}, say(`hood.${name}`)))),
      }),
    );
    const [readings, heads, answers, others, leaving] = [picture, steps[2], steps[5], steps[6], movers].map((busy) => latest(context, busy));

    /**
     * A step of the way, with its number.
     * @param {string} name
     * @param {...Element} inside
     */
    function step(name, ...inside) {
      const title = h("h3", { id: `zoom-${name}` }, say(`step.${name}`));
      return h("section.zoom-step", { "aria-labelledby": title.id }, title, h("p.soft", {}, ...say.rich(`told.${name}`)), ...inside);
    }

    /**
     * Return a function that asks until it is aborted. The recorded question has its answers with it.
     * @param {AbortSignal} signal
     * @returns {import("../zoom/reading.js").Ask}
     */
    function asker(signal) {
      return async (path, body) => recorded?.answers[`${path} ${JSON.stringify(body)}`] ?? context.api.post(path, body, signal);
    }

    function subject() {
      return { q: state.q, model: state.model, layers };
    }

    /** The options of the question, as the screen that one came from had them. @returns {{[name: string]: any}} */
    function options() {
      try {
        const { query: _, queries: __, ...others } = JSON.parse(state.ask || "{}");
        return others;
      } catch (failure) {
        if (!(failure instanceof SyntaxError)) throw failure;
        return {};
      }
    }

    /** Read the question, then its answer. */
    async function read() {
      question.show();
      leaving.end();
      left = null;
      showLeft();
      await readings.ask(async (signal) => {
        if (state.q === QUESTION) recorded ??= await context.recorded("zoom");
        layers = await countLayers(asker(signal), state.model);
        const now = await readText(asker(signal), subject());
        const n = now.tokens.length;
        limit.textContent = n > MOST_TOKENS ? say("limit", { count: n, most: MOST_TOKENS }) : "";
        if (n > MOST_TOKENS) return;
        reading = now;
        of = null;
        const count = now.attention[0].length;
        if (!map?.fits(layers, count)) {
          map = new HeadMap(say, layers, count, (layer, head) => set({ layer: layer + 1, head: head + 1 }), sentence);
          fill(mapPlace, map.element);
        }
        map.take(now.attention, n, sentence);
        if (recorded && state.q === QUESTION && state.collection === COLLECTION && !state.ask && !state.rows.length) left = recorded.left;
        show();
        showVector();
      });
      await Promise.all([readOne(), lookUp(), compare()]);
    }

    async function readOne() {
      await heads.ask(async (signal) => {
        const now = await readHead(asker(signal), subject(), chosen().layer, chosen().head);
        of = now;
        showHead();
      });
    }

    async function lookUp() {
      await answers.ask(async (signal) => {
        const { rows: own, q } = state;
        answer = await (own.length ? readRows(asker(signal), own, options(), q) : readAnswer(asker(signal), state.collection, options(), q));
        showAnswer();
      });
    }

    async function leaveHeadsOut() {
      const { embedding } = /** @type {import("../zoom/reading.js").Reading} */ (reading).vector;
      put(movers, say("leaving"));
      await leaving.ask(async (signal) => {
        left = await leaveOut(asker(signal), state.collection, options(), subject(), embedding, state.rows.length ? answer : null);
        showLeft();
      });
    }

    /** The chosen head from 0, and tokens that there are. */
    function chosen() {
      const bounded = (/** @type {number} */ number, /** @type {number} */ count) => Math.max(0, Math.min(count - 1, Math.round(number) || 0));
      const [count, n] = [reading?.attention[0].length ?? 1, reading?.tokens.length ?? 1];
      return { layer: bounded(state.layer - 1, layers), head: bounded(state.head - 1, count), i: bounded(state.i, n), j: bounded(state.j, n) };
    }

    function texts() {
      return reading?.tokens.map(({ text }) => text) ?? [];
    }

    /**
     * Describe the measured pattern of a head.
     * @param {number} layer
     * @param {number} head
     */
    function sentence(layer, head) {
      const weights = reading?.attention[layer][head];
      return weights ? headPattern(say, { layer: layer + 1, head: head + 1, weights, tokens: texts() }) : "";
    }

    function show() {
      if (!reading || !map) return;
      const { layer, head, i, j } = chosen();
      fill(
        chips,
        texts().map((text, token) => h("button", { type: "button", "aria-pressed": String(token === i), onclick: () => set({ i: token }) }, text)),
      );
      map.show(layer, head);
      put(told, sentence(layer, head));
      table.show(texts(), Array.from(reading.attention[layer][head]), i, j);
      const at = i * texts().length + j;
      const links = reading.attention.flatMap((all, l) => all.map((weights, one) => ({ layer: l + 1, head: one + 1, weight: weights[at] })));
      const most = links.reduce((best, one) => (one.weight > best.weight ? one : best));
      linking.onclick = () => set({ layer: most.layer, head: most.head });
      put(linking, say("linking", { query: texts()[i], key: texts()[j], layer: most.layer, head: most.head, weight: percent(most.weight) }));
      showHead();
    }

    function showHead() {
      if (!of || !reading) return;
      const { layer, head, i, j } = chosen();
      fill(terms, ...termsOf(say, texts(), of, i, j));
      const states = of.states.map((rowsOf) => rowsOf[i]);
      const written = of.written[i];
      const share = lengthOf(written) / lengthOf(states[1]);
      const most = Math.max(largest(written), largest(states[1]));
      /** @type {[string, import("../zoom/strip.js").Vector, string][]} */
      const shown = [
        ["input", states[0], "query"],
        ["written", written, "value"],
        ["attention", states[1], "value"],
        ["middle", states[2], "query"],
        ["network", states[3], "value"],
        ["output", states[4], "query"],
      ];
      const strips = shown.map(([name, numbers, kind]) =>
        strip({
          name: say.rich(`states.${name}`, { layer: layer + 1, head: head + 1, share: percent(share) }),
          numbers,
          kind,
          most: name === "written" || name === "attention" ? most : largest(numbers),
          label: say("numbers", { count: numbers.length }),
          beside: `‖ ‖ ${fixed(lengthOf(numbers))}`,
        }),
      );
      points = strips.map(({ point }) => point);
      fill(
        rows,
        ...strips.map(({ element }) => element),
        everyNumber(
          say("every"),
          STEPS.map((name) => say(`column.${name}`)),
          () => states,
        ),
      );
      fill(neurons, h("p", {}, ...say.rich("network", { token: texts()[i] })), neuronsOf(say, of, i));
      showNumber();
    }

    /** One number of all rows, and how the norm makes it. */
    function showNumber() {
      if (!of) return;
      const states = of.states.map((rowsOf) => rowsOf[chosen().i]);
      const width = states[0].length;
      const dim = Math.max(0, Math.min(width - 1, Math.round(state.dim) || 0));
      for (const point of points) point(dim);
      const [input, attention, middle, network, output] = states.map((numbers) => fixed(numbers[dim], 4));
      const added = Array.from(states[0], (number, k) => number + states[1][k]);
      const mean = added.reduce((total, number) => total + number, 0) / width;
      const deviation = Math.sqrt(added.reduce((total, number) => total + (number - mean) ** 2, 0) / width);
      dimension.follow(dim, `${dim + 1} / ${width}`);
      fill(sum, ...say.rich("sum", { input, attention, middle, network, output, mean: fixed(mean, 4), deviation: fixed(deviation, 4), dim: dim + 1 }));
    }

    function showVector() {
      if (!reading) return;
      const { pooled, embedding, searched } = reading.vector;
      const missed = lengthOf(Array.from(embedding, (number, k) => number - searched[k]));
      /** @type {[string, import("../zoom/strip.js").Vector][]} */
      const shown = [
        ["pooled", pooled],
        ["embedding", embedding],
        ["searched", searched],
      ];
      const strips = shown.map(
        ([name, numbers]) =>
          strip({
            name: say.rich(`vector.${name}`),
            numbers,
            kind: "query",
            label: say("numbers", { count: numbers.length }),
            beside: `‖ ‖ ${fixed(lengthOf(numbers), 3)}`,
          }).element,
      );
      const every = everyNumber(
        say("every"),
        shown.map(([name]) => say(`column.${name}`)),
        () => shown.map(([, numbers]) => numbers),
      );
      fill(vector, ...strips, h("p.formula", {}, ...say.rich("missed", { missed: power(missed, 1), cosine: fixed(cosine(embedding, searched), 6) })), every);
    }

    function showLeft() {
      const row = winner();
      if (!left || !row) {
        map?.tint([]);
        return fill(movers);
      }
      const { before, heads: all } = left;
      const best = all.slice(0, MOVERS);
      const share = (/** @type {import("../zoom/reading.js").Weights} */ weights) => (row.id in weights ? percent(weights[row.id]) : "–");
      fill(
        movers,
        h("p", {}, ...say.rich("moved", { layer: best[0].layer + 1, head: best[0].head + 1, moved: percent(best[0].moved) })),
        h("p.soft", {}, ...say.rich("moved.row", { key: clipped(row.key ?? row.id, LONGEST) })),
        h(
          "div.choices",
          {},
          best.map(({ layer, head, weights }) => {
            const label = say("mover", { layer: layer + 1, head: head + 1, before: share(before), after: share(weights) });
            return h("button", { type: "button", onclick: () => set({ layer: layer + 1, head: head + 1 }) }, label);
          }),
        ),
        h("p.soft", {}, say("tint")),
      );
      map?.tint(all);
    }

    function winner() {
      return answer?.matches.find(({ id }) => id === state.doc) ?? answer?.matches[0];
    }

    function showAnswer() {
      const row = winner();
      showLeft();
      if (!answer || !reading || !row) return fill(matches, answer ? say("nothing") : "");
      const { evidence, temperature } = answer;
      const line = (/** @type {string} */ name, /** @type {string} */ similarity, /** @type {number} */ weight, /** @type {?string} */ id) =>
        h(
          "tr",
          id === row.id ? { className: "chosen" } : {},
          h(
            "th.key",
            { scope: "row", dir: "auto" },
            id === null
              ? name
              : h("button.plain", { type: "button", "aria-pressed": String(id === row.id), onclick: () => set({ doc: id }) }, clipped(name, LONGEST)),
          ),
          h("td.number", {}, similarity),
          h("td.number.weight.wide", {}, h("span.fill", { style: { width: `${60 * weight}%` }, "aria-hidden": "true" }), ` ${percent(weight)}`),
        );
      const lines = answer.matches.map(({ id, key, similarity, weight }) => line(key ?? id, fixed(similarity, 4), weight, id));
      if (answer.documents > answer.matches.length) lines.push(line(say("rest"), "", answer.rest_weight, null));
      if (evidence.null_similarity !== null) lines.push(line(say("none"), levelText(evidence.null_similarity, "cosine", 4), evidence.null_weight, null));
      const names = ["key", "similarity", "weight"].map((name) => h(name === "similarity" ? "th.number" : "th", { scope: "col" }, ...say.rich(`head.${name}`)));
      fill(matches, h("table.of-row", {}, h("thead", {}, h("tr", {}, names)), h("tbody", {}, lines)));
      const key = vectorOf(row.key_vector);
      const { searched, embedding } = reading.vector;
      const size = lengthOf(key) * lengthOf(searched);
      const products = Array.from(key, (number, k) => (number * searched[k]) / size);
      const strongest = each("ol.strongest", {}, [...products.keys()].sort((a, b) => products[b] - products[a]).slice(0, 3), (k) =>
        h("li", {}, ...say.rich("product", { dim: k + 1, query: fixed(searched[k], 3), key: fixed(key[k], 3), product: fixed(products[k], 4) })),
      );
      const most = Math.max(largest(key), largest(searched));
      const pieces = {
        query: fixed(
          dot(
            products,
            products.map(() => 1),
          ),
          4,
        ),
        steps: fixed(cosine(embedding, key), 4),
        temperature: String(temperature),
        weight: percent(row.weight),
        key: clipped(row.key ?? row.id, LONGEST),
      };
      const label = say("numbers", { count: key.length });
      const { addends = [], logit = 0 } = row.explanation ?? {};
      const late = addends.find((/** @type {any} */ one) => one.of === "late" && one.pairs?.length);
      const sums = late && {
        first: fixed(row.similarity / temperature, 3),
        cosine: fixed(late.similarity, 3),
        words: fixed(late.words, 3),
        divisor: String(late.divisor),
        shift: fixed(late.shift, 3),
        logit: fixed(logit, 3),
        weight: percent(row.weight),
      };
      fill(
        why,
        h("p.formula", { role: "status" }, ...say.rich(addends.length ? "why.more" : "why", pieces)),
        strip({ name: say.rich("vector.searched"), numbers: searched, kind: "query", most, label }).element,
        strip({ name: say.rich("key.vector"), numbers: key, kind: "key", most, label }).element,
        strip({ name: say.rich("products.vector"), numbers: products, label, beside: `Σ = ${pieces.query}` }).element,
        strongest,
        everyNumber(say("every"), ["q", "k", "q·k"], () => [searched, key, products]),
        late ? [h("h4", {}, say("late")), h("p", {}, ...say.rich("late.sum", sums)), wordsMet(say, row.key ?? "", late.pairs)] : null,
      );
      const isStory = state.back !== "" && !state.back.startsWith("collection=");
      back.href = isStory
        ? `${home()}#${state.back}`
        : `${explorer()}#${state.back || `collection=${encodeURIComponent(state.collection)}&q=${encodeURIComponent(state.q)}`}`;
      put(back, say("back"));
    }

    /** Two sentences, layer by layer. */
    async function compare() {
      second.show();
      if (!state.second.trim()) {
        others.end();
        return fill(differences);
      }
      await others.ask(async (signal) => {
        const [one, other] = await Promise.all([state.q, state.second].map((q) => readText(asker(signal), { ...subject(), q }, true)));
        const { i } = chosen();
        const token = one.tokens[i]?.text ?? "";
        const twin = other.tokens.findIndex(({ text }) => text.toLowerCase() === token.toLowerCase());
        const mean = (/** @type {import("../zoom/strip.js").Vector[]} */ all) =>
          Array.from(all[0], (_, k) => all.reduce((total, row) => total + row[k], 0) / all.length);
        const after = (one.states ?? []).map((states, at) => {
          const others = /** @type {import("../zoom/strip.js").Vector[][]} */ (other.states)[at];
          return { whole: cosine(mean(states), mean(others)), token: twin < 0 ? null : cosine(states[i], others[twin]) };
        });
        const cosines = after.map(({ token: one, whole }) => one ?? whole);
        const falls = cosines.slice(1).map((now, at) => cosines[at] - now);
        const names = ["layer", "token", "whole"].map((name) => h("th", { scope: "col" }, ...say.rich(`two.${name}`, { token })));
        const bar = (/** @type {?number} */ similarity) =>
          h(
            "td.number.wide",
            {},
            similarity === null ? "–" : h("span.fill", { style: { width: `${60 * Math.max(0, similarity)}%` }, "aria-hidden": "true" }),
            similarity === null ? "" : ` ${fixed(similarity, 3)}`,
          );
        const lineOf = (/** @type {number} */ at) => (at ? say("two.after", { layer: at }) : say("two.before"));
        const lines = after.map((now, at) => h("tr", {}, h("th", { scope: "row" }, lineOf(at)), bar(now.token), bar(now.whole)));
        fill(
          differences,
          h(
            "p.formula",
            { role: "status" },
            ...say.rich(twin < 0 ? "two.none" : "two.most", {
              token,
              layer: falls.indexOf(Math.max(...falls)) + 1,
              apart: lineOf(cosines.indexOf(Math.min(...cosines))),
              first: fixed(cosines[0], 2),
              last: fixed(cosines[layers], 2),
            }),
          ),
          h("table.of-row", {}, h("thead", {}, h("tr", {}, names)), h("tbody", {}, lines)),
        );
      });
    }

    void read();
    return {
      update(now, changed) {
        state = now;
        const has = (/** @type {string[]} */ ...names) => names.some((name) => changed.has(name));
        if (has("q", "collection", "model", "ask", "rows")) return void read();
        show();
        if (has("doc")) showAnswer();
        if (has("layer", "head")) void readOne();
        if (has("dim")) showNumber();
        if (has("second", "i")) void compare();
      },
      again: () => void read(),
    };
  },
};

/**
 * A field for a sentence.
 * @param {string} id
 * @param {string} label
 * @param {() => string} text
 * @param {(text: string) => void} change
 * @param {boolean} [mayBeEmpty]
 */
function field(id, label, text, change, mayBeEmpty = false) {
  const input = h("input.question", { type: "text", id, autocomplete: "off", maxLength: 300, spellcheck: false });
  const send = (/** @type {Event} */ event) => {
    event.preventDefault();
    const now = input.value.replace(/\s+/g, " ").trim();
    if (now !== text() && (now || mayBeEmpty)) change(now);
  };
  const element = h("form.asked-of", { onsubmit: send }, h("div.labelled", {}, h("label", { for: id }, label), input));
  input.addEventListener("change", send);
  return { element, show: () => document.activeElement !== input && (input.value = text()) };
}
