/** The numbers of a picture, as a table under the hood. */

import { fill, h } from "../js/element.js";
import { fixed, percent, similarityText } from "../js/numbers.js";

/**
 * @param {import("./words.js").Say} say
 * @returns {{element: HTMLElement, show: (rows: {key: string, value: string}[], similarities: ArrayLike<number>, weights: ArrayLike<number>, temperature: number) => void}}
 */
export function numbers(say) {
  const body = h("tbody");
  const heads = ["table.key", "table.similarity", "table.logit", "table.weight"].map((name) => h("th", { scope: "col" }, say(name)));
  const element = h("table.numbers", {}, h("thead", {}, h("tr", {}, ...heads)), body);
  return {
    element,
    show(rows, similarities, weights, temperature) {
      fill(
        body,
        rows.map(({ key }, i) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, key),
            h("td.number", {}, similarityText(similarities[i])),
            h("td.number", {}, temperature === 0 ? "–" : fixed(similarities[i] / temperature, 2)),
            h("td.number.weight", {}, percent(weights[i])),
          ),
        ),
      );
    },
  };
}
