/** The result of each network: its size, its pace, its loss, and its share of right answers on unseen sources, by length. */

import { fill, h } from "../../../../../service/web/shared/element.js";
import { count, fixed, percent } from "../../../../../service/web/shared/numbers.js";

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

  /** @param {import("./session.js").Network[]} networks that have begun @param {string} task */
  function show(networks, task) {
    const columns = ["parameters", "step_ms", "steps", "loss", "accuracy", "aligned"];
    fill(sums, networks.length ? [head(["network", ...columns].map((name) => say(`lab.column.${name}`))), h("tbody", {}, networks.map(line))] : null);
    const all = [...new Set(networks.flatMap(({ run }) => (run.tested?.lengths ?? []).map((one) => one.length)))].sort((a, b) => a - b);
    const most = TRAINED_LENGTH[task];
    title.hidden = !all.length;
    fill(title, all.length ? say("lab.lengths") : null);
    fill(
      lengths,
      all.length
        ? [
            head([say("lab.column.length"), ...all.map((length) => (length > most ? `${length}*` : String(length)))]),
            h(
              "tbody",
              {},
              networks.map((one) => byLength(one, all, most)),
            ),
          ]
        : null,
    );
  }

  return { element, show };
}

/** @param {string[]} names */
function head(names) {
  return h(
    "thead",
    {},
    h(
      "tr",
      {},
      names.map((name) => h("th", { scope: "col" }, name)),
    ),
  );
}

/** @param {import("./session.js").Network} network */
function line({ kind, name, run: { begun, steps, tested, trained } }) {
  const last = steps.at(-1);
  const cells = {
    parameters: begun ? count(begun.parameters) : "–",
    step_ms: last ? fixed(last.step_ms, 1) : "–",
    steps: count(Math.max(tested?.step ?? 0, last?.step ?? 0)),
    loss: last ? fixed(last.loss, 3) : "–",
    accuracy: tested ? percent(tested.accuracy) : "–",
    aligned: typeof trained?.aligned === "number" ? percent(trained.aligned) : "–",
  };
  return h(
    "tr",
    { "data-network": kind },
    h("th", { scope: "row" }, h(`span.stroke.${kind}`, { "aria-hidden": "true" }), name),
    Object.entries(cells).map(([column, text]) => h("td.number", { "data-column": column }, text)),
  );
}

/** @param {import("./session.js").Network} network @param {number[]} all @param {number} most */
function byLength({ kind, name, run }, all, most) {
  const known = new Map((run.tested?.lengths ?? []).map((one) => [one.length, one.accuracy]));
  return h(
    "tr",
    { "data-network": kind },
    h("th", { scope: "row" }, h(`span.stroke.${kind}`, { "aria-hidden": "true" }), name),
    all.map((length) => {
      const share = known.get(length);
      return h(
        `td.number.of-length${length > most ? ".beyond" : ""}`,
        { style: { "--share": String(share ?? 0) }, "data-length": String(length) },
        share === undefined ? "–" : percent(share),
      );
    }),
  );
}
