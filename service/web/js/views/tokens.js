/** The words of a sentence twice, as queries and as keys, with a line for every weight. */

import { fill, h } from "../element.js";
import { percent } from "../numbers.js";
import { select } from "../../vendor/d3/d3-selection.js";
import { linkHorizontal } from "../../vendor/d3/d3-shape.js";
import { say } from "../words.js";

const FAINTEST = 0.02;
const THICKEST = 11;
const curve = linkHorizontal();

/** @param {function(number): void} choose told the word that was chosen */
export function tokenLines(choose) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "wires");
  svg.setAttribute("aria-hidden", "true");
  const queries = h("ol.tokens.queries", { "aria-label": say("encoder.queries") });
  const keys = h("ol.tokens.keys", { "aria-label": say("encoder.keys") });
  const element = h("div.reading-lines", { id: "token-lines" },
    h("div.token-head.query", {}, `● ${say("word.query")}`), h("div"), h("div.token-head.key", {}, `◆ ${say("word.key")}`),
    queries, svg, keys);
  let last = null;
  const watcher = new ResizeObserver(() => last && draw(...last));
  watcher.observe(element);

  function show(tokens, weights, word) {
    if (queries.children.length !== tokens.length || tokens.some((token, i) => keys.children[i].textContent !== token)) {
      fill(queries, tokens.map((token, i) => h("li", {}, h("button", { type: "button", dir: "auto", onclick: () => choose(i) }, token))));
      fill(keys, tokens.map((token) => h("li", {}, h("bdi", {}, token))));
    }
    tokens.forEach((token, i) => {
      const button = queries.children[i].firstChild;
      button.setAttribute("aria-pressed", String(i === word));
      keys.children[i].style.setProperty("--share", String(weights[word][i]));
      keys.children[i].title = percent(weights[word][i]);
    });
    draw(weights, word);
  }

  function draw(weights, word) {
    last = [weights, word];
    const frame = svg.getBoundingClientRect();
    const middle = (list, i) => {
      const box = list.children[i].getBoundingClientRect();
      return (box.top + box.bottom) / 2 - frame.top;
    };
    const links = weights.flatMap((row, i) => row.map((weight, j) => ({ i, j, weight }))).filter(({ i, weight }) => (i === word ? weight > 0.002 : weight > FAINTEST));
    links.sort((a, b) => (a.i === word) - (b.i === word));
    select(svg).attr("viewBox", `0 0 ${frame.width} ${frame.height}`)
      .selectAll("path").data(links, ({ i, j }) => `${i} ${j}`).join("path").order()
      .attr("class", ({ i }) => (i === word ? "wire chosen" : "wire faint"))
      .attr("d", ({ i, j }) => curve({ source: [0, middle(queries, i)], target: [frame.width, middle(keys, j)] }))
      .attr("stroke-width", ({ weight }) => Math.max(0.6, weight * THICKEST))
      .attr("stroke-opacity", ({ i, weight }) => (i === word ? 0.35 + 0.65 * weight : 0.05 + 0.2 * weight));
  }

  return { element, show, leave: () => watcher.disconnect() };
}
