/** A matrix as a table of its numbers. */

import { h } from "../../../../service/softkv_service/web/shared/element.js";
import { fixed } from "../../../../service/softkv_service/web/shared/numbers.js";
import { subscripted } from "../../../../service/softkv_service/web/shared/words.js";

/**
 * @param {object} what
 * @param {string} what.name shown above the numbers
 * @param {string} [what.kind] value or plain: its colour
 * @param {number[][]} what.numbers
 * @param {string[]} [what.rows] labels
 */
export function matrix({ name, kind = "plain", numbers, rows = [] }) {
  const caption = h("figcaption", {}, ...subscripted(name), h("span.soft", {}, ` ${numbers.length}×${numbers[0].length}`));
  const lines = numbers.map((row, i) =>
    h(
      "tr",
      {},
      rows.length ? h("th", { scope: "row" }, rows[i]) : null,
      row.map((number) => h("td", {}, fixed(number))),
    ),
  );
  return h(`figure.matrix.${kind}`, {}, caption, h("table", {}, h("tbody", {}, lines)));
}
