/** One step drawn: its operands, its result, and the arithmetic of the number that is pointed at. */

import { fill, h } from "../element.js";
import { transposed } from "../example.js";
import { fixed, temperatureText } from "../numbers.js";
import { say } from "../words.js";
import { matrix } from "./matrix.js";

/**
 * @param {string} step its name
 * @param {object} numbers the service's arrays
 * @param {{t: number}} state
 * @returns {Node[]}
 */
export function derivation(step, numbers, { t }) {
  const { words } = numbers;
  const axes = ["v₁", "v₂", "v₃", "v₄"].map((_, i) => `${i + 1}`);
  const draw = {
    embeddings: () => [given({ name: "X", numbers: numbers.embeddings, rows: words, columns: say("steps.dimensions").split(", ") })],
    query: () => multiplied({ name: "X", numbers: numbers.embeddings, rows: words }, { name: "W_Q", numbers: numbers.W_Q }, { name: "Q", kind: "query", numbers: numbers.query, rows: words, columns: axes }),
    key: () => multiplied({ name: "X", numbers: numbers.embeddings, rows: words }, { name: "W_K", numbers: numbers.W_K }, { name: "K", kind: "key", numbers: numbers.key, rows: words, columns: axes }),
    value: () => multiplied({ name: "X", numbers: numbers.embeddings, rows: words }, { name: "W_V", numbers: numbers.W_V }, { name: "V", kind: "value", numbers: numbers.value, rows: words, columns: axes }),
    dot: () => multiplied({ name: "Q", kind: "query", numbers: numbers.query, rows: words }, { name: "Kᵀ", kind: "key", numbers: transposed(numbers.key), columns: words }, { name: "QKᵀ", numbers: numbers.dot, rows: words, columns: words }),
    scale: () => each({ name: "QKᵀ", numbers: numbers.dot, rows: words, columns: words }, { name: "QKᵀ / √d_k / T", numbers: divided(numbers, t), rows: words, columns: words },
      (i, j) => `${fixed(numbers.dot[i][j])} / √${numbers.key[0].length} / ${temperatureText(t)} = ${fixed(divided(numbers, t)[i][j])}`),
    mask: () => each({ name: "QKᵀ / √d_k / T", numbers: divided(numbers, t), rows: words, columns: words }, { name: say("steps.logits"), numbers: numbers.logits, rows: words, columns: words },
      (i, j) => (numbers.mask && !numbers.mask[i][j] ? say("steps.mask.cell", { query: words[i], key: words[j] }) : say("steps.open.cell", { query: words[i], key: words[j] }))),
    softmax: () => each({ name: say("steps.logits"), numbers: numbers.logits, rows: words, columns: words }, { name: say("steps.weights"), kind: "weight", numbers: numbers.weights, rows: words, columns: words },
      (i, j) => softmaxWords(numbers.logits[i], numbers.weights[i], j), true),
    blend: () => multiplied({ name: say("steps.weights"), kind: "weight", numbers: numbers.weights, rows: words, columns: words }, { name: "V", kind: "value", numbers: numbers.value, rows: words }, { name: say("word.output"), kind: "value", numbers: numbers.output, rows: words, columns: axes }),
  };
  return draw[step]();
}

function given(what) {
  return h("div.equation", {}, matrix(what).element);
}

/** A · B = C: a number of C is the sum over a row of A and a column of B. */
function multiplied(a, b, c) {
  const [left, right] = [matrix(a), matrix(b)];
  const written = h("p.written.number", { "aria-live": "polite" });
  const result = matrix({ ...c, point });
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

/** B is A cell by cell, or row by row. */
function each(a, b, words, wholeRow = false) {
  const left = matrix(a);
  const written = h("p.written.number", { "aria-live": "polite" });
  const result = matrix({ ...b, point });
  function point(i, j) {
    left.light(i, wholeRow ? null : j);
    result.light(i, j);
    fill(written, words(i, j));
  }
  point(0, 0);
  return [h("div.equation", {}, left.element, h("span.sign", {}, "→"), result.element), written];
}

/** Before the mask. At T = 0 the limit itself: 0 for the largest of a row, −∞ for the rest. */
function divided({ similarity, logits }, t) {
  return t === 0 ? logits : similarity.map((row) => row.map((s) => s / t));
}

function softmaxWords(logits, weights, j) {
  const terms = logits.map((logit) => (logit === null ? "0" : `exp(${fixed(logit)})`));
  return `${terms[j]} / (${terms.join(" + ")}) = ${fixed(weights[j], 3)}`;
}
