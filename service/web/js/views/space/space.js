/** A map of keys: the query is a point of a plane, and what is asked is the vector at that point. */

import { vectorOf } from "../../api.js";
import { h, put } from "../../element.js";
import { count, fixed, percent } from "../../numbers.js";
import { onTheWire } from "../../scale.js";
import { say } from "../../words.js";
import { copyAsCurl } from "../copying.js";
import { latest } from "../latest.js";
import { temperatureSlider } from "../temperature.js";
import { chart } from "./chart.js";
import { cosine, Plane } from "./plane.js";

const SHARES = [0.5, 0.1, 0.01];
const MOST = 1000;
const DECIMALS = 6;
const REST_MS = 60;
const TYPING_MS = 400;

/** @param {object} context */
export function space(context) {
  const { store, api } = context;
  const path = `/v1/collections/${encodeURIComponent(store.state.source)}/attend`;
  let waiting = 0;
  let rows = null;
  let plane = null;
  let text = null;
  const slider = temperatureSlider(store.state.t, (t) => store.set({ t }));
  const question = h("input.question", { type: "text", id: "question", value: store.state.query, autocomplete: "off", dir: "auto", maxLength: 2000, oninput: () => store.set({ query: question.value, spot: null }) });
  const picture = chart((spot) => store.set({ spot }));
  const words = h("p", { id: "space-words", role: "status" });
  const left = h("p.small", { id: "space-left" });
  const ends = h("p.small.soft", { id: "space-ends" });
  const element = h("div.lookup.space", {},
    h("section.left", {}, context.story, h("div", {}, h("label.query.strong", { for: "question" }, "● ", say("space.question")), question), slider.element, words, left),
    h("section.right", {}, picture.element, h("p.small.soft", {}, say("space.how")), ends,
      h("div.under", {}, copyAsCurl(context, () => ({ method: "POST", path, body: body(plane.lift(where())) })))));

  const asking = latest(context, element);

  /** Where the query is: where it was put, or where its text falls. */
  function where() {
    return store.state.spot ?? text.place;
  }

  function body(vector) {
    return { query: Array.from(vector, (component) => Number(component.toFixed(DECIMALS))), temperature: onTheWire(store.state.t), top_k: MOST, null: false, include: ["key"] };
  }

  /** The keys, their plane, and the text's own vector. */
  async function begin() {
    await asking.ask(async (signal) => {
      const [{ matches }] = await Promise.all([
        rows ? { matches: rows } : api.post(path, { query: store.state.query, top_k: MOST, include: ["key", "key_vector"], vector_format: "base64" }, signal),
        read(signal),
      ]);
      if (!plane) {
        rows = matches.map(({ id, key, key_vector: vector }) => ({ id, key, vector: vectorOf(vector) }));
        plane = new Plane(rows.map(({ vector }) => vector));
        for (const row of rows) row.place = plane.place(row.vector);
        picture.fit(rows.map((row) => row.place));
      }
      text.place = plane.place(text.vector);
      await ask(signal);
    });
  }

  async function read(signal) {
    const { query } = store.state;
    if (text?.query === query) return;
    const { embeddings } = await api.post("/v1/encode", { texts: [query || " "], purpose: "query" }, signal);
    text = { query, vector: vectorOf(embeddings[0]) };
  }

  async function ask(signal) {
    const place = where();
    const vector = plane.lift(place);
    const { matches } = await api.post(path, body(vector), signal);
    const weights = new Map(matches.map(({ id, weight }) => [id, weight]));
    const rings = store.state.t > 0 && Number.isFinite(store.state.t) ? SHARES.map((share) => plane.ring(place, share, store.state.t, picture.reach())) : [];
    picture.draw(place, rings, rows.map((row) => ({ ...row, weight: weights.get(row.id) ?? 0 })));
    const [best] = matches;
    const nearest = rows.reduce((one, row) => (away(row, place) < away(one, place) ? row : one));
    put(words, say("space.words", { key: best.key, weight: percent(best.weight), similarity: fixed(best.similarity), near: nearest.key, share: percent(weights.get(nearest.id) ?? 0) }));
    put(left, say("space.left", { share: percent(plane.share), rest: percent(1 - plane.share), dimensions: count(plane.width - 2), keeps: fixed(cosine(text.vector, plane.lift(text.place))) }));
    const end = (i, sign) => rows.reduce((one, row) => (sign * row.place[i] > sign * one.place[i] ? row : one)).key;
    put(ends, say("space.ends", { left: end(0, -1), right: end(0, 1), low: end(1, -1), high: end(1, 1) }));
    slider.follow(store.state.t, words.textContent);
    context.told({ state: store.state, share: plane.share, dimensions: plane.width, keys: rows.length, nearest: nearest.id, best: best.id });
  }

  function update(state, changed) {
    slider.follow(state.t);
    if (document.activeElement !== question) question.value = state.query;
    const typed = changed.has("query");
    if (!typed && !changed.has("spot") && !changed.has("t")) return;
    clearTimeout(waiting);
    waiting = setTimeout(() => (typed || !plane ? begin() : asking.ask(ask)), typed ? TYPING_MS : REST_MS);
  }

  begin();
  return { element, update, again: begin, leave: () => (asking.end(), clearTimeout(waiting)) };
}

function away({ place }, [a, b]) {
  return Math.hypot(place[0] - a, place[1] - b);
}
