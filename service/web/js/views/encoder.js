/** Inside the encoder: the attention of one layer and head over the tokens of a sentence. */

import { unreadable } from "../asking.js";
import { fill, h, put } from "../element.js";
import { percent } from "../numbers.js";
import { DEFAULTS } from "../state.js";
import { rich, say } from "../words.js";
import { copyAsCurl } from "./copying.js";
import { thumbnails } from "./heads.js";
import { tokenLines } from "./tokens.js";

const TYPING_MS = 350;
const LAYERS = 6;

/** @param {object} context */
export function encoder(context) {
  const { store, api } = context;
  const { state } = store;
  let traced = null;
  let running = new AbortController();
  let waiting = 0;
  const sentence = h("textarea.question", { id: "sentence", rows: 2, value: state.text, dir: "auto", maxLength: 600, spellcheck: false, oninput: () => store.set({ text: sentence.value }) });
  const layer = h("div.choices", { role: "group", "aria-label": say("encoder.layer") });
  const heads = thumbnails((head) => store.set({ head }));
  const causal = h("input", { type: "checkbox", id: "causal", checked: state.causal, onchange: () => store.set({ causal: causal.checked }) });
  const unread = h("p.unread", { role: "status" });
  const lines = tokenLines((word) => store.set({ word }));
  const row = h("ol.shares", {});
  const rowTitle = h("h2", {});
  const claim = h("p.small", { id: "claim" });
  const element = h("div.lookup", {},
    h("section.left", {}, context.story,
      h("div", {}, h("label.query.strong", { for: "sentence" }, `● ${say("encoder.sentence")}`), sentence, unread),
      h("div.labelled", {}, h("span.small.soft", {}, say("encoder.layer")), layer),
      h("div.labelled", {}, h("span.small.soft", {}, say("encoder.head")), heads.element),
      h("p", {}, causal, h("label", { for: "causal" }, ` ${say("encoder.causal")}`))),
    h("section.right", {}, h("div.reading", {}, lines.element, h("div.row-of", { id: "row-of" }, rowTitle, claim, row, h("p.small", { id: "caution" }, say("encoder.caution")), h("p.small.soft", {}, rich("encoder.same")))),
      h("div.under", {}, h("span"), copyAsCurl(context, () => ({ method: "POST", path: "/v1/trace", body: body(store.state) })))));

  async function request() {
    running.abort();
    running = new AbortController();
    if (!store.state.text.trim()) return;
    element.setAttribute("aria-busy", "true");
    try {
      const { signal } = running;
      const { text } = store.state;
      const [trace, lost] = await Promise.all([api.post("/v1/trace", body(store.state), signal), unreadable(api, [text], signal)]);
      traced = trace;
      put(unread, lost.has(text) ? say("encoder.unread", { unknown: lost.get(text) }) : "");
      context.notice.clear();
      show();
    } catch (failure) {
      if (failure.name === "AbortError") return;
      if (failure.status === undefined) throw failure;
      context.notice.show(failure);
    }
    element.removeAttribute("aria-busy");
  }

  function show() {
    const now = store.state;
    fill(layer, Array.from({ length: LAYERS }, (_, i) => h("button", { type: "button", "aria-pressed": String(i === now.layer), onclick: () => store.set({ layer: i }) }, String(i + 1))));
    if (!traced) return;
    const attention = traced.attention.at(-1);
    const head = Math.min(Math.max(0, now.head), attention.length - 1);
    const word = Math.min(Math.max(0, now.word), traced.tokens.length - 1);
    const tokens = traced.tokens.map((token) => token.text);
    heads.show(attention, head);
    lines.show(tokens, attention[head], word);
    put(rowTitle, say("encoder.row", { word: tokens[word] }));
    put(claim, isScenes(now) ? say("encoder.claim") : "");
    context.told({ state: now, tokens, word, attention: attention[head], weights: attention[head][word] });
    const order = attention[head][word].map((weight, j) => ({ weight, j })).sort((a, b) => b.weight - a.weight);
    fill(row, order.slice(0, 12).map(({ weight, j }) => h("li", { style: { "--share": String(weight) } }, h("span.number.weight", {}, percent(weight)), h("bdi.key", {}, tokens[j]))));
  }

  function update(now, changed) {
    clearTimeout(waiting);
    causal.checked = now.causal;
    if (changed.has("text")) waiting = setTimeout(request, TYPING_MS);
    else if (changed.has("layer") || changed.has("causal")) request();
    show();
  }

  request();
  show();
  return { element, update, leave: () => (running.abort(), clearTimeout(waiting), lines.leave()) };
}

/** Whether what is seen is still the scene's own: the sentence, the layer and the head that its claim is about. */
function isScenes(state) {
  return ["text", "layer", "head", "word", "causal"].every((name) => state[name] === DEFAULTS[name]);
}

function body({ text, layer, causal }) {
  return { text, layers: [Math.min(LAYERS - 1, Math.max(0, Math.round(layer)))], causal };
}
