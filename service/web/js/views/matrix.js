/** A matrix as a table of its numbers; its cells can be pointed at. */

import { h } from "../element.js";
import { fixed } from "../numbers.js";
import { subscripted } from "../words.js";

/**
 * @param {Page.Matrix} what
 *   `name` is shown above, e.g. "Q"; `kind` is query, key, value, weight or plain: its colour; `numbers` may be null or ±Infinity;
 *   `rows` and `columns` are labels; `point` is told the cell that is pointed at or focused
 */
export function matrix({ name, kind = "plain", numbers, rows = [], columns = [], point, decimals = 2 }) {
  const cells = numbers.map((row, i) =>
    row.map((number, j) => {
      const text = number === null ? "−∞" : fixed(number, decimals);
      const cell = h("td", { style: kind === "weight" && number !== null && number > 0 ? { "--share": String(number) } : {} });
      if (!point) cell.append(text);
      else
        cell.append(
          h(
            "button",
            {
              type: "button",
              onmouseenter: () => point(i, j),
              onfocus: () => point(i, j),
              onclick: () => point(i, j),
              "aria-label": `${name} ${rows[i] ?? i + 1}, ${columns[j] ?? j + 1}: ${text}`,
            },
            text,
          ),
        );
      return cell;
    }),
  );
  const head = columns.length
    ? h(
        "tr",
        {},
        rows.length ? h("td.corner") : null,
        columns.map((column) => h("th", { scope: "col" }, column)),
      )
    : null;
  const body = cells.map((row, i) => h("tr", {}, rows.length ? h("th", { scope: "row" }, rows[i]) : null, row));
  const element = h(
    `figure.matrix.${kind}`,
    {},
    h("figcaption", {}, subscripted(name), h("span.soft.tiny", {}, ` ${numbers.length}×${numbers[0].length}`)),
    h("table", {}, head, h("tbody", {}, body)),
  );

  /** Light a row, a column or a cell; null lights none. @param {?number} row @param {?number} column */
  function light(row, column) {
    cells.forEach((line, i) =>
      line.forEach((cell, j) => {
        const lit = (row !== null || column !== null) && (row === null || row === i) && (column === null || column === j);
        cell.classList.toggle("lit", lit);
      }),
    );
  }

  return { element, light };
}
