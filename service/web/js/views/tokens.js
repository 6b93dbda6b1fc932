/** Words as queries and as keys, with a line for every weight: of one sentence, or of a question and a passage. */

import { fill, h } from "../element.js";
import { percent } from "../numbers.js";
import { select } from "../../vendor/d3/d3-selection.js";
import { linkHorizontal } from "../../vendor/d3/d3-shape.js";
import { say } from "../words.js";

const FAINTEST = 0.02;
const LEAST = 0.002;
const THICKEST = 11;
/** The lines of a second head arrive so many pixels beside those of the first. */
const BESIDE = 4;
const curve = linkHorizontal();

/** @param {{word: (it: number) => void, key: (it: number) => void}} choose told the word, or the key, that was chosen */
export function tokenLines(choose) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "wires");
  svg.setAttribute("aria-hidden", "true");
  const queries = h("ol.tokens.queries", { "aria-label": say("encoder.queries") });
  const keys = h("ol.tokens.keys", { "aria-label": say("encoder.keys") });
  const element = h(
    "div.reading-lines",
    { id: "token-lines" },
    h("div.token-head.query", {}, `● ${say("word.query")}`),
    h("div"),
    h("div.token-head.key", {}, `◆ ${say("word.key")}`),
    queries,
    svg,
    keys,
  );
  let listed = "";
  /** @type {?Parameters<typeof draw>[0]} */
  let last = null;
  const watcher = new ResizeObserver(() => last && draw(last));
  watcher.observe(element);

  /**
   * @param {string[]} tokens
   * @param {{weights: number[][], second: ?number[][], word: number, to: number}} what the head's weights, those of a
   *   second head, the word whose lines are drawn, and the key that is looked at
   * @param {{queries: number[], keys: number[]}} sides which tokens stand on which side
   */
  function show(tokens, what, sides) {
    const wanted = JSON.stringify([tokens, sides]);
    if (listed !== wanted) {
      listed = wanted;
      const part = (/** @type {number[]} */ list, /** @type {(it: number) => void} */ told) =>
        list.map((i) => h("li", {}, h("button", { type: "button", dir: "auto", onclick: () => told(i) }, tokens[i])));
      fill(queries, part(sides.queries, choose.word));
      fill(keys, part(sides.keys, choose.key));
    }
    sides.queries.forEach((i, at) => queries.children[at].firstElementChild?.setAttribute("aria-pressed", String(i === what.word)));
    sides.keys.forEach((j, at) => {
      const key = /** @type {HTMLElement} */ (keys.children[at]);
      key.firstElementChild?.setAttribute("aria-pressed", String(j === what.to));
      key.style.setProperty("--share", String(what.weights[what.word][j]));
      key.title = percent(what.weights[what.word][j]);
    });
    last = { ...what, sides };
    draw(last);
  }

  /** @param {Parameters<typeof show>[1] & {sides: Parameters<typeof show>[2]}} what */
  function draw({ weights, second, word, sides }) {
    const frame = svg.getBoundingClientRect();
    const middles = (/** @type {Element} */ list) =>
      Array.from(list.children, (child) => {
        const box = child.getBoundingClientRect();
        return (box.top + box.bottom) / 2 - frame.top;
      });
    const [starts, ends] = [middles(queries), middles(keys)];
    const links = sides.queries.flatMap((i, a) => sides.keys.map((j, b) => ({ i, a, b, weight: weights[i][j], kind: i === word ? "chosen" : "faint" })));
    const others = second ? sides.keys.map((j, b) => ({ i: word, a: sides.queries.indexOf(word), b, weight: second[word][j], kind: "second" })) : [];
    const drawn = [...links, ...others].filter(({ kind, weight }) => weight > (kind === "faint" ? FAINTEST : LEAST));
    drawn.sort((a, b) => Number(a.kind !== "faint") - Number(b.kind !== "faint"));
    const by = (/** @type {string} */ kind) => (!second || kind === "faint" ? 0 : kind === "second" ? BESIDE : -BESIDE);
    select(svg)
      .attr("viewBox", `0 0 ${frame.width} ${frame.height}`)
      .selectAll("path")
      .data(drawn, ({ kind, a, b }) => `${kind} ${a} ${b}`)
      .join("path")
      .order()
      .attr("class", ({ kind }) => `wire ${kind}`)
      .attr("d", ({ kind, a, b }) => curve({ source: [0, starts[a] + by(kind)], target: [frame.width, ends[b] + by(kind)] }))
      .attr("stroke-width", ({ weight }) => Math.max(0.6, weight * THICKEST))
      .attr("stroke-opacity", ({ kind, weight }) => (kind === "faint" ? 0.05 + 0.2 * weight : 0.35 + 0.65 * weight));
  }

  return { element, show, leave: () => watcher.disconnect() };
}
