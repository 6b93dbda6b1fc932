/** The labels as a table: each question with what it found, what that weighs, and a button that turns its label. */

import { fill, h, put } from "../../element.js";
import { percent } from "../../numbers.js";
import { clipped, say } from "../../words.js";

const LONGEST = 60;

/** @typedef {Page.Labelled & {match: NonNullable<Page.Labelled["match"]>}} Labelled */

/** @param {(it: number) => void} turn told which label to turn @param {() => void} anew */
export function labels(turn, anew) {
  const body = h("tbody");
  const columns = ["query", "found", "weight", "label"].map((name) => h("th", { scope: "col" }, say(`sure.column.${name}`)));
  const again = h("button.plain", { type: "button", id: "anew", onclick: anew }, say("sure.anew"));
  const element = h(
    "section.labels",
    { "aria-label": say("sure.labels") },
    h("div.across", {}, h("h2", {}, say("sure.labels")), again),
    h("div.scrolling", { tabIndex: 0, role: "group", "aria-label": say("sure.labels") }, h("table", {}, h("thead", {}, h("tr", {}, columns)), body)),
  );
  /** @type {ReturnType<typeof rowOf>[]} */
  let rows = [];
  let drawn = "";

  /** @param {Labelled} labelled @param {number} i */
  function rowOf({ query, match, right }, i) {
    const weight = h("td.number.weight", {});
    const name = say(right ? "sure.right" : "sure.wrong");
    const button = h(
      `button.turn.${right ? "right-one" : "wrong-one"}`,
      { type: "button", "aria-label": say("sure.turn", { label: name, query }), onclick: () => turn(i) },
      h("span", { "aria-hidden": "true" }, right ? "✓ " : "✗ "),
      name,
    );
    return {
      weight,
      element: h(
        "tr",
        {},
        h("td.query", { dir: "auto" }, clipped(query, LONGEST)),
        h("td.value", { dir: "auto" }, clipped(match.value, LONGEST)),
        weight,
        h("td", {}, button),
      ),
    };
  }

  /** @param {Labelled[]} labelled */
  function show(labelled) {
    element.hidden = !labelled.length;
    const now = JSON.stringify(labelled.map(({ query, right }) => [query, right]));
    if (now !== drawn) {
      const at = /** @type {(?Element)[]} */ ([...body.querySelectorAll("button")]).indexOf(document.activeElement);
      drawn = now;
      rows = labelled.map(rowOf);
      fill(
        body,
        rows.map((row) => row.element),
      );
      if (at >= 0) body.querySelectorAll("button")[at]?.focus();
    }
    labelled.forEach(({ weight }, i) => put(rows[i].weight, percent(weight)));
  }

  return { element, show };
}
