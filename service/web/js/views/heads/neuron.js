/** One query against one key, number by number: what is multiplied, and how it adds up to the logit. */

import { fill, h } from "../../element.js";
import { fixed, percent, power } from "../../numbers.js";
import { rich, say } from "../../words.js";
import { bars } from "./bars.js";

/** Float32 adds up to here in another order. */
const AGREED = 1e-4;

export function neuron() {
  const title = h("h2", {});
  const lines = ["query", "key", "weight"].map((kind) => bars(kind));
  const names = ["heads.q", "heads.k", "heads.product"];
  const sum = h("p.number.small", { id: "neuron-sum" });
  const checked = h("p.checking.small", { id: "neuron-checked" });
  const element = h(
    "section.of-heads-panel",
    { id: "neuron", "aria-label": say("heads.neuron") },
    title,
    h("p.small.soft", {}, rich("heads.neuron.how")),
    h(
      "div.bars",
      {},
      lines.flatMap((line, i) => [h("span.small", {}, rich(names[i])), line.element]),
    ),
    sum,
    checked,
  );

  /**
   * @param {{query: number[][][][], key: number[][][][], logits: number[][][][], attention: number[][][][], tokens: Page.Token[]}} head what the service answered of one head
   * @param {number} i the query
   * @param {number} j the key
   */
  function show({ query, key, logits, attention, tokens }, i, j) {
    const [q, k, logit] = [query[0][0][i], key[0][0][j], logits[0][0][i][j]];
    const products = q.map((number, c) => number * k[c]);
    const total = products.reduce((all, one) => all + one, 0);
    const scaled = total / Math.sqrt(q.length);
    fill(title, say("heads.neuron.of", { query: tokens[i].text, key: tokens[j].text }));
    [q, k, products].forEach((numbers, line) => lines[line].draw(numbers, say(names[line]).replace(/\[\w+\||\]/g, "")));
    fill(sum, `Σ q·k = ${fixed(total)};  ÷ √${q.length} = `, h("b", {}, fixed(scaled)));
    const isSame = logit !== null && Math.abs(scaled - logit) < AGREED * Math.max(1, Math.abs(logit));
    checked.dataset.state = logit === null || isSame ? "agreed" : "apart";
    const places = { logit: fixed(logit), difference: power(Math.abs(scaled - (logit ?? 0))), weight: percent(attention[0][0][i][j]) };
    fill(checked, say(logit === null ? "heads.neuron.masked" : isSame ? "heads.neuron.agreed" : "heads.neuron.apart", places));
  }

  return { element, show };
}
