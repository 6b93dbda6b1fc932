/** The tab that fits a collection to labelled questions, and shows what that is worth before it is kept. */

import { Invalid, isAborted, SoftkvError } from "../shared/api.js";
import { fill, h, put } from "../shared/element.js";
import { count, fixed, percent } from "../shared/numbers.js";
import words from "./calibrate.json";
import { clientOf } from "./client.js";
import { readLabels } from "./labels.js";

/** @typedef {import("./explorer.js").Collection} Collection */
/** @typedef {import("./explorer.js").Context} Context */
/** @typedef {import("./labels.js").Label} Label */
/** @typedef {{value: number | null, error: number | null}} Figure */
/** @typedef {Record<string, Figure>} Figures */

/** The minimum that the service needs. */
const [LEAST, LEAST_OF_A_KIND] = [50, 10];
const SHOWN_FLAWS = 20;
/** A fit encodes all questions and scans for each. */
const FIT_MS = 600_000;
/** Figures that are shares of one, and whether more is better. */
const SHARES = { ece: false, one_right: true, one_wrong: false, none_right: true, none_wrong: false, off_topic_none: true, recall: true, coverage: true };
const PROMISED = 0.9;

/** The pasted labels, by collection: they stay while other tabs are shown. @type {Map<string, string>} */
const pasted = new Map();

/** @type {import("./explorer.js").Tab} */
export const calibrate = { id: "calibrate", words, needs: "write", mount: (host, context) => new CalibrateTab(host, context) };

class CalibrateTab {
  #host;
  #context;
  #say;
  #name = "";
  #kept = h("section.kept", { id: "kept-calibration" });
  #report = h("section.report", { id: "report", "aria-live": "polite" });
  #leaving = new AbortController();

  /** @param {HTMLElement} host @param {Context} context */
  constructor(host, context) {
    this.#host = host;
    this.#context = context;
    this.#say = context.say;
  }

  /** @param {Collection | null} collection */
  update(collection) {
    if (!collection) return;
    if (collection.name !== this.#name) {
      this.leave();
      this.#leaving = new AbortController();
      this.#name = collection.name;
      this.#draw();
    }
    this.#drawKept(collection.calibration);
  }

  leave() {
    this.#leaving.abort();
  }

  get #path() {
    return `/v1/collections/${encodeURIComponent(this.#name)}`;
  }

  #draw() {
    const say = this.#say;
    const text = h("textarea", {
      id: "labels",
      rows: 8,
      spellcheck: false,
      placeholder: say("labels.example"),
      value: pasted.get(this.#name) ?? "",
      oninput: () => read(),
    });
    const told = h("p", { id: "counted", role: "status" });
    const flaws = h("ol.refused", { id: "flaws", hidden: true });
    const fit = h("button.strong", { type: "submit", id: "fit" }, say("fit"));
    const file = h("input", {
      type: "file",
      id: "labels-file",
      className: "unseen",
      tabIndex: -1,
      "aria-label": say("labels.file"),
      accept: ".csv,.tsv,.txt,.jsonl,.ndjson",
    });
    file.addEventListener("change", async () => {
      const [chosen] = file.files ?? [];
      if (!chosen) return;
      text.value = await chosen.text();
      read();
      text.focus();
    });
    const read = () => {
      pasted.set(this.#name, text.value);
      const { labels, flaws: broken } = readLabels(text.value);
      const queries = new Map();
      for (const { query, id } of labels) queries.set(query, queries.get(query) || id !== null);
      const present = [...queries.values()].filter(Boolean).length;
      const absent = queries.size - present;
      const isEnough = queries.size >= LEAST && present >= LEAST_OF_A_KIND && absent >= LEAST_OF_A_KIND;
      put(
        told,
        text.value.trim()
          ? say(isEnough ? "labels.enough" : "labels.few", {
              count: queries.size,
              questions: count(queries.size),
              present: count(present),
              absent: count(absent),
            })
          : "",
      );
      showFlaws(broken.map(({ line, name }) => ({ line, detail: say(name) })));
      fit.disabled = !isEnough || broken.length > 0;
      return labels;
    };
    const showFlaws = (/** @type {{line: number, detail: string}[]} */ list) => {
      flaws.hidden = !list.length;
      const more = list.length - SHOWN_FLAWS;
      fill(
        flaws,
        list.slice(0, SHOWN_FLAWS).map(({ line, detail }) => h("li", {}, h("span.soft", {}, say("line", { line })), " ", detail)),
        more > 0 ? h("li.soft", {}, say("line.more", { count: more })) : null,
      );
    };
    fill(
      this.#host,
      h("h2", {}, say("title")),
      h("p", {}, say("lede")),
      this.#kept,
      h(
        "form.labelling",
        {
          onsubmit: (event) => {
            event.preventDefault();
            void this.#fit(read(), false, fit, showFlaws);
          },
        },
        h("div.field", {}, h("label", { for: "labels" }, say("labels")), text),
        told,
        flaws,
        h("div.buttons", {}, fit, h("button", { type: "button", onclick: () => file.click() }, say("labels.file")), file),
      ),
      fill(this.#report),
    );
    this.#apply = () => this.#fit(read(), true, fit, showFlaws);
    read();
  }

  /** Fit once more, and keep the fit. */
  #apply = async () => {};

  /**
   * @param {Label[]} labels
   * @param {boolean} apply
   * @param {HTMLButtonElement} button
   * @param {(flaws: {line: number, detail: string}[]) => void} showFlaws
   */
  async #fit(labels, apply, button, showFlaws) {
    const { signal } = this.#leaving;
    const say = this.#say;
    button.disabled = true;
    if (!apply) fill(this.#report, h("p", { id: "fitting" }, say("fitting")));
    const questions = labels.map(({ query, id }) => ({ query, id }));
    try {
      const call = clientOf(this.#context.api).call("POST", `${this.#path}/calibrate`, { questions, apply }, { signal, timeout: FIT_MS });
      const result = /** @type {any} */ (await this.#context.patiently(call.catch((failure) => this.#placed(failure, labels, showFlaws))));
      if (signal.aborted) return;
      if (result) this.#drawReport(result);
      else fill(this.#report);
      if (result?.applied) await this.#context.refresh();
    } finally {
      button.disabled = false;
    }
  }

  /** Name the lines of what is refused; anything else is the frame's to tell. @param {unknown} failure @param {Label[]} labels @param {(flaws: {line: number, detail: string}[]) => void} showFlaws */
  #placed(failure, labels, showFlaws) {
    if (isAborted(failure) || !(failure instanceof SoftkvError) || !(failure instanceof Invalid)) throw failure;
    const placed = failure.errors.flatMap(({ pointer, detail }) => {
      const label = labels[Number(/^\/questions\/(\d+)/.exec(pointer)?.[1] ?? Number.NaN)];
      return label ? [{ line: label.line, detail }] : [];
    });
    if (!placed.length) throw failure;
    showFlaws(placed);
    return null;
  }

  /** The stored calibration of the collection. @param {any} calibration */
  #drawKept(calibration) {
    const say = this.#say;
    const shown = JSON.stringify([this.#name, calibration]);
    if (this.#kept.dataset.shown === shown) return;
    this.#kept.dataset.shown = shown;
    if (!calibration) return fill(this.#kept, h("p.soft", {}, say("kept.none")));
    const { present, absent } = calibration.labels;
    const remove = async () => {
      const done = await this.#context.patiently(this.#context.api.send("PATCH", this.#path, { calibration: null }));
      if (done) await this.#context.refresh();
    };
    return fill(
      this.#kept,
      h(
        "p",
        {},
        say("kept", { count: present + absent, questions: count(present + absent), T: fixed(calibration.temperature, 3), level: fixed(calibration.level, 3) }),
        calibration.outgrown ? ` ${say("kept.outgrown")}` : null,
      ),
      h("div.buttons", {}, h("button", { type: "button", id: "remove-calibration", onclick: () => void remove() }, say("kept.remove"))),
    );
  }

  /** @param {any} result of POST …/calibrate */
  #drawReport(result) {
    const say = this.#say;
    /** @type {{before: Figures, after: Figures}} */
    const { before, after } = result;
    const [was, is] = [before.ece.value, after.ece.value];
    fill(
      this.#report,
      h("h3", {}, say(result.applied ? "report.applied" : "report.title")),
      was === null || is === null ? null : h("p.headline", { id: "headline" }, say("report.ece", { before: percent(was), after: percent(is) })),
      h(
        "dl.dumbbells",
        {},
        Object.entries(SHARES).map(([name, isMore]) => this.#dumbbell(name, isMore, before[name], after[name])),
      ),
      h("p.soft", {}, say("report.held-out")),
      this.#promise(result, after.coverage),
      h(
        "p",
        {},
        say("report.fit", {
          T: fixed(result.temperature, 3),
          level: fixed(result.level, 3),
          words: result.full_text ? fixed(result.full_text, 2) : say("report.no-words"),
        }),
      ),
      this.#losses(before, after),
      result.applied
        ? null
        : result.reason
          ? h("p.notice", { id: "reason" }, say("report.reason", { reason: result.reason }))
          : h("div.buttons", {}, h("button.strong", { type: "button", id: "apply", onclick: () => void this.#apply() }, say("apply"))),
    );
  }

  /** The promised and the measured error of sets of matches. @param {any} result @param {Figure} coverage */
  #promise(result, coverage) {
    const say = this.#say;
    const level = result.conformal.find((/** @type {any} */ one) => one.conformal === PROMISED);
    if (!level) return h("p", { id: "promise" }, say("promise.none"));
    const held =
      coverage.value === null ? say("promise.unknown") : say("promise.held", { share: percent(coverage.value), error: percent(coverage.error ?? 0) });
    return h("p", { id: "promise" }, say("promise", { share: percent(PROMISED), weight: percent(level.weight) }), " ", held);
  }

  /** A figure before and after, on a line from 0 to 1. @param {string} name @param {boolean} isMore @param {Figure} before @param {Figure} after */
  #dumbbell(name, isMore, before, after) {
    const say = this.#say;
    const places = [before, after].map(({ value }) => (value === null ? null : Math.min(1, Math.max(0, value))));
    const [was, is] = places;
    const line = h("span.line-of", { "aria-hidden": "true" });
    if (was !== null && is !== null) line.append(h("span.between", { style: { left: `${100 * Math.min(was, is)}%`, width: `${100 * Math.abs(is - was)}%` } }));
    if (name === "coverage") line.append(h("span.wanted", { style: { left: `${100 * PROMISED}%` } }));
    if (was !== null) line.append(h("span.was", { style: { left: `${100 * was}%` } }));
    if (is !== null) line.append(h("span.is", { style: { left: `${100 * is}%` } }));
    const texts = [before, after].map(({ value }) => (value === null ? "–" : percent(value)));
    return h(
      "div.dumbbell",
      { id: `figure-${name}` },
      h("dt", {}, say(`figure.${name}`), h("span.soft", {}, ` ${say(isMore ? "figure.more" : "figure.less")}`)),
      h("dd", {}, line, h("span.number", {}, say("figure.from-to", { before: texts[0], after: texts[1] }))),
    );
  }

  /** @param {Figures} before @param {Figures} after */
  #losses(before, after) {
    const say = this.#say;
    return h(
      "div.scrolling",
      { tabIndex: 0, role: "group", "aria-label": say("losses") },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ["losses", "losses.before", "losses.after"].map((name) => h("th", { scope: "col" }, say(name))),
          ),
        ),
        h(
          "tbody",
          {},
          ["log_loss", "label_loss", "brier", "mrr"].map((name) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, say(`figure.${name}`)),
              [before, after].map((figures) => h("td", {}, withError(figures[name]))),
            ),
          ),
        ),
      ),
    );
  }
}

/** @param {Figure} figure */
function withError({ value, error }) {
  return error === null ? fixed(value, 3) : `${fixed(value, 3)} ± ${fixed(error, 3)}`;
}
