/** A word in its three roles: what it looks for, what it is found by, what it hands over; and the head that suits a story best. */

import { fill, h } from "../../element.js";
import { percent } from "../../numbers.js";
import { rich, say } from "../../words.js";
import { bars } from "./bars.js";
import { strongest } from "./traced.js";

const TOLD = 3;

/** @param {(place: Page.Head) => void} choose */
export function roles(choose) {
  const title = h("h2", {});
  const looks = h("dd", {});
  const found = h("dd", {});
  const hands = h("dd", {});
  const strip = bars("value");
  const best = h("p.small", { id: "strongest" });
  const parts = [
    ["query", looks],
    ["key", found],
    ["value", hands],
  ].map(([kind, place]) => [h(`dt.${kind}`, {}, say(`heads.roles.${kind}`)), place]);
  const element = h("section.of-heads-panel", { id: "roles", "aria-label": say("heads.roles") }, title, h("dl.roles", {}, parts), best);

  /**
   * @param {object} told
   * @param {Page.Token[]} told.tokens
   * @param {Map<number, number[][][]>} told.layers the weights of every head
   * @param {number[][]} told.weights the chosen head's own
   * @param {number} told.word
   * @param {number} told.to another word
   * @param {?number[][]} told.value the value vectors
   * @param {Page.Head} told.place the chosen head
   */
  function show({ tokens, layers, weights, word, to, value, place }) {
    const name = tokens[word].text;
    fill(title, say("heads.roles.of", { word: name }));
    fill(looks, listed(weights[word], tokens));
    fill(
      found,
      listed(
        weights.map((row) => row[word]),
        tokens,
      ),
    );
    if (value) strip.draw(value[word], say("word.value"));
    fill(hands, value ? [strip.element, h("span.small.soft", {}, say("heads.roles.handed", { numbers: value[word].length }))] : null);
    const most = strongest(layers, word, to);
    const isHere = most.layer === place.layer && most.head === place.head;
    const places = {
      word: name,
      to: tokens[to].text,
      heads: [...layers.values()].reduce((sum, heads) => sum + heads.length, 0),
      layer: most.layer + 1,
      head: most.head + 1,
      weight: percent(most.weight),
      here: percent(weights[word][to]),
    };
    fill(
      best,
      rich(isHere ? "heads.strongest.here" : "heads.strongest", places),
      " ",
      isHere ? null : h("button", { type: "button", id: "go-strongest", onclick: () => choose(most) }, say("heads.strongest.go")),
    );
  }

  return { element, show };
}

/** @param {number[]} shares @param {Page.Token[]} tokens */
function listed(shares, tokens) {
  const order = shares
    .map((weight, i) => ({ weight, i }))
    .sort((a, b) => b.weight - a.weight)
    .slice(0, TOLD);
  return order.flatMap(({ weight, i }, at) => [at ? ", " : null, h("bdi", {}, tokens[i].text), " ", h("span.number.weight", {}, percent(weight))]);
}
