/** How far each layer moved one word: by attention, by its feed-forward network, as a whole. */

import { fill, h } from "../../element.js";
import { fixed } from "../../numbers.js";
import { rich, say } from "../../words.js";

const KINDS = /** @type {const} */ (["attention", "feed_forward", "layer"]);

export function moves() {
  const title = h("h2", {});
  const body = h("tbody");
  const head = h(
    "thead",
    {},
    h(
      "tr",
      {},
      h("th", { scope: "col" }, say("encoder.layer")),
      KINDS.map((kind) => h("th", { scope: "col" }, say(`heads.moves.${kind}`))),
    ),
  );
  const element = h(
    "section.of-heads-panel",
    { id: "moves", "aria-label": say("heads.moves") },
    title,
    h("p.small.soft", {}, rich("heads.moves.how")),
    h("table", {}, head, body),
  );

  /** @param {Map<number, import("./traced.js").Changes>} changes by layer @param {number} word @param {string} name of the word @param {number} chosen the layer that is looked at */
  function show(changes, word, name, chosen) {
    fill(title, say("heads.moves.of", { word: name }));
    const most = Math.max(...[...changes.values()].flatMap((one) => KINDS.map((kind) => one[kind][word])));
    fill(
      body,
      [...changes].map(([layer, one]) =>
        h(
          layer === chosen ? "tr.chosen" : "tr",
          {},
          h("th", { scope: "row" }, String(layer + 1)),
          KINDS.map((kind) => h(`td.number.${kind}`, { style: { "--share": String(one[kind][word] / most) } }, fixed(one[kind][word]))),
        ),
      ),
    );
  }

  return { element, show };
}
