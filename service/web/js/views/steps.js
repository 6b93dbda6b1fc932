/** One attention layer, number by number: the service's own intermediates, forward and back. */

import { fill, h } from "../element.js";
import { causalMask, EMBEDDINGS, product, transposed, W_K, W_O, W_Q, W_V, WORDS } from "../example.js";
import { onTheWire } from "../scale.js";
import { rich, say, subscripted } from "../words.js";
import { copyAsCurl } from "./copying.js";
import { derivation } from "./derivation.js";
import { temperatureSlider } from "./temperature.js";

const STEPS = ["embeddings", "query", "key", "value", "dot", "scale", "mask", "softmax", "blend"];

/** @param {object} context */
export function steps(context) {
  const { store, api } = context;
  let numbers = null;
  let running = new AbortController();
  const list = h("ol.steps", {});
  const place = h("div.derivation", { id: "derivation" });
  const formula = h("p.formula", { "aria-hidden": "true" });
  const said = h("p.said", { id: "step-words", "aria-live": "polite" });
  const back = h("button", { type: "button", id: "back", onclick: () => go(-1) }, say("steps.back"));
  const next = h("button.main", { type: "button", id: "next", onclick: () => go(1) }, say("steps.next"));
  const causal = h("input", { type: "checkbox", id: "causal", checked: store.state.causal, onchange: () => store.set({ causal: causal.checked }) });
  const slider = temperatureSlider(store.state.t, (t) => store.set({ t }), [0, 0.1, 1, 10, Infinity]);
  const element = h("div.lookup", {},
    h("section.left", {}, context.story, list, h("div.walk", {}, back, next), slider.element,
      h("p", {}, causal, h("label", { for: "causal" }, ` ${say("steps.causal")}`))),
    h("section.right", {}, formula, said, place, h("div.under", {}, h("span"), copyAsCurl(context, () => ({ method: "POST", path: "/v1/attend", body: body(store.state) })))));
  const keys = new AbortController();
  document.addEventListener("keydown", onKey, { signal: keys.signal });

  function onKey(event) {
    if (event.target.closest("input, select, textarea")) return;
    if (event.key === "ArrowRight") go(1);
    if (event.key === "ArrowLeft") go(-1);
  }

  function go(by) {
    const step = Math.min(STEPS.length - 1, Math.max(0, store.state.step + by));
    store.set({ step });
  }

  async function request() {
    running.abort();
    running = new AbortController();
    element.setAttribute("aria-busy", "true");
    try {
      numbers = readable(await api.post("/v1/attend", body(store.state), running.signal), store.state);
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
    const step = Math.min(STEPS.length - 1, Math.max(0, Math.round(store.state.step)));
    fill(list, STEPS.map((name, i) => h("li", {}, h("button.plain", { type: "button", "aria-current": i === step ? "step" : null, onclick: () => store.set({ step: i }) },
      h("span.number", {}, String(i + 1)), " ", rich(`steps.${name}`)))));
    back.disabled = step === 0;
    next.disabled = step === STEPS.length - 1;
    const isLimit = STEPS[step] === "scale" && store.state.t === 0;
    fill(said, rich(`steps.${STEPS[step]}.say${isLimit ? ".cold" : ""}`, { T: store.state.t === Infinity ? "∞" : store.state.t }));
    fill(formula, written(STEPS[step]));
    if (!numbers) return;
    fill(place, derivation(STEPS[step], numbers, store.state));
    context.told({ state: store.state, numbers });
  }

  function update(state, changed) {
    slider.follow(state.t);
    causal.checked = state.causal;
    if (changed.has("t") || changed.has("causal")) request();
    else show();
  }

  request();
  show();
  return { element, update, leave: () => (running.abort(), keys.abort()) };
}

/** softmax(QKᵀ / √d_k T + mask) V, with the part that this step works on lit. */
function written(step) {
  const part = (text, kind, ...steps) => h(`span.part${kind ? `.${kind}` : ""}${steps.includes(step) ? ".now" : ""}`, {}, text);
  return [
    part("softmax", "weight", "softmax"), "( ", part("Q", "query", "query", "dot", "embeddings"), part("Kᵀ", "key", "key", "dot", "embeddings"),
    part([" / (√", subscripted("d_k"), " · T)"], "", "scale"), part(" + mask", "", "mask"), " ) · ", part("V", "value", "value", "blend", "embeddings"),
  ];
}

/** The request whose numbers are shown. */
function body({ t, causal }) {
  return {
    query: EMBEDDINGS, key: EMBEDDINGS, value: EMBEDDINGS, similarity: "scaled_dot", temperature: onTheWire(t),
    ...(causal ? { mask: causalMask(WORDS.length) } : {}),
    projections: { W_Q, W_K, W_V, W_O, n_heads: 1 }, intermediates: true,
  };
}

/** The service's arrays, one head of one, as plain matrices; the raw dot products are the only ones worked out here. */
function readable(answer, { causal }) {
  const all = answer.intermediates;
  const flat = (array) => (Array.isArray(array[0][0]) ? array[0] : array);
  const [query, key, value] = ["query", "key", "value"].map((name) => flat(all[name]));
  return {
    embeddings: EMBEDDINGS, W_Q, W_K, W_V, words: WORDS, query, key, value,
    dot: product(query, transposed(key)),
    similarity: flat(all.similarities),
    mask: causal ? causalMask(WORDS.length) : null,
    logits: flat(all.logits), weights: flat(all.weights), output: answer.output,
  };
}
