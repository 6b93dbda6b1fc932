/** The tab that fits a collection to labelled questions, and shows what that is worth before it is kept. */

import { Invalid, isAborted, SoftkvError } from "../shared/api.js";
import { each, fill, h, put, scrollingTable } from "../shared/element.js";
import { count, fixed, percent } from "../shared/numbers.js";
import words from "./calibrate.json";
import { clientOf } from "./client.js";
import { counted, countedTexts, isEnough, readFeedback, readLabels } from "./labels.js";
import { preview } from "./preview.js";

/** @typedef {import("./explorer.js").Collection} Collection */
/** @typedef {import("./explorer.js").Context} Context */
/** @typedef {import("./labels.js").Label} Label */
/** @typedef {{value: number | null, error: number | null}} Figure */
/** @typedef {Record<string, Figure>} Figures */

/** The minimum of a preview, which counts and fits nothing. */
const PREVIEWED = 20;
const SHOWN_FLAWS = 20;
/** A fit encodes all questions and scans for each. */
const FIT_MS = 600_000;
/** Figures that are shares of one, and whether more is better. */
const SHARES = { ece: false, one_right: true, one_wrong: false, none_right: true, none_wrong: false, off_topic_none: true, recall: true };

/** The pasted labels, by collection: they stay while other tabs are shown. @type {Map<string, string>} */
const pasted = new Map();

/** @typedef {{labels: Label[], flaws: LineFlaw[]}} Reading what counts, and the lines that are skipped */
/**
 * @typedef {object} LineFlaw `line`: null for feedback, whose question is named
 * @property {number | null} line
 * @property {string | number[]} [query]
 * @property {string} detail
 */

/** @type {import("./explorer.js").Tab} */
export const calibrate = { id: "calibrate", words, needs: "write", mount: (host, context) => new CalibrateTab(host, context) };

class CalibrateTab {
  #host;
  #context;
  #say;
  #name = "";
  #keyless = 0;
  #kept = h("section.kept", { id: "kept-calibration" });
  #report = h("section.report", { id: "report", "aria-live": "polite" });
  #leaving = new AbortController();

  /**
   * @param {HTMLElement} host
   * @param {Context} context
   */
  constructor(host, context) {
    this.#host = host;
    this.#context = context;
    this.#say = context.say;
  }

  /** @param {Collection | null} collection */
  update(collection) {
    if (!collection) return;
    this.#keyless = collection.keyless;
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
    const previewing = h("button", { type: "button", id: "preview", onclick: () => void this.#preview(read(), showFlaws) }, say("preview"));
    const marks = h("p", { id: "marks", hidden: true });
    /** @type {Label[]} */
    let judged = [];
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
      const { labels: typed, flaws: broken } = readLabels(text.value);
      const queries = new Set(typed.map(({ query }) => query));
      // A typed line says more than what was marked of the same question.
      const labels = [...typed, ...judged.filter(({ query }) => typeof query !== "string" || !queries.has(query))];
      put(told, labels.length ? say(isEnough(labels) ? "labels.enough" : "labels.few", countedTexts(labels)) : "");
      const flaws = broken.map(({ line, name }) => ({ line, detail: say(name) }));
      showFlaws(flaws);
      fit.disabled = !isEnough(labels);
      previewing.disabled = counted(labels).questions < PREVIEWED;
      return { labels, flaws };
    };
    const showFlaws = (/** @type {LineFlaw[]} */ list) => {
      flaws.hidden = !list.length;
      const more = list.length - SHOWN_FLAWS;
      fill(
        flaws,
        list
          .toSorted((one, other) => (one.line ?? Infinity) - (other.line ?? Infinity))
          .slice(0, SHOWN_FLAWS)
          .map(({ line, query, detail }) =>
            h("li", {}, h("span.soft", {}, line === null ? say("line.mark", { query: String(query) }) : say("line", { line })), " ", detail),
          ),
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
        marks,
        h("div.field", {}, h("label", { for: "labels" }, say("labels")), text),
        told,
        flaws,
        h("div.buttons", {}, fit, previewing, h("button", { type: "button", onclick: () => file.click() }, say("labels.file")), file),
      ),
      fill(this.#report),
    );
    this.#apply = () => this.#fit(read(), true, fit, showFlaws);
    read();
    const { signal } = this.#leaving;
    const marking = this.#context.patiently(() => readFeedback(this.#context.api, this.#name, signal));
    void marking.then((came) => {
      if (!came || signal.aborted) return;
      judged = came.labels;
      marks.hidden = !judged.length && !came.undecided;
      put(
        marks,
        [say("marks", countedTexts(judged)), came.undecided ? say("marks.undecided", { count: came.undecided, questions: count(came.undecided) }) : ""].join(
          " ",
        ),
      );
      read();
    });
  }

  /**
   * Count what the labels say of today's settings.
   * @param {Reading} reading
   * @param {(flaws: LineFlaw[]) => void} showFlaws
   */
  async #preview({ labels, flaws }, showFlaws) {
    const { signal } = this.#leaving;
    const say = this.#say;
    fill(this.#report, h("p", { id: "fitting" }, say("preview.counting")));
    const came = await this.#context.patiently(() => preview(this.#context.api, { name: this.#name, keyless: this.#keyless }, labels, signal));
    if (signal.aborted || !came) return fill(this.#report);
    showFlaws([...flaws, ...came.unknown.map(({ line, query, id }) => ({ line, query, detail: say("line.unknown", { id: String(id) }) }))]);
    const { present, absent } = came;
    const share = (/** @type {number} */ part, /** @type {number} */ of) => say("preview.of", { part: count(part), of: count(of) });
    const heads = ["preview.null", "preview.right", "preview.missed", "preview.none"].map((name) => h("th", { scope: "col" }, say(name)));
    const lines = came.counts.map(({ name, right, missed, none }) =>
      h(
        "tr",
        { "data-null": name },
        h("th", { scope: "row" }, say(`preview.${name}`)),
        h("td", {}, share(right, present)),
        h("td", {}, share(missed, present)),
        h("td", {}, share(none, absent)),
      ),
    );
    return fill(
      this.#report,
      h("h3", {}, say("preview.title")),
      scrollingTable(say("preview.title"), "table.counts", heads, lines),
      h("p", { id: "preview-told" }, say("preview.told")),
    );
  }

  /** Fit once more, and keep the fit. */
  #apply = async () => {};

  /**
   * @param {Reading} reading
   * @param {boolean} apply
   * @param {HTMLButtonElement} button
   * @param {(flaws: LineFlaw[]) => void} showFlaws
   */
  async #fit({ labels, flaws }, apply, button, showFlaws) {
    const { signal } = this.#leaving;
    const say = this.#say;
    button.disabled = true;
    if (!apply) fill(this.#report, h("p", { id: "fitting" }, say("fitting")));
    let [left, skipped] = [labels, flaws];
    const skip = (/** @type {Map<Label, string>} */ refused) => {
      left = left.filter((label) => !refused.has(label));
      skipped = [...skipped, ...Array.from(refused, ([{ line, query }, detail]) => ({ line, query, detail }))];
      showFlaws(skipped);
    };
    const ask = async () => {
      // Lines that the service refuses are left out, and the others are sent again.
      for (;;) {
        const questions = left.map(({ query, id }) => ({ query, id }));
        try {
          const result = /** @type {any} */ (
            await clientOf(this.#context.api).call("POST", `${this.#path}/calibrate`, { questions, apply }, { signal, timeout: FIT_MS })
          );
          skip(this.#named(result.left_out, left));
          return result;
        } catch (failure) {
          skip(this.#refused(failure, left));
          if (!isEnough(left)) return null;
        }
      }
    };
    try {
      const result = await this.#context.patiently(ask());
      if (signal.aborted) return;
      if (result) this.#drawReport(result);
      else fill(this.#report, result === null ? h("p.notice", { id: "too-few" }, say("labels.left", { count: counted(left).questions })) : null);
      if (result?.applied) await this.#context.refresh();
    } finally {
      button.disabled = false;
    }
  }

  /**
   * The labels that the service refuses, with the reasons; anything else is the frame's to tell.
   * @param {unknown} failure
   * @param {Label[]} labels
   * @returns {Map<Label, string>}
   */
  #refused(failure, labels) {
    if (isAborted(failure) || !(failure instanceof SoftkvError) || !(failure instanceof Invalid)) throw failure;
    const refused = this.#named(failure.errors, labels);
    if (!refused.size) throw failure;
    return refused;
  }

  /**
   * The labels that do not count, with the reasons.
   * @param {readonly {pointer: string, detail: string}[]} flaws
   * @param {Label[]} labels
   * @returns {Map<Label, string>}
   */
  #named(flaws, labels) {
    const refused = new Map();
    for (const { pointer, detail } of flaws) {
      const [, at, part] = /^\/questions\/(\d+)(\/id)?/.exec(pointer) ?? [];
      const label = labels[Number(at ?? Number.NaN)];
      if (label) refused.set(label, part ? this.#say("line.unknown", { id: String(label.id) }) : detail);
    }
    return refused;
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
      h("p", { id: "summary" }, say("report.summary", { summary: result.summary })),
      each("dl.dumbbells", {}, Object.entries(SHARES), ([name, isMore]) => this.#dumbbell(name, isMore, before[name], after[name])),
      h("p.soft", {}, say("report.held-out")),
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

  /**
   * A figure before and after, on a line from 0 to 1.
   * @param {string} name
   * @param {boolean} isMore
   * @param {Figure} before
   * @param {Figure} after
   */
  #dumbbell(name, isMore, before, after) {
    const say = this.#say;
    const places = [before, after].map(({ value }) => (value === null ? null : Math.min(1, Math.max(0, value))));
    const [was, is] = places;
    const line = h("span.line-of", { "aria-hidden": "true" });
    if (was !== null && is !== null) line.append(h("span.between", { style: { left: `${100 * Math.min(was, is)}%`, width: `${100 * Math.abs(is - was)}%` } }));
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

  /**
   * @param {Figures} before
   * @param {Figures} after
   */
  #losses(before, after) {
    const say = this.#say;
    const heads = ["losses", "losses.before", "losses.after"].map((name) => h("th", { scope: "col" }, say(name)));
    const lines = ["log_loss", "label_loss", "brier", "mrr"].map((name) => {
      const cells = [before, after].map((figures) => h("td", {}, withError(figures[name])));
      return h("tr", {}, h("th", { scope: "row" }, say(`figure.${name}`)), cells);
    });
    return scrollingTable(say("losses"), "table", heads, lines);
  }
}

/** @param {Figure} figure */
function withError({ value, error }) {
  return error === null ? fixed(value, 3) : `${fixed(value, 3)} ± ${fixed(error, 3)}`;
}
