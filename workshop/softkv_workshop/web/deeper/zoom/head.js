/** One head: its weights, and every number of one cell. */

import { each, fill, h } from "../../../../../service/softkv_service/web/shared/element.js";
import { fixed, percent } from "../../../../../service/softkv_service/web/shared/numbers.js";
import { dot, everyNumber, largest, strip } from "./strip.js";

/** @typedef {import("../../../../../service/softkv_service/web/shared/words.js").Say} Say */
/** @type {{[key: string]: number[] | undefined}} */
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/**
 * The weights of a head as a table of cells: one is chosen by a press, or by the arrow keys.
 *
 * @param {Say} say
 * @param {(i: number, j: number) => void} choose
 */
export function cells(say, choose) {
  const body = h("tbody");
  const head = h("tr");
  const element = h("div.scrolling", {}, h("table.cells", { "aria-label": say("cells") }, h("thead", {}, head), body));
  /** @type {HTMLButtonElement[][]} */
  let buttons = [];
  let texts = "";

  element.addEventListener("keydown", (event) => {
    const by = STEPS[event.key];
    const at = buttons.flatMap((row, i) => row.map((button, j) => ({ button, i, j }))).find(({ button }) => button === event.target);
    if (!by || !at) return;
    event.preventDefault();
    event.stopPropagation();
    const [i, j] = [at.i + by[0], at.j + by[1]].map((place) => Math.max(0, Math.min(buttons.length - 1, place)));
    choose(i, j);
    buttons[i][j].focus();
  });

  /**
   * @param {string[]} tokens
   * @param {ArrayLike<number>} weights [n, n]
   * @param {number} chosen the row
   * @param {number} at the column
   */
  function show(tokens, weights, chosen, at) {
    if (texts !== tokens.join("\n")) {
      texts = tokens.join("\n");
      buttons = tokens.map((_, i) => tokens.map((__, j) => h("button", { type: "button", onclick: () => choose(i, j) })));
      fill(head, h("td", {}, ""), ...tokens.map((token) => h("th.key", { scope: "col" }, h("span", {}, token))));
      fill(body, ...tokens.map((token, i) => h("tr", {}, h("th.query", { scope: "row" }, token), ...buttons[i].map((button) => h("td", {}, button)))));
    }
    for (const [i, row] of buttons.entries()) {
      body.children[i].classList.toggle("chosen", i === chosen);
      for (const [j, button] of row.entries()) {
        const weight = weights[i * tokens.length + j];
        const isHere = i === chosen && j === at;
        button.style.setProperty("--weight-of", `${Math.round(weight * 100)}%`);
        button.tabIndex = isHere ? 0 : -1;
        button.setAttribute("aria-pressed", String(isHere));
        button.setAttribute("aria-label", say("cell", { query: tokens[i], key: tokens[j], weight: percent(weight) }));
      }
    }
  }
  return { element, show };
}

/**
 * Show the steps to the weight of a cell: query and key, their products, √d, and the softmax over the row; then the values.
 *
 * @param {Say} say
 * @param {string[]} tokens
 * @param {import("./reading.js").Head} of
 * @param {number} i the token that attends
 * @param {number} j the token attended to
 */
export function termsOf(say, tokens, of, i, j) {
  const [query, key] = [of.query[i], of.key[j]];
  const products = Array.from(query, (number, k) => number * key[k]);
  const [d, sum] = [query.length, dot(query, key)];
  const most = Math.max(largest(query), largest(key));
  const [logits, weights] = [of.logits[i], of.weights[i]];
  const highest = Math.max(...Array.from(logits));
  const exps = Array.from(logits, (logit) => Math.exp(logit - highest));
  const output = Array.from(query, (_, k) => of.value.reduce((total, value, token) => total + weights[token] * value[k], 0));
  const mostOfValues = Math.max(...of.value.map(largest));
  const rows = tokens.map((token, t) =>
    h(
      "tr",
      t === j ? { className: "chosen" } : {},
      h("th.key", { scope: "row" }, token),
      h("td.number", {}, fixed(logits[t], 3)),
      h("td.number", {}, fixed(exps[t], 4)),
      h("td.number.weight", {}, fixed(weights[t], 4)),
      h("td.wide", {}, strip({ name: [], numbers: of.value[t], kind: "value", most: mostOfValues, label: say("value.of", { token }) }).element),
    ),
  );
  const heads = ["token", "logit", "exp", "weight", "value"].map((name) =>
    h(["token", "value"].includes(name) ? "th" : "th.number", { scope: "col" }, ...say.rich(`head.${name}`)),
  );
  return [
    h(
      "p.formula",
      { role: "status" },
      ...say.rich("score", { query: tokens[i], key: tokens[j], sum: fixed(sum, 3), d, logit: fixed(logits[j], 3), weight: percent(weights[j]) }),
    ),
    strip({ name: say.rich("query.of", { token: tokens[i] }), numbers: query, kind: "query", most, label: say("numbers", { count: d }) }).element,
    strip({ name: say.rich("key.of", { token: tokens[j] }), numbers: key, kind: "key", most, label: say("numbers", { count: d }) }).element,
    strip({ name: say.rich("products"), numbers: products, label: say("numbers", { count: d }), beside: `Σ = ${fixed(sum, 3)}` }).element,
    everyNumber(say("every"), ["q", "k", "q·k"], () => [query, key, products]),
    h("p", {}, ...say.rich("softmax", { token: tokens[i] })),
    h(
      "div.scrolling",
      { tabIndex: 0, role: "group", "aria-label": say("row", { token: tokens[i] }) },
      h("table.of-row", {}, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, rows)),
    ),
    strip({ name: say.rich("output.of"), numbers: output, kind: "value", most: mostOfValues, label: say("numbers", { count: d }) }).element,
    everyNumber(say("every.values"), [...tokens, "Σ"], () => [...of.value, output]),
  ];
}

/**
 * The neurons of a token as rows of a lookup.
 *
 * @param {Say} say
 * @param {import("./reading.js").Head} of
 * @param {number} i the token
 */
export function neuronsOf(say, { neurons }, i) {
  const heads = ["neuron", "key", "activation", "share"].map((name) =>
    h(["key", "activation"].includes(name) ? "th.number" : "th", { scope: "col" }, ...say.rich(`neuron.${name}`)),
  );
  const most = largest(neurons.share[i]);
  const body = each("tbody", {}, Array.from(neurons.index[i]), (index, k) => {
    const share = neurons.share[i][k];
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, String(index)),
      h("td.number", {}, fixed(neurons.score[i][k], 3)),
      h("td.number.weight", {}, fixed(neurons.activation[i][k], 3)),
      h(
        "td.number.wide",
        {},
        h(`span.fill${share < 0 ? ".against" : ""}`, { style: { width: `${(60 * Math.abs(share)) / most}%` }, "aria-hidden": "true" }),
        ` ${fixed(100 * share, 1)}%`,
      ),
    );
  });
  return h("table.of-row.neurons", {}, h("thead", {}, h("tr", {}, heads)), body);
}
