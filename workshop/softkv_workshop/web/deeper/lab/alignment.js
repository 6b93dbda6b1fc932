/** The alignment of two sequences, as Bahdanau, Cho and Bengio drew it in 2014: source across, what was written down, weight as ink. */

import { fill, h } from "../../../../../service/softkv_service/web/shared/element.js";
import { percent } from "../../../../../service/softkv_service/web/shared/numbers.js";

/** @type {Record<string, number[] | undefined>} */
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/** A table whose cells one points at, or walks with the arrow keys: one stop of the Tab key. @param {import("../parts.js").Say} say */
export function alignment(say) {
  const told = h("p.small.alignment-said", { id: "alignment-said", role: "status" });
  const table = h("table", {});
  const element = h("div.alignment", {}, h("div.scrolling", {}, table), told);
  /** @type {HTMLElement[][]} */
  let cells = [];

  /** @param {{source: string[], tokens: {text: string, probability: number}[], weights: number[][]}} what weights [token][place] */
  function show({ source, tokens, weights }) {
    cells = weights.map((row, i) =>
      row.map((weight, j) =>
        h("td", {
          style: { "--share": String(weight) },
          "data-weight": String(weight),
          tabIndex: i || j ? -1 : 0,
          title: percent(weight),
          "aria-label": say("lab.cell", { token: named(say, tokens[i].text), place: source[j], weight: percent(weight) }),
          onpointerenter: () => tell(i, j),
          onfocus: () => tell(i, j),
          onkeydown: (event) => walk(event, i, j),
        }),
      ),
    );
    /**
     * @param {number} i
     * @param {number} j
     */
    function tell(i, j) {
      fill(
        told,
        say.rich("lab.cell.say", {
          token: named(say, tokens[i].text),
          place: source[j],
          weight: percent(weights[i][j]),
          probability: percent(tokens[i].probability),
        }),
      );
    }
    fill(
      table,
      h("caption.unseen", {}, say("lab.alignment")),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("td", {}),
          source.map((token) => h("th.key", { scope: "col" }, h("bdi", {}, token))),
        ),
      ),
      h(
        "tbody",
        {},
        cells.map((row, i) => h("tr", {}, h("th.query", { scope: "row" }, h("bdi", {}, named(say, tokens[i].text))), row)),
      ),
    );
    fill(told, say.rich("lab.alignment.point"));
  }

  /**
   * @param {KeyboardEvent} event
   * @param {number} i
   * @param {number} j
   */
  function walk(event, i, j) {
    const by = STEPS[event.key];
    if (!by || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const next = cells[i + by[0]]?.[j + by[1]];
    if (!next) return;
    cells[i][j].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  return { element, show };
}

/**
 * A token as it is read out.
 * @param {import("../parts.js").Say} say
 * @param {string} token
 */
export function named(say, token) {
  return token === "<end>" ? say("lab.end") : token;
}
