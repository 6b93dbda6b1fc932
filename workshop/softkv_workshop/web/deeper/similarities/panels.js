/** A panel for each similarity: its formula, its score of each key, and the weights by softmax. */

import { fill, h, put } from "../../../../../service/softkv_service/web/shared/element.js";
import { fixed, percent } from "../../../../../service/softkv_service/web/shared/numbers.js";
import { subscripted } from "../../../../../service/softkv_service/web/shared/words.js";
import { LETTERS, MEASURES } from "./measures.js";

/**
 * @param {import("../parts.js").Say} say
 * @param {(similarity: string) => void} choose called with the similarity that was chosen
 */
export function panels(say, choose) {
  const parts = MEASURES.map((measure) => {
    const title = h("button.measure", { type: "button", onclick: () => choose(measure.name) }, say(measure.name));
    const body = h("tbody");
    const output = h("span.number.value.strong");
    const table = h(
      "table",
      {},
      h(
        "thead",
        {},
        h("tr", {}, h("th.key", { scope: "col" }, say("term.key")), h("th", { scope: "col" }, say("score")), h("th.weight", { scope: "col" }, "α")),
      ),
      body,
    );
    const element = h(
      "section.panel",
      { "aria-label": say(measure.name) },
      title,
      h("p.number.small.written-as", {}, subscripted(measure.formula)),
      table,
      h("p.small", {}, "C = ", output),
      h("p.tiny.soft", {}, ...say.rich(`${measure.name}.say`)),
    );
    return { measure, title, body, output, element };
  });
  const element = h(
    "div.panels",
    {},
    parts.map((part) => part.element),
  );

  /**
   * @param {Object<string, {scores: number[], weights: number[], output: number}>} answers by similarity
   * @param {string} chosen
   */
  function show(answers, chosen) {
    for (const { measure, title, body, output, element: panel } of parts) {
      title.setAttribute("aria-pressed", String(measure.name === chosen));
      const answer = answers[measure.name];
      if (!answer) continue;
      const most = Math.max(...answer.weights);
      panel.dataset.best = LETTERS[answer.weights.indexOf(most)];
      fill(
        body,
        LETTERS.map((letter, i) =>
          h(
            answer.weights[i] === most ? "tr.best" : "tr",
            {},
            h("th.key", { scope: "row" }, letter),
            h("td.number", {}, fixed(answer.scores[i])),
            h("td.number.weight", { style: { "--share": String(answer.weights[i]) } }, percent(answer.weights[i])),
          ),
        ),
      );
      put(output, fixed(answer.output));
    }
  }

  return { element, show };
}
