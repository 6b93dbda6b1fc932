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
const MORE = { number: 2, place: 2 };

/** @param {Page.Context} context @param {(blend: any) => void} blended told the output: its vector, and what is known of it */
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
  const encoded = new Map();
  let vectors = new Map();
  let restMean = null;

  /** The rows are others, and maybe the kind of their values. */
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

  /** The service answered: take its vectors, and what the rows not shown add. */
  async function served({ state, result, answer, served: service, signal }) {
    if (valuesOf(result).kind === "text") {
      vectors = state.rows ? await ownVectors(result, answer, signal) : storedVectors(result, service);
      restMean = service.output ? restOf(result, answer, vectorOf(service.output)) : null;
    }
    weigh({ result, answer, state });
  }

  function storedVectors({ rows }, { matches }) {
    const texts = new Map(rows.map((row) => [row.id, row.value]));
    return new Map(
      matches.filter((match) => match.value_vector).map((match) => [match.id, { text: texts.get(match.id), vector: vectorOf(match.value_vector) }]),
    );
  }

  async function ownVectors(result, answer, signal) {
    const wanted = result.rows.length <= ALL ? result.rows.filter((row) => !row.masked) : heaviest(answer.weights, 12).map((i) => result.rows[i]);
    const missing = [...new Set(wanted.map((row) => row.value).filter((text) => !encoded.has(text)))];
    if (missing.length) {
      const found = await asker.encode(missing, signal);
      missing.forEach((text, i) => encoded.set(text, vectorOf(found[i])));
    }
    return new Map(wanted.map((row) => [row.id, { text: row.value, vector: encoded.get(row.value) }]));
  }

  /** The output at once: what the slider shows while it moves. */
  function blend(model) {
    const values = valuesOf(model.result);
    const secret = !model.result.asked || veiled(model);
    const found = secret ? null : values.kind !== "text" ? { ...blendOf(values, model.answer), values, model } : vectors.size ? whole(model, values) : null;
    element.hidden = !found;
    blended(found);
    return found;
  }

  function whole({ result, answer }, values) {
    const { output, covered } = summed(result, answer, vectors.values().next().value.vector.length);
    const left = Math.max(0, 1 - covered - answer.nullWeight);
    if (restMean && left > 0) for (let j = 0; j < output.length; j++) output[j] += left * restMean[j];
    return { output, values, nearest: nearestOf(result.rows, output) };
  }

  /** The stored value nearest to the output, by the angle between them, of those whose vector is known; null without one. */
  function nearestOf(rows, output) {
    const known = rows.filter((row) => !row.masked && vectors.get(row.id)?.text === row.value);
    const near = known.map((row) => cosine(vectors.get(row.id).vector, output));
    const at = near.indexOf(Math.max(...near));
    return at < 0 ? null : { value: known[at].value, similarity: near[at], of: known.length };
  }

  function weigh(model) {
    const found = blend(model);
    if (!found) return;
    const { result, answer } = model;
    const { output, values } = found;
    const of = (i) => (values.kind === "text" ? vectors.get(result.rows[i].id)?.vector : values.vectors[i]);
    const shown = heaviest(answer.weights, LINES).filter((i) => of(i) && answer.weights[i] >= SMALLEST);
    const lines = shown.map((i) => term(answer.weights[i], of(i), result.rows[i].value, values));
    const others = Float64Array.from(output);
    for (const i of shown) of(i).forEach((component, j) => (others[j] -= answer.weights[i] * component));
    const share = 1 - answer.nullWeight - shown.reduce((sum, i) => sum + answer.weights[i], 0);
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
    lines.forEach((line, i) => i && line.firstElementChild.append("+"));
    fill(body, lines, sum(found));
  }

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

  function restOf(result, answer, output) {
    const { output: part, covered } = summed(result, answer, output.length);
    const left = 1 - covered - answer.nullWeight;
    return left > 1e-9 ? output.map((component, j) => (component - part[j]) / left) : null;
  }

  return { element, show, blend, weigh, served };
}

function cosine(a, b) {
  let [dot, ofA, ofB] = [0, 0, 0];
  for (let j = 0; j < a.length; j++) {
    dot += a[j] * b[j];
    ofA += a[j] * a[j];
    ofB += b[j] * b[j];
  }
  return dot / Math.max(Math.sqrt(ofA * ofB), 1e-30);
}

/** One line: weight × vector; `kind` is a line of more than one row. */
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

/** @param {any} blend told above */
function sum({ output, answered, mean, values }) {
  const name = mean && answered < 1 ? say("arithmetic.answered", { value: values.write(mean), share: percent(answered) }) : mean ? values.write(output) : "";
  return h(
    "tr.sum",
    {},
    h("td"),
    h("td.weight.number"),
    h("td.sign", {}, "="),
    cells(output, values, MORE[values.kind]),
    h("td.value", {}, pictured(mean ?? output, values, answered ?? 1)),
    h("td", {}, say("arithmetic.sum"), name && " · ", name),
  );
}

/** A vector as it can be seen in a line: a strip of cells, a swatch; a number is itself. */
function pictured(vector, values, opacity) {
  if (values.kind !== "text" && values.kind !== "colour") return null;
  const strip = values.kind === "text" ? barcode(CELLS, 3, 20) : null;
  strip?.draw(vector);
  const shown = strip?.element ?? h("span.swatch", { style: { "--colour": values.write(Array.from(vector)) } });
  shown.style.setProperty("opacity", String(opacity));
  return shown;
}

function cells(vector, { decimals = DECIMALS }, made = 0) {
  return Array.from(vector)
    .slice(0, COMPONENTS)
    .map((component) => h("td.number", {}, fixed(component, decimals + made)));
}
