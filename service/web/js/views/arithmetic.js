/** The blended value written out: weight × value, row by row, for the heaviest rows. */

import { vectorOf } from "../api.js";
import { veiled } from "../asking.js";
import { fill, h } from "../element.js";
import { fixed, percent } from "../numbers.js";
import { blendOf, valuesOf } from "../values.js";
import { say } from "../words.js";
import { heaviest } from "./answers.js";
import { barcode } from "./output.js";

const LINES = 4;
const COMPONENTS = 3;
/** A weight that three decimals would show as 0 is told with the others. */
const SMALLEST = 0.0005;
/** Own rows up to here are all encoded, so that their sum is whole while the slider moves. */
const ALL = 60;
const CELLS = 64;
/** Decimals of a component of a text's vector; a blend of numbers has more than they have. */
const DECIMALS = 4;
/** @type {Record<string, number | undefined>} */
const MORE = { number: 2, place: 2 };

/** @typedef {import("../values.js").Values} Values */
/** @typedef {import("./output.js").Blend} Blend */
/** @typedef {{text: string | undefined, vector: Float64Array}} Known the vector of a row's value, and the text that it is of */

/** @param {Page.Context} context @param {(blend: ?Blend) => void} blended told the output: its vector, and what is known of it */
export function arithmetic({ asker }, blended) {
  const title = h("h2", {}, say("arithmetic.title"));
  const how = h("p.small.soft", {});
  const head = h("thead");
  const body = h("tbody");
  const element = h(
    "section.arithmetic",
    { "aria-label": say("arithmetic.title"), hidden: true },
    title,
    how,
    h("div.scrolling", { tabIndex: 0, role: "group", "aria-label": say("arithmetic.title") }, h("table", {}, head, body)),
  );
  /** @type {Map<string, Float64Array>} */
  const encoded = new Map();
  /** @type {Map<string, Known>} */
  let vectors = new Map();
  /** @type {?Float64Array} */
  let restMean = null;

  /** The rows are others, and maybe the kind of their values. @param {Page.Lookup} model */
  function show({ result }) {
    const values = valuesOf(result);
    const { kind } = values;
    const components = values.kind === "text" ? null : values.components;
    const names = components ? components.map((name) => say(`arithmetic.${name}`)) : [1, 2, 3].map((i) => say("arithmetic.component", { i }));
    how.replaceChildren(say(components ? `arithmetic.how.${kind}` : "arithmetic.how"));
    fill(
      head,
      h(
        "tr",
        {},
        h("td"),
        h("th", { scope: "col" }, say("word.weight")),
        h("td"),
        names.map((name) => h("th", { scope: "col" }, name)),
        h("td"),
        h("th", { scope: "col" }, say("word.value")),
      ),
    );
  }

  /** The service answered: take its vectors, and what the rows not shown add. @param {Page.Lookup & {served: Page.Attended, signal: AbortSignal}} checked */
  async function served({ state, result, answer, served: service, signal }) {
    if (valuesOf(result).kind === "text") {
      vectors = state.rows ? await ownVectors(result, answer, signal) : storedVectors(result, service);
      restMean = service.output ? restOf(result, answer, vectorOf(service.output)) : null;
    }
    weigh({ result, answer, state });
  }

  /** @param {Page.Result} result @param {Page.Attended} served */
  function storedVectors({ rows }, { matches }) {
    const texts = new Map(rows.map((row) => [row.id, row.value]));
    /** @type {[string, Known][]} */
    const known = matches.flatMap(({ id, value_vector: vector }) => (vector ? [[id, { text: texts.get(id), vector: vectorOf(vector) }]] : []));
    return new Map(known);
  }

  /** @param {Page.Result} result @param {Page.Answer} answer @param {AbortSignal} signal */
  async function ownVectors(result, answer, signal) {
    const wanted = result.rows.length <= ALL ? result.rows.filter((row) => !row.masked) : heaviest(answer.weights, 12).map((i) => result.rows[i]);
    const missing = [...new Set(wanted.map((row) => row.value).filter((text) => !encoded.has(text)))];
    if (missing.length) {
      const found = await asker.encode(missing, signal);
      missing.forEach((text, i) => encoded.set(text, vectorOf(found[i])));
    }
    /** @type {[string, Known][]} */
    const known = wanted.flatMap(({ id, value }) => {
      const vector = encoded.get(value);
      return vector ? [[id, { text: value, vector }]] : [];
    });
    return new Map(known);
  }

  /** The output at once: what the slider shows while it moves. @param {Page.Lookup} model */
  function blend(model) {
    const values = valuesOf(model.result);
    const secret = !model.result.asked || veiled(model);
    const found = secret ? null : values.kind !== "text" ? { ...blendOf(values, model.answer), values, model } : whole(model, values);
    element.hidden = !found;
    blended(found);
    return found;
  }

  /** @param {Page.Lookup} model @param {Extract<Values, {kind: "text"}>} values */
  function whole({ result, answer }, values) {
    const [first] = vectors.values();
    if (!first) return null;
    const { output, covered } = summed(result, answer, first.vector.length);
    const left = Math.max(0, 1 - covered - answer.nullWeight);
    if (restMean && left > 0) for (let j = 0; j < output.length; j++) output[j] += left * restMean[j];
    return { output, values, nearest: nearestOf(result.rows, output) };
  }

  /** The stored value nearest to the output, by the angle between them, of those whose vector is known; null without one. @param {Page.ShownRow[]} rows @param {Float64Array} output */
  function nearestOf(rows, output) {
    const near = rows.flatMap(({ id, value, masked }) => {
      const known = vectors.get(id);
      return known && !masked && known.text === value ? [{ value, similarity: cosine(known.vector, output) }] : [];
    });
    const best = near.reduce((/** @type {?typeof near[0]} */ most, one) => (most && most.similarity >= one.similarity ? most : one), null);
    return best && { ...best, of: near.length };
  }

  /** @param {Page.Lookup} model */
  function weigh(model) {
    const found = blend(model);
    if (!found) return;
    const { result, answer } = model;
    const { output, values } = found;
    const shown = heaviest(answer.weights, LINES).flatMap((i) => {
      const { id, value } = result.rows[i];
      const vector = values.kind === "text" ? vectors.get(id)?.vector : values.vectors[i];
      return vector && answer.weights[i] >= SMALLEST ? [{ weight: answer.weights[i], vector, value }] : [];
    });
    const lines = shown.map(({ weight, vector, value }) => term(weight, vector, value, values));
    const others = Float64Array.from(output);
    for (const { weight, vector } of shown) for (let j = 0; j < others.length; j++) others[j] -= weight * vector[j];
    const share = 1 - answer.nullWeight - shown.reduce((sum, { weight }) => sum + weight, 0);
    if (share > 1e-12 && answer.weights.some((weight) => weight > 0))
      lines.push(
        term(
          share,
          others.map((component) => component / share),
          say("arithmetic.others"),
          values,
          "others",
        ),
      );
    if (result.nullKey) lines.push(term(answer.nullWeight, new Float64Array(output.length), say("arithmetic.none"), values, "none"));
    lines.forEach((line, i) => i && line.firstElementChild?.append("+"));
    fill(body, lines, sum(found));
  }

  /** What the known vectors blend to, and how much they weigh. @param {Page.Result} result @param {Page.Answer} answer @param {number} width */
  function summed(result, answer, width) {
    const output = new Float64Array(width);
    let covered = 0;
    result.rows.forEach((row, i) => {
      const vector = vectors.get(row.id)?.vector;
      if (!vector || !answer.weights[i]) return;
      covered += answer.weights[i];
      for (let j = 0; j < width; j++) output[j] += answer.weights[i] * vector[j];
    });
    return { output, covered };
  }

  /** @param {Page.Result} result @param {Page.Answer} answer @param {Float64Array} output the service's */
  function restOf(result, answer, output) {
    const { output: part, covered } = summed(result, answer, output.length);
    const left = 1 - covered - answer.nullWeight;
    return left > 1e-9 ? output.map((component, j) => (component - part[j]) / left) : null;
  }

  return { element, show, blend, weigh, served };
}

/** @param {Float64Array} a @param {Float64Array} b */
function cosine(a, b) {
  let [dot, ofA, ofB] = [0, 0, 0];
  for (let j = 0; j < a.length; j++) {
    dot += a[j] * b[j];
    ofA += a[j] * a[j];
    ofB += b[j] * b[j];
  }
  return dot / Math.max(Math.sqrt(ofA * ofB), 1e-30);
}

/**
 * One line: weight × vector; `kind` is a line of more than one row.
 *
 * @param {number} weight @param {ArrayLike<number>} vector @param {string} name @param {Values} values @param {string} [kind]
 */
function term(weight, vector, name, values, kind = "") {
  const made = kind === "others" ? MORE[values.kind] : 0;
  const line = h(
    "tr",
    {},
    h("td.sign"),
    h("td.weight.number", {}, fixed(weight, 3)),
    h("td.sign", {}, "×"),
    cells(vector, values, made),
    h("td.value", {}, pictured(vector, values, kind === "none" ? 0 : 0.25 + 0.75 * Math.sqrt(weight))),
    h(kind ? "td" : "td.value.name", { dir: "auto" }, name.slice(0, 120)),
  );
  if (kind) line.className = "others";
  return line;
}

/** @param {Blend} blend */
function sum(blend) {
  const { output, values } = blend;
  const { mean, answered, name } = "mean" in blend ? { ...blend, name: nameOf(blend) } : { mean: null, answered: 1, name: "" };
  return h(
    "tr.sum",
    {},
    h("td"),
    h("td.weight.number"),
    h("td.sign", {}, "="),
    cells(output, values, MORE[values.kind]),
    h("td.value", {}, pictured(mean ?? output, values, answered)),
    h("td", {}, say("arithmetic.sum"), name && " · ", name),
  );
}

/** @param {import("./output.js").ValueBlend} blend */
function nameOf({ output, answered, mean, values }) {
  if (!mean) return "";
  return answered < 1 ? say("arithmetic.answered", { value: values.write(mean), share: percent(answered) }) : values.write(output);
}

/** A vector as it can be seen in a line: a strip of cells, a swatch; a number is itself. @param {ArrayLike<number>} vector @param {Values} values @param {number} opacity */
function pictured(vector, values, opacity) {
  if (values.kind === "number" || values.kind === "place") return null;
  const shown = values.kind === "text" ? strip(vector) : h("span.swatch", { style: { "--colour": values.write(Array.from(vector)) } });
  shown.style.setProperty("opacity", String(opacity));
  return shown;
}

/** @param {ArrayLike<number>} vector */
function strip(vector) {
  const { element, draw } = barcode(CELLS, 3, 20);
  draw(vector);
  return element;
}

/** @param {ArrayLike<number>} vector @param {Values} values @param {number} [made] decimals more than the values have */
function cells(vector, values, made = 0) {
  const decimals = values.kind === "text" ? DECIMALS : values.decimals;
  return Array.from(vector)
    .slice(0, COMPONENTS)
    .map((component) => h("td.number", {}, fixed(component, decimals + made)));
}
