/** One step drawn: its operands, its result, and the arithmetic of the number that is pointed at. */

import { fill, h } from "../element.js";
import { spread, transposed } from "../example.js";
import { fixed, temperatureText } from "../numbers.js";
import { say } from "../words.js";
import { matrix } from "./matrix.js";

/** @typedef {Page.Matrix["numbers"]} Numbers where null is −∞ */

/**
 * @param {string} step its name
 * @param {Page.Arrays} numbers the service's arrays
 * @param {{t: number}} state
 * @returns {Node[]}
 */
export function derivation(step, numbers, { t }) {
  const { words } = numbers;
  const cold = t === 0;
  const before = divided(numbers, t);
  const after = masked(numbers, before, t);
  const [beforeName, afterName] = cold ? ["QKᵀ / √d_k", say("steps.masked")] : ["QKᵀ / √d_k / T", say("steps.logits")];
  const axes = ["v₁", "v₂", "v₃", "v₄"].map((_, i) => `${i + 1}`);
  /** @type {Record<string, () => Node[]>} */
  const draw = {
    embeddings: () => [given({ name: "X", numbers: numbers.embeddings, rows: words, columns: say("steps.dimensions").split(", ") })],
    query: () =>
      multiplied(
        { name: "X", numbers: numbers.embeddings, rows: words },
        { name: "W_Q", numbers: numbers.W_Q },
        { name: "Q", kind: "query", numbers: numbers.query, rows: words, columns: axes },
      ),
    key: () =>
      multiplied(
        { name: "X", numbers: numbers.embeddings, rows: words },
        { name: "W_K", numbers: numbers.W_K },
        { name: "K", kind: "key", numbers: numbers.key, rows: words, columns: axes },
      ),
    value: () =>
      multiplied(
        { name: "X", numbers: numbers.embeddings, rows: words },
        { name: "W_V", numbers: numbers.W_V },
        { name: "V", kind: "value", numbers: numbers.value, rows: words, columns: axes },
      ),
    dot: () =>
      multiplied(
        { name: "Q", kind: "query", numbers: numbers.query, rows: words },
        { name: "Kᵀ", kind: "key", numbers: transposed(numbers.key), columns: words },
        { name: "QKᵀ", numbers: numbers.dot, rows: words, columns: words },
      ),
    scale: () =>
      each({ name: "QKᵀ", numbers: numbers.dot, rows: words, columns: words }, { name: beforeName, numbers: before, rows: words, columns: words }, (i, j) =>
        cold ? `${inWords(numbers, i, j)}. ${say("steps.scale.cold")}` : `${inWords(numbers, i, j)}; / ${temperatureText(t)} = ${fixed(before[i][j])}`,
      ),
    mask: () =>
      each({ name: beforeName, numbers: before, rows: words, columns: words }, { name: afterName, numbers: after, rows: words, columns: words }, (i, j) =>
        say(after[i][j] === null ? "steps.mask.cell" : "steps.open.cell", { query: words[i], key: words[j] }),
      ),
    softmax: () =>
      each(
        { name: afterName, numbers: after, rows: words, columns: words },
        { name: say("steps.weights"), kind: "weight", numbers: numbers.weights, rows: words, columns: words },
        (i, j) => (cold ? coldWords : softmaxWords)(after[i], numbers.weights[i], j),
        true,
      ),
    blend: () =>
      multiplied(
        { name: say("steps.weights"), kind: "weight", numbers: numbers.weights, rows: words, columns: words },
        { name: "V", kind: "value", numbers: numbers.value, rows: words },
        { name: say("word.output"), kind: "value", numbers: numbers.blended, rows: words, columns: axes },
      ),
    concat: () => sideBySide(numbers),
    project: () =>
      multiplied(
        { name: say("steps.concatenated"), kind: "value", numbers: numbers.concatenated, rows: words },
        { name: "W_O", numbers: numbers.W_O },
        { name: say("word.output"), kind: "value", numbers: numbers.output, rows: words, columns: axes },
      ),
    residual: () =>
      added(
        { name: "X", numbers: numbers.embeddings, rows: words },
        { name: say("word.output"), kind: "value", numbers: numbers.output },
        { name: say("steps.summed"), numbers: numbers.residual, rows: words, columns: axes },
      ),
    norm: () =>
      each(
        { name: say("steps.summed"), numbers: numbers.residual, rows: words },
        { name: say("steps.normalised"), numbers: numbers.normalised, rows: words, columns: axes },
        (i, j) => normWords(numbers.residual[i], numbers.normalised[i], j),
        true,
      ),
  };
  return draw[step]();
}

/** @param {Page.Matrix} what */
function given(what) {
  return h("div.equation", {}, matrix(what).element);
}

/** A · B = C: a number of C is the sum over a row of A and a column of B. @param {Page.Matrix} a @param {Page.Matrix} b @param {Page.Matrix} c */
function multiplied(a, b, c) {
  const [left, right] = [matrix(a), matrix(b)];
  const written = h("p.written.number", { "aria-live": "polite" });
  const result = matrix({ ...c, point });
  /** @param {number} i @param {number} j */
  function point(i, j) {
    left.light(i, null);
    right.light(null, j);
    result.light(i, j);
    const terms = a.numbers[i].map((x, k) => `${fixed(x)} · ${fixed(b.numbers[k][j])}`);
    fill(written, `${terms.join(" + ")} = `, h("strong", {}, fixed(c.numbers[i][j])));
  }
  point(0, 0);
  return [h("div.equation", {}, left.element, h("span.sign", {}, "·"), right.element, h("span.sign", {}, "="), result.element), written];
}

/** A + B = C, cell by cell. @param {Page.Matrix} a @param {Page.Matrix} b @param {Page.Matrix} c */
function added(a, b, c) {
  const [left, right] = [matrix(a), matrix(b)];
  const written = h("p.written.number", { "aria-live": "polite" });
  const result = matrix({ ...c, point });
  /** @param {number} i @param {number} j */
  function point(i, j) {
    for (const one of [left, right, result]) one.light(i, j);
    fill(written, `${fixed(a.numbers[i][j])} + ${fixed(b.numbers[i][j])} = `, h("strong", {}, fixed(c.numbers[i][j])));
  }
  point(0, 0);
  return [h("div.equation", {}, left.element, h("span.sign", {}, "+"), right.element, h("span.sign", {}, "="), result.element), written];
}

/** The outputs of all heads, and one wide row a word of them. @param {Page.Arrays} arrays */
function sideBySide({ heads, concatenated, words }) {
  const parts = heads.map((numbers, i) => matrix({ name: say("steps.head", { head: i + 1 }), kind: "value", numbers, rows: i ? [] : words }));
  const written = h("p.written.number", { "aria-live": "polite" });
  const result = matrix({
    name: say("steps.concatenated"),
    kind: "value",
    numbers: concatenated,
    rows: words,
    columns: concatenated[0].map((_, j) => `${j + 1}`),
    point,
  });
  /** @param {number} i @param {number} j */
  function point(i, j) {
    const width = concatenated[0].length / heads.length;
    const head = Math.floor(j / width);
    parts.forEach((part, at) => (at === head ? part.light(i, j % width) : part.light(null, null)));
    result.light(i, j);
    fill(written, say("steps.concat.cell", { word: words[i], column: j + 1, place: (j % width) + 1, head: head + 1, number: fixed(concatenated[i][j]) }));
  }
  point(0, 0);
  return [
    h(
      "div.equation",
      {},
      parts.flatMap((part, i) => [i ? h("span.sign", {}, "|") : null, part.element]),
      h("span.sign", {}, "→"),
      result.element,
    ),
    written,
  ];
}

/**
 * B is A cell by cell, or row by row.
 *
 * @param {Page.Matrix} a @param {Page.Matrix} b
 * @param {(row: number, column: number) => string} words what is written of a cell @param {boolean} [wholeRow]
 */
function each(a, b, words, wholeRow = false) {
  const left = matrix(a);
  const written = h("p.written.number", { "aria-live": "polite" });
  const result = matrix({ ...b, point });
  /** @param {number} i @param {number} j */
  function point(i, j) {
    left.light(i, wholeRow ? null : j);
    result.light(i, j);
    fill(written, words(i, j));
  }
  point(0, 0);
  return [h("div.equation", {}, left.element, h("span.sign", {}, "→"), result.element), written];
}

/** Before the mask: QKᵀ / √d_k / T. Nothing is divided by 0: T → 0 is a limit of the softmax, and said there. @param {Page.Arrays} arrays @param {number} t */
export function divided({ similarity, scaled }, t) {
  return t === 0 ? similarity : scaled;
}

/** After the mask: the service's logits; at T = 0 what they were before the limit. @param {Page.Arrays} arrays @param {number[][]} before @param {number} t @returns {Numbers} */
export function masked({ logits, mask }, before, t) {
  return t === 0 ? before.map((row, i) => row.map((s, j) => (mask && !mask[i][j] ? null : s))) : logits;
}

/** @param {Page.Arrays} arrays @param {number} i @param {number} j */
function inWords({ dot, similarity, key }, i, j) {
  return `${fixed(dot[i][j])} / √${key[0].length} = ${fixed(similarity[i][j])}`;
}

/** @param {Numbers[0]} logits @param {number[]} weights @param {number} j */
function softmaxWords(logits, weights, j) {
  const terms = logits.map((logit) => (logit === null ? "0" : `exp(${fixed(logit)})`));
  return `${terms[j]} / (${terms.join(" + ")}) = ${fixed(weights[j], 3)}`;
}

/** @param {number[]} row @param {number[]} result @param {number} j */
function normWords(row, result, j) {
  const { mean, deviation } = spread(row);
  return say("steps.norm.cell", { number: fixed(row[j]), mean: fixed(mean), deviation: fixed(deviation), result: fixed(result[j]) });
}

/** At T → 0: the largest of the row takes the whole. @param {Numbers[0]} row @param {number[]} weights @param {number} j */
function coldWords(row, weights, j) {
  const largest = Math.max(...row.filter((number) => number !== null));
  return say(weights[j] > 0 ? "steps.cold.most" : "steps.cold.none", { number: fixed(largest), weight: fixed(weights[j], 3) });
}
