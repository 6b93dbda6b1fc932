/** Inside the encoder: the attention of its heads over the tokens of a sentence, or of a question and a passage. */

import { SoftkvError } from "../api.js";
import { unreadable } from "../asking.js";
import { fill, h, put } from "../element.js";
import { percent } from "../numbers.js";
import { DEFAULTS } from "../state.js";
import { rich, say } from "../words.js";
import { copyAsCurl } from "./copying.js";
import { model } from "./heads/model.js";
import { moves } from "./heads/moves.js";
import { neuron } from "./heads/neuron.js";
import { roles } from "./heads/roles.js";
import { stories } from "./heads/stories.js";
import { everyHead, oneHead, placed, read, secondOf } from "./heads/traced.js";
import { latest } from "./latest.js";
import { tokenLines } from "./tokens.js";

const TYPING_MS = 350;
const SHOWN = 12;
/** What to begin with, each an address of its own: the row of the article, a question and a passage, two heads. */
const EXAMPLES = {
  dog: { text: DEFAULTS.text, pair: null, layer: 1, head: 8, word: 2, to: 3, second: "", causal: false },
  passage: {
    text: "Where does the cat sleep?",
    pair: "The cat sleeps in the kitchen, and the dog waits at the door.",
    layer: 2,
    head: 9,
    word: 5,
    to: -1,
    second: "5.3",
    causal: false,
  },
};

/** @typedef {Page.Head & Parameters<ReturnType<typeof neuron>["show"]>[0] & {value: number[][][][]}} Inside what one head compares, and what it hands over */

/** @param {Page.Context} context */
export function encoder(context) {
  const { store, api } = context;
  const { state } = store;
  /** @type {?ReturnType<typeof read>} */
  let traced = null;
  /** @type {?Inside} */
  let inside = null;
  let waiting = 0;
  const sentence = h("textarea.question", {
    id: "sentence",
    rows: 2,
    value: state.text,
    dir: "auto",
    maxLength: 600,
    spellcheck: false,
    oninput: () => store.set({ text: sentence.value }),
  });
  const passage = h("textarea.question", {
    id: "passage",
    rows: 2,
    value: state.pair ?? "",
    dir: "auto",
    maxLength: 600,
    spellcheck: false,
    oninput: () => store.set({ pair: passage.value }),
  });
  const second = h("div", {}, h("label.key.strong", { for: "passage" }, `◆ ${say("heads.passage")}`), passage);
  const examples = h(
    "div.examples",
    {},
    Object.entries(EXAMPLES).map(([name, patch]) =>
      h("button", { type: "button", id: `example-${name}`, onclick: () => store.set(patch) }, say(`heads.example.${name}`)),
    ),
    h("button", { type: "button", id: "one-text", onclick: () => store.set({ pair: null }) }, say("heads.one.text")),
  );
  const all = model(
    (place, isSecond) => store.set(isSecond ? { second: `${place.layer}.${place.head}` } : place),
    () => store.set({ second: "" }),
  );
  const causal = h("input", { type: "checkbox", id: "causal", checked: state.causal, onchange: () => store.set({ causal: causal.checked }) });
  const unread = h("p.unread", { role: "status" });
  const lines = tokenLines({ word: (word) => store.set({ word, to: -1 }), key: (to) => store.set({ to }) });
  const row = h("ol.shares", {});
  const rowTitle = h("h2", {});
  const claim = h("p.small", { id: "claim" });
  const across = h("p.small", { id: "across" });
  const [compared, moved, part, refuted] = [neuron(), moves(), roles((place) => store.set({ layer: place.layer, head: place.head })), stories(context)];
  const element = h(
    "div.lookup",
    {},
    h(
      "section.left",
      {},
      context.story,
      h("div", {}, h("label.query.strong", { for: "sentence" }, `● ${say("encoder.sentence")}`), sentence, unread),
      second,
      examples,
      all.element,
      h("p", {}, causal, h("label", { for: "causal" }, ` ${say("encoder.causal")}`)),
    ),
    h(
      "section.right",
      {},
      h(
        "div.reading",
        {},
        lines.element,
        h(
          "div.row-of",
          { id: "row-of" },
          rowTitle,
          claim,
          across,
          row,
          h("p.small", { id: "caution" }, say("encoder.caution")),
          h("p.small.soft", {}, rich("encoder.same")),
        ),
      ),
      h(
        "div.under",
        {},
        h("span"),
        copyAsCurl(context, () => ({ method: "POST", path: "/v1/trace", body: { ...everyHead(store.state), vector_format: "numbers" } })),
      ),
    ),
    h("section.below.of-heads", {}, part.element, refuted.element, compared.element, moved.element),
  );

  const [tracing, looking] = [latest(context, element), latest(context)];

  async function request() {
    looking.end();
    if (!store.state.text.trim()) return tracing.end();
    await tracing.ask(async (signal) => {
      const { text, pair } = store.state;
      const [trace, lost] = await Promise.all([everything(signal), unreadable(api, [text, ...(pair?.trim() ? [pair] : [])], signal)]);
      traced = read(trace);
      inside = null;
      const unknown = [...lost.values()].reduce((sum, count) => sum + count, 0);
      put(unread, unknown ? say("encoder.unread", { unknown }) : "");
      show();
      await within(signal);
    });
  }

  /** All heads of all layers; of texts too long for that, those of the layer that is looked at. @param {AbortSignal} signal */
  async function everything(signal) {
    try {
      return await api.post("/v1/trace", everyHead(store.state), signal);
    } catch (failure) {
      if (!(failure instanceof SoftkvError) || failure.code !== "too_much") throw failure;
      return api.post("/v1/trace", everyHead(store.state, placeOf(store.state).layer), signal);
    }
  }

  /** The vectors of the head that is looked at. @param {AbortSignal} signal */
  async function within(signal) {
    const place = placeOf(store.state);
    inside = { ...place, ...(await api.post("/v1/trace", oneHead(store.state, place), signal)) };
    show();
  }

  function show() {
    const now = store.state;
    const place = placeOf(now);
    const other = secondOf(now);
    second.hidden = now.pair === null;
    /** @type {HTMLElement} */ (examples.querySelector("#one-text")).hidden = now.pair === null;
    if (document.activeElement !== sentence) sentence.value = now.text;
    if (document.activeElement !== passage) passage.value = now.pair ?? "";
    all.show(traced?.layers ?? null, place, other);
    const heads = traced?.layers.get(place.layer);
    if (!traced || !heads) return;
    const weights = heads[place.head];
    const sides = sidesOf(traced.tokens);
    const word = sides.queries.includes(now.word) ? now.word : sides.queries[Math.min(sides.queries.length - 1, Math.max(0, Math.round(now.word)))];
    const to = sides.keys.includes(now.to) ? now.to : sides.keys.reduce((best, j) => (weights[word][j] > weights[word][best] ? j : best), sides.keys[0]);
    const tokens = traced.tokens.map((token) => token.text);
    const beside = other ? (traced.layers.get(other.layer)?.[other.head] ?? null) : null;
    lines.show(tokens, { weights, second: beside, word, to }, sides);
    put(rowTitle, say("encoder.row", { word: tokens[word] }));
    put(claim, isScenes(now) ? say("encoder.claim") : "");
    put(across, sides.isPair ? say("heads.across", { share: percent(sides.keys.reduce((sum, j) => sum + weights[word][j], 0)) }) : "");
    const order = weights[word].map((weight, j) => ({ weight, j })).sort((a, b) => b.weight - a.weight);
    fill(
      row,
      order
        .slice(0, SHOWN)
        .map(({ weight, j }) =>
          h(
            "li",
            { style: { "--share": String(weight) } },
            h("span.number.weight", {}, percent(weight)),
            h("bdi.key", {}, tokens[j]),
            beside ? h("span.number.of-second", { style: { "--share": String(beside[word][j]) } }, percent(beside[word][j])) : null,
          ),
        ),
    );
    const own = inside && inside.layer === place.layer && inside.head === place.head && inside.tokens.length === tokens.length ? inside : null;
    part.show({ tokens: traced.tokens, layers: traced.layers, weights, word, to, value: own?.value[0][0] ?? null, place });
    moved.show(traced.changes, word, tokens[word], place.layer);
    if (own) compared.show(own, word, to);
    refuted.own(now, tokens, traced.layers, word);
    context.told({ state: now, tokens, word, attention: weights, weights: weights[word], layers: traced.layers });
  }

  /** @param {Page.State} now @param {Set<string>} changed */
  function update(now, changed) {
    clearTimeout(waiting);
    causal.checked = now.causal;
    const [texts, places] = [["text", "pair"].some((name) => changed.has(name)), ["layer", "head"].some((name) => changed.has(name))];
    if (texts) waiting = setTimeout(request, TYPING_MS);
    else if (changed.has("causal") || (changed.has("layer") && traced && !traced.layers.has(placeOf(now).layer))) request();
    else if (places) looking.ask(within);
    show();
  }

  request();
  show();
  return { element, update, leave: () => (tracing.end(), looking.end(), clearTimeout(waiting), lines.leave(), refuted.leave()) };
}

/** @param {Page.State} state */
function placeOf({ layer, head }) {
  return placed(layer, head);
}

/** Of a pair the first text asks and the second is asked; of one sentence every token does both. @param {Page.Token[]} tokens */
function sidesOf(tokens) {
  const of = (/** @type {number} */ sequence) => tokens.flatMap((token, i) => (token.sequence === sequence ? [i] : []));
  const [queries, keys] = [of(0), of(1)];
  const every = tokens.map((_, i) => i);
  return queries.length && keys.length ? { queries, keys, isPair: true } : { queries: every, keys: every, isPair: false };
}

/** Whether what is seen is still the scene's own: the sentence, the layer and the head that its claim is about. @param {Page.State} state */
function isScenes(state) {
  return /** @type {const} */ (["text", "pair", "layer", "head", "word", "causal"]).every((name) => state[name] === DEFAULTS[name]);
}
