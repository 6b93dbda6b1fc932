/** A map of keys around the query that was typed: near is alike, and the temperature is the size of a ring. */

import { vectorOf } from "../../api.js";
import { h, put } from "../../element.js";
import { weigh } from "../../formula.js";
import { count, fixed, percent, power } from "../../numbers.js";
import { onTheWire } from "../../scale.js";
import { rich, say } from "../../words.js";
import { copyAsCurl } from "../copying.js";
import { latest } from "../latest.js";
import { temperatureSlider } from "../temperature.js";
import { chart } from "./chart.js";
import { tour } from "./circle.js";
import { Plane } from "./plane.js";

const MOST = 1000;
const REST_MS = 150;
const TYPING_MS = 400;
const FLIGHT_MS = 500;
/** The service's arithmetic may round otherwise, never by so much. */
const AGREED = 1e-6;

/** @typedef {import("./chart.js").Row & {id: string}} Row */
/** @typedef {{id: string, key: string, weight: number, similarity: number, key_vector: Parameters<typeof vectorOf>[0]}} Match */
/** @typedef {{rows: Row[], plane: Plane}} Laid the keys in the order of their ids, with their places */
/** @typedef {Laid & {query: string, spot: number[], similarities: Float64Array}} Answered the question, its vector's spot on the plane, and a similarity a row */

/** @param {Page.Context} context */
export function space(context) {
  const { store, api } = context;
  const path = `/v1/collections/${encodeURIComponent(store.state.source)}/attend`;
  let waiting = 0;
  let flying = 0;
  /** Null until the keys have come. @type {?Laid} */
  let laid = null;
  /** What was answered last. @type {?Answered} */
  let answered = null;
  /** What is drawn, which may still move. @type {?Float64Array} */
  let similarities = null;
  const slider = temperatureSlider(store.state.t, (t) => store.set({ t }));
  const question = h("input.question", {
    type: "text",
    id: "question",
    value: store.state.query,
    autocomplete: "off",
    dir: "auto",
    maxLength: 2000,
    oninput: () => store.set({ query: question.value }),
  });
  const picture = chart({ warm: (t) => store.set({ t }), point: told });
  const flat = h("button", { type: "button", id: "flat", onclick: () => store.set({ flat: !store.state.flat }) }, say("space.flat"));
  const words = h("p", { id: "space-words", role: "status" });
  const pointed = h("p.small.soft", { id: "space-pointed", role: "status" });
  const kept = h("p", { id: "space-kept" });
  const checked = h("p.checking.small.soft", { id: "checking" });
  const why = h(
    "details.space-why",
    {},
    h("summary", {}, say("space.why")),
    h("p.formula", {}, rich("space.formula")),
    ["ring", "angle", "plane"].map((part) => h("p", {}, say(`space.why.${part}`))),
  );
  const element = h(
    "div.lookup.space",
    {},
    h(
      "section.left",
      {},
      context.story,
      h("div", {}, h("label.query.strong", { for: "question" }, "● ", say("space.question")), question),
      slider.element,
      words,
      why,
      checked,
    ),
    h(
      "section.right",
      {},
      h("div.space-frame", {}, picture.element),
      h(
        "div.under",
        {},
        flat,
        pointed,
        copyAsCurl(context, () => ({ method: "POST", path, body: body(store.state) })),
      ),
      kept,
    ),
  );

  const asking = latest(context, element);

  /** @param {Page.State} state */
  function body({ query, t }) {
    return { query, temperature: onTheWire(t), top_k: MOST, null: false, include: ["key"] };
  }

  /** Ask the question as it stands, and compare the service's weights with the ones drawn. */
  async function ask() {
    clearTimeout(waiting);
    await asking.ask(async (signal) => {
      const { state } = store;
      const asked = { ...body(state), query: state.query || " " };
      const vectors = laid ? {} : { include: ["key", "key_vector"], vector_format: "base64" };
      const known = answered?.query === state.query ? answered.spot : null;
      const [answer, spot] = await Promise.all([api.post(path, { ...asked, ...vectors }, signal), known ?? encoded(asked.query, signal)]);
      /** @type {{matches: Match[], exported?: boolean}} */
      const { matches, exported } = answer;
      laid ??= lay(matches);
      const { rows, plane } = laid;
      const matched = new Map(matches.map((match) => [match.id, match]));
      const found = rows.map(({ id }) => /** @type {Match} */ (matched.get(id)));
      const now = Float64Array.from(found, ({ similarity }) => similarity);
      const from = similarities ?? now;
      answered = { rows, plane, query: state.query, spot: Array.isArray(spot) ? spot : plane.place(spot), similarities: now };
      if (!known) fly(answered, from);
      check(now, state.t, found, exported);
      tell(answered);
    });
  }

  /**
   * The service's weights against the ones drawn; an exported page has no service.
   *
   * @param {Float64Array} now @param {number} t @param {Match[]} found in the order of the rows @param {boolean} [isExported]
   */
  function check(now, t, found, isExported) {
    if (isExported) {
      checked.dataset.state = "exported";
      return put(checked, say("exported.checked"));
    }
    const { weights } = weigh(now, { temperature: t });
    const difference = Math.max(...found.map(({ weight }, i) => Math.abs(weights[i] - weight)));
    const isAgreed = difference < AGREED;
    Object.assign(checked.dataset, { state: isAgreed ? "agreed" : "apart", difference: String(difference) });
    put(checked, say(isAgreed ? "checking.agreed" : "checking.apart", { difference: power(difference) }));
  }

  /** @param {string} query @param {AbortSignal} signal */
  async function encoded(query, signal) {
    const { embeddings } = await api.post("/v1/encode", { texts: [query], purpose: "query" }, signal);
    return vectorOf(embeddings[0]);
  }

  /** Give each key its angle and its place on the plane, once: another question moves keys nearer or farther alone. @param {Match[]} matches @returns {Laid} */
  function lay(matches) {
    const sorted = [...matches].sort((one, other) => (one.id < other.id ? -1 : 1));
    const vectors = sorted.map((match) => vectorOf(match.key_vector));
    const plane = new Plane(vectors);
    const turns = new Map(tour(vectors, plane).map((row, i) => [row, (i + 0.5) / sorted.length]));
    return { plane, rows: sorted.map(({ id, key }, i) => ({ id, key, turn: /** @type {number} */ (turns.get(i)), flat: plane.place(vectors[i]) })) };
  }

  /** The keys move from where they were to where the new question puts them. @param {Answered} answer @param {Float64Array} from */
  function fly(answer, from) {
    const to = answer.similarities;
    cancelAnimationFrame(flying);
    const began = performance.now();
    const isStill = from === to || matchMedia("(prefers-reduced-motion: reduce)").matches;
    const frame = (/** @type {number} */ at) => {
      const share = isStill ? 1 : Math.min(1, (at - began) / FLIGHT_MS);
      const eased = share * share * (3 - 2 * share);
      similarities = to.map((one, i) => (share < 1 ? from[i] + eased * (one - from[i]) : one));
      draw(answer);
      if (share < 1) flying = requestAnimationFrame(frame);
    };
    frame(began);
  }

  /** @param {Answered} answer */
  function draw(answer) {
    const { t, flat: isFlat } = store.state;
    const shown = similarities ?? answer.similarities;
    const { weights } = weigh(shown, { temperature: t });
    picture.draw({ rows: answer.rows, similarities: shown, weights, t, spot: isFlat ? answer.spot : null });
  }

  /** The sentence, of the answer itself and not of a picture that still moves. @param {Answered} answer */
  function tell({ rows, plane, spot: [a, b], similarities: now }) {
    const { state } = store;
    const { weights } = weigh(now, { temperature: state.t });
    const best = now.indexOf(Math.max(...now));
    const inside = Array.from(now.keys()).filter((i) => now[best] - now[i] <= state.t);
    const share = inside.length === rows.length ? 1 : inside.reduce((sum, i) => sum + weights[i], 0);
    put(
      words,
      say("space.words", {
        key: rows[best].key,
        distance: fixed(1 - now[best]),
        weight: percent(weights[best]),
        inside: say(inside.length === 1 ? "space.inside.one" : "space.inside", { count: count(inside.length) }),
        share: percent(share),
      }),
    );
    put(kept, state.flat ? say("space.kept", { share: percent(plane.share) }) : "");
    flat.setAttribute("aria-pressed", String(state.flat));
    slider.follow(state.t, words.textContent);
    const onMap = rows.reduce((one, row) => (Math.hypot(row.flat[0] - a, row.flat[1] - b) < Math.hypot(one.flat[0] - a, one.flat[1] - b) ? row : one));
    context.told({ state, share: plane.share, inside: inside.length, near: 1 - now[best], far: 1 - Math.min(...now), nearest: onMap.id, best: rows[best].id });
  }

  /** What is told of a row that is pointed at. @param {?number} row */
  function told(row) {
    put(
      pointed,
      row === null || !answered
        ? ""
        : say("space.pointed", {
            key: answered.rows[row].key,
            distance: fixed(1 - answered.similarities[row]),
            weight: percent(weigh(answered.similarities, { temperature: store.state.t }).weights[row]),
          }),
    );
  }

  /** @param {Page.State} state @param {Set<string>} changed */
  function update(state, changed) {
    slider.follow(state.t);
    if (document.activeElement !== question) question.value = state.query;
    const isTyped = changed.has("query");
    if (!isTyped && !changed.has("t") && !changed.has("flat")) return;
    if (answered && !isTyped) {
      put(checked, say("checking.local"));
      checked.dataset.state = "local";
      draw(answered);
      tell(answered);
    }
    if (!isTyped && !changed.has("t")) return;
    element.setAttribute("aria-busy", "true");
    clearTimeout(waiting);
    waiting = setTimeout(ask, isTyped ? TYPING_MS : REST_MS);
  }

  ask();
  return { element, update, again: ask, leave: () => (asking.end(), clearTimeout(waiting), cancelAnimationFrame(flying), picture.leave()) };
}
