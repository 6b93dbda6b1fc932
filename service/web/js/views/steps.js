/** One attention layer, number by number: the service's own intermediates, forward and back. */

import { fill, h } from "../element.js";
import { rich, say, subscripted } from "../words.js";
import { copyAsCurl } from "./copying.js";
import { derivation } from "./derivation.js";
import { latest } from "./latest.js";
import { AROUND, STEPS } from "./layer/blocks.js";
import { attention, headsOf, numbersOf, walkedOf } from "./layer/numbers.js";
import { sheet } from "./layer/sheet.js";
import { temperatureSlider } from "./temperature.js";

/** One head, or the first or the second of two. */
const WALKS = [
  { heads: 1, walked: 0 },
  { heads: 2, walked: 0 },
  { heads: 2, walked: 1 },
];

/** @param {Page.Context} context */
export function steps(context) {
  const { store, api } = context;
  /** @type {?Page.Arrays} */
  let numbers = null;
  const list = h("ol.steps", {});
  const place = h("div.derivation", { id: "derivation" });
  const formula = h("p.formula", { "aria-hidden": "true" });
  const said = h("p.said", { id: "step-words", "aria-live": "polite" });
  const back = h("button", { type: "button", id: "back", onclick: () => go(-1) }, say("steps.back"));
  const next = h("button.main", { type: "button", id: "next", onclick: () => go(1) }, say("steps.next"));
  const causal = h("input", { type: "checkbox", id: "causal", checked: store.state.causal, onchange: () => store.set({ causal: causal.checked }) });
  const heads = h(
    "select",
    { id: "heads", onchange: () => store.set(WALKS[heads.selectedIndex]) },
    WALKS.map((_, i) => h("option", {}, say(`steps.heads.${i + 1}`))),
  );
  const whole = sheet(
    (step) => store.set({ step }),
    copyAsCurl(context, () => ({ method: "POST", path: "/v1/attend", body: attention(store.state) })),
  );
  const slider = temperatureSlider(store.state.t, (t) => store.set({ t }), [0, 0.1, 1, 10, Infinity]);
  const element = h(
    "div.lookup.layered",
    {},
    h(
      "section.left",
      {},
      context.story,
      list,
      h("div.walk", {}, back, next),
      slider.element,
      h("p", {}, causal, h("label", { for: "causal" }, ` ${say("steps.causal")}`)),
      h("p.of-heads", {}, h("label", { for: "heads" }, say("steps.heads")), " ", heads),
    ),
    h("section.right", {}, formula, said, place),
    h("section.whole-layer", {}, whole.element),
  );
  const asking = latest(context, element);
  const keys = new AbortController();
  document.addEventListener("keydown", onKey, { signal: keys.signal });

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    if (/** @type {Element} */ (event.target).closest("input, select, textarea")) return;
    if (event.key === "ArrowRight") go(1);
    if (event.key === "ArrowLeft") go(-1);
  }

  /** @param {number} by */
  function go(by) {
    store.set({ step: Math.min(STEPS.length - 1, Math.max(0, store.state.step + by)) });
  }

  async function request() {
    await asking.ask(async (signal) => {
      numbers = await numbersOf(api, store.state, signal);
      show();
    });
  }

  function show() {
    const step = Math.min(STEPS.length - 1, Math.max(0, Math.round(store.state.step)));
    fill(
      list,
      STEPS.map((name, i) =>
        h(
          i < AROUND ? "li" : "li.around",
          {},
          h(
            "button.plain",
            { type: "button", "aria-current": i === step ? "step" : null, onclick: () => store.set({ step: i }) },
            h("span.number", {}, String(i + 1)),
            " ",
            rich(`steps.${name}`),
          ),
        ),
      ),
    );
    back.disabled = step === 0;
    next.disabled = step === STEPS.length - 1;
    const isLimit = STEPS[step] === "scale" && store.state.t === 0;
    const [count, walked] = [headsOf(store.state), walkedOf(store.state)];
    heads.selectedIndex = WALKS.findIndex((one) => one.heads === count && one.walked === walked);
    fill(
      said,
      rich(`steps.${STEPS[step]}.say${isLimit ? ".cold" : ""}`, { T: store.state.t === Infinity ? "∞" : store.state.t }),
      count > 1 && step > 0 && step < AROUND ? [" ", h("span.soft", {}, rich("steps.head.shown", { head: walked + 1 }))] : null,
    );
    fill(formula, written(STEPS[step]));
    if (!numbers) return;
    fill(place, derivation(STEPS[step], numbers, store.state));
    whole.show(numbers, step, { t: store.state.t, heads: count, walked });
    context.told({ state: store.state, numbers });
  }

  /** @param {Page.State} state @param {Set<string>} changed */
  function update(state, changed) {
    slider.follow(state.t);
    causal.checked = state.causal;
    if (["t", "causal", "heads", "walked"].some((name) => changed.has(name))) request();
    else show();
  }

  request();
  show();
  return { element, update, leave: () => (asking.end(), keys.abort(), whole.leave()) };
}

/** norm(X + Concat(softmax(QKᵀ / √d_k T + mask) V) W_O), with the part that this step works on lit. @param {string} step */
function written(step) {
  const part = (/** @type {Page.Child} */ text, /** @type {string} */ kind, /** @type {string[]} */ ...steps) =>
    h(`span.part${kind ? `.${kind}` : ""}${steps.includes(step) ? ".now" : ""}`, {}, text);
  return [
    part("norm", "", "norm"),
    "( ",
    part("X +", "", "residual", "embeddings"),
    " ",
    part(say("sheet.concat"), "", "concat"),
    "( ",
    part("softmax", "weight", "softmax"),
    "( ",
    part("Q", "query", "query", "dot"),
    part("Kᵀ", "key", "key", "dot"),
    part([" / (√", subscripted("d_k"), " · T)"], "", "scale"),
    part(" + mask", "", "mask"),
    " ) · ",
    part("V", "value", "value", "blend"),
    " ) ",
    part(subscripted("W_O"), "", "project"),
    " )",
  ];
}
