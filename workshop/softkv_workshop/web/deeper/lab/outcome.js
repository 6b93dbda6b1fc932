/** The result of each network: its size, its pace, its loss, and its share of right answers on unseen sources, by length. */

import { fill, h } from "../../../../../service/softkv_service/web/shared/element.js";
import { count, fixed, percent } from "../../../../../service/softkv_service/web/shared/numbers.js";

/** The most tokens of a source that was trained on; beyond it a network is asked for what it never saw the like of. @type {Record<string, number>} */
export const TRAINED_LENGTH = { copy: 10, reverse: 10, numbers: 6, dates: Infinity, translation: Infinity };

/** @param {import("../parts.js").Say} say */
export function outcome(say) {
  const sums = h("table", { id: "outcome" });
  const lengths = h("table", { id: "lengths" });
  const title = h("h3", {});
  const element = h(
    "div.labelled",
    {},
    h("div.scrolling", { tabIndex: 0, role: "region", "aria-label": say("lab.outcome") }, sums),
    title,
    h("div.scrolling", { tabIndex: 0, role: "region", "aria-label": say("lab.lengths") }, lengths),
  );

  /**
   * @param {import("./session.js").Network[]} networks that have begun
   * @param {string} task
   */
  function show(networks, task) {
    const columns = ["parameters", "step_ms", "steps", "loss", "accuracy", "aligned"];
    fill(sums, networks.length ? [head(["network", ...columns].map((name) => say(`lab.column.${name}`))), h("tbody", {}, networks.map(line))] : null);
    const all = [...new Set(networks.flatMap(({ run }) => (run.tested?.lengths ?? []).map((one) => one.length)))].sort((a, b) => a - b);
    const most = TRAINED_LENGTH[task];
    title.hidden = !all.length;
    fill(title, all.length ? say("lab.lengths") : null);
    const names = [say("lab.column.length"), ...all.map((length) => (length > most ? `${length}*` : String(length)))];
    const rows = networks.map((one) => byLength(one, all, most));
    fill(lengths, all.length ? [head(names), h("tbody", {}, rows)] : null);
  }

  return { element, show };
}

/** @param {string[]} names */
function head(names) {
  const cells = names.map((name) => h("th", { scope: "col" }, name));
  return h("thead", {}, h("tr", {}, cells));
}

/**
 * @param {import("./session.js").Network} network
 * @param {HTMLElement[]} cells
 */
function row({ kind, name }, cells) {
  return h("tr", { "data-network": kind }, h("th", { scope: "row" }, h(`span.stroke.${kind}`, { "aria-hidden": "true" }), name), cells);
}

/** @param {import("./session.js").Network} network */
function line(network) {
  const { begun, steps, tested, trained } = network.run;
  const last = steps.at(-1);
  const cells = {
    parameters: begun ? count(begun.parameters) : "–",
    step_ms: last ? fixed(last.step_ms, 1) : "–",
    steps: count(Math.max(tested?.step ?? 0, last?.step ?? 0)),
    loss: last ? fixed(last.loss, 3) : "–",
    accuracy: tested ? percent(tested.accuracy) : "–",
    aligned: typeof trained?.aligned === "number" ? percent(trained.aligned) : "–",
  };
  const shown = Object.entries(cells).map(([column, text]) => h("td.number", { "data-column": column }, text));
  return row(network, shown);
}

/**
 * @param {import("./session.js").Network} network
 * @param {number[]} all
 * @param {number} most
 */
function byLength(network, all, most) {
  const known = new Map((network.run.tested?.lengths ?? []).map((one) => [one.length, one.accuracy]));
  const cells = all.map((length) => {
    const share = known.get(length);
    const props = { style: { "--share": String(share ?? 0) }, "data-length": String(length) };
    return h(`td.number.of-length${length > most ? ".beyond" : ""}`, props, share === undefined ? "–" : percent(share));
  });
  return row(network, cells);
}
