/** The numbers of a picture, as a table under the hood. */

import { fill, h } from "../../../../service/web/shared/element.js";
import { fixed, percent, similarityText } from "../../../../service/web/shared/numbers.js";

/**
 * @param {import("../../../../service/web/shared/words.js").Say} say
 * @returns {{element: HTMLElement, show: (rows: {key: string}[], similarities: ArrayLike<number>, weights: ArrayLike<number>, temperature: number) => void}}
 */
export function numbers(say) {
  const body = h("tbody");
  const heads = ["table.key", "table.similarity", "table.logit", "table.weight"].map((name) => h("th", { scope: "col" }, say(name)));
  const element = h("table.numbers", {}, h("thead", {}, h("tr", {}, ...heads)), body);
  /** @type {() => void} */
  let draw = () => {};
  // A folded table is not drawn while a knob is dragged, but when it is opened.
  const isOpen = () => element.closest("details")?.open ?? true;
  requestAnimationFrame(() => element.closest("details")?.addEventListener("toggle", () => draw()));
  return {
    element,
    show(rows, similarities, weights, temperature) {
      const [s, w] = [Float64Array.from(similarities), Float64Array.from(weights)];
      draw = () =>
        isOpen() &&
        fill(
          body,
          rows.map(({ key }, i) => row(key, s[i], w[i], temperature)),
        );
      draw();
    },
  };
}

/**
 * @param {string} key
 * @param {number} similarity
 * @param {number} weight
 * @param {number} temperature
 */
function row(key, similarity, weight, temperature) {
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, key),
    h("td.number", {}, similarityText(similarity)),
    h("td.number", {}, temperature === 0 ? "–" : fixed(similarity / temperature, 2)),
    h("td.number.weight", {}, percent(weight)),
  );
}
