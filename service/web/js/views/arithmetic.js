/** The blended value written out: weight × value, row by row, for the heaviest rows. */

import { vectorOf } from "../api.js";
import { fill, h } from "../element.js";
import { fixed } from "../numbers.js";
import { veiled } from "../reading.js";
import { say } from "../words.js";
import { heaviest } from "./answers.js";
import { barcode } from "./barcode.js";

const LINES = 4;
const COMPONENTS = 3;
/** A weight that three decimals would show as 0 is told with the others. */
const SMALLEST = 0.0005;
/** Own rows up to here are all encoded, so that their sum is whole while the slider moves. */
const ALL = 60;
const CELLS = 64;

/** @param {object} context @param {function(ArrayLike<number>): void} blended told the output's vector */
export function arithmetic({ asker }, blended) {
  const body = h("tbody");
  const element = h("section.arithmetic", { "aria-label": say("arithmetic.title"), hidden: true },
    h("h2", {}, say("arithmetic.title")), h("p.small.soft", {}, say("arithmetic.how")),
    h("div.scrolling", { tabIndex: 0, role: "group", "aria-label": say("arithmetic.title") }, h("table", {}, h("thead", {}, h("tr", {},
      h("th", { scope: "col" }, say("word.weight")), h("td"), ...[1, 2, 3].map((i) => h("th", { scope: "col" }, say("arithmetic.component", { i }))),
      h("td"), h("th", { scope: "col" }, say("word.value")))), body)));
  const encoded = new Map();
  let vectors = new Map();
  let restMean = null;

  /** The service answered: take its vectors, and what the rows not shown add. */
  async function served({ state, result, answer, served: service, signal }) {
    vectors = state.rows ? await ownVectors(result, answer, signal) : new Map(service.matches.filter((match) => match.value_vector).map((match) => [match.id, vectorOf(match.value_vector)]));
    restMean = service.output ? restOf(result, answer, vectorOf(service.output)) : null;
    weigh({ result, answer, state });
  }

  async function ownVectors(result, answer, signal) {
    const wanted = result.rows.length <= ALL ? result.rows.filter((row) => !row.masked) : heaviest(answer.weights, 12).map((i) => result.rows[i]);
    const missing = [...new Set(wanted.map((row) => row.value).filter((text) => !encoded.has(text)))];
    if (missing.length) {
      const found = await asker.encode(missing, signal);
      missing.forEach((text, i) => encoded.set(text, vectorOf(found[i])));
    }
    return new Map(wanted.map((row) => [row.id, encoded.get(row.value)]));
  }

  /** The output at once: what the slider shows while it moves. */
  function blend(model) {
    element.hidden = !vectors.size || !model.result.asked || veiled(model);
    const output = element.hidden ? null : whole(model);
    blended(output);
    return output;
  }

  function whole({ result, answer }) {
    const { output, covered } = summed(result, answer, vectors.values().next().value.length);
    const left = Math.max(0, 1 - covered - answer.nullWeight);
    if (restMean && left > 0) for (let j = 0; j < output.length; j++) output[j] += left * restMean[j];
    return output;
  }

  function weigh(model) {
    const output = blend(model);
    if (!output) return;
    const { result, answer } = model;
    const shown = heaviest(answer.weights, LINES).filter((i) => vectors.has(result.rows[i].id) && answer.weights[i] >= SMALLEST);
    const lines = shown.map((i) => line(answer.weights[i], vectors.get(result.rows[i].id), result.rows[i].value));
    const others = Float64Array.from(output);
    for (const i of shown) vectors.get(result.rows[i].id).forEach((component, j) => (others[j] -= answer.weights[i] * component));
    const share = 1 - answer.nullWeight - shown.reduce((sum, i) => sum + answer.weights[i], 0);
    if (share > 1e-12) lines.push(sumLine("arithmetic.others", share, others, "others"));
    if (result.nullKey) lines.push(sumLine("arithmetic.none", answer.nullWeight, new Float64Array(output.length), "others"));
    lines.push(sumLine("arithmetic.sum", null, output, "sum"));
    fill(body, lines);
  }

  function summed(result, answer, width) {
    const output = new Float64Array(width);
    let covered = 0;
    result.rows.forEach((row, i) => {
      const vector = vectors.get(row.id);
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

  return { element, blend, weigh, served };
}

function line(weight, vector, name) {
  const strip = barcode(CELLS, 3, 20);
  strip.draw(vector);
  strip.element.style.setProperty("opacity", String(0.25 + 0.75 * Math.sqrt(weight)));
  return h("tr", {}, h("td.weight.number", {}, fixed(weight, 3)), h("td", {}, "×"), cells(vector), h("td.value", {}, strip.element), h("td.value.name", { dir: "auto" }, name.slice(0, 120)));
}

function sumLine(name, weight, vector, kind) {
  const strip = barcode(CELLS, 3, 20);
  const row = h(`tr.${kind}`, {}, h("td.weight.number", {}, weight === null ? "" : fixed(weight, 3)), h("td", {}, weight === null ? "=" : "+"), cells(vector), h("td.value", {}, strip.element), h("td", {}, say(name)));
  strip.draw(vector);
  return row;
}

function cells(vector) {
  return Array.from(vector).slice(0, COMPONENTS).map((component) => h("td.number", {}, fixed(component, 4)));
}
