/**
 * An upload: the rows of a table, sent in batches, of which each is written as soon as it is answered.
 *
 * It may be stopped between two batches, and goes on from there. A service that does not answer is asked again: a batch
 * that it had written already is written once more, with the same ids.
 */

import { SoftkvError } from "../../vendor/softkv/softkv.js";
import { clientOf } from "../client.js";
import { text } from "../text.js";
import { documentOf } from "./columns.js";
import { csvLine, inertText } from "./csv.js";

/** @typedef {import("./table.js").Row} Row */
/** @typedef {import("./table.js").Flaw} Flaw */
/** @typedef {"running" | "waiting" | "stopping" | "stopped" | "failed" | "done"} State `waiting`: the service does not answer */
/**
 * @typedef {object} Refused a text is the service's own reason
 * @property {number} line
 * @property {Record<string, unknown>} fields
 * @property {Flaw | string} flaw
 */
/**
 * @typedef {object} Plan `rows`: how many there are
 * @property {import("./table.js").Table} table
 * @property {import("./columns.js").Mapping} mapping
 * @property {number} rows
 * @property {string} collection
 */

const [FEWEST, FIRST, MOST] = [20, 100, 1000];
/** The intended time of a batch: progress is reported after each, and a stop waits for one. */
const BATCH_MS = 1500;
const AGAIN_MS = 1000;
const NOTHING = { upserted: 0, truncated: [], refused: [] };

export class Upload extends EventTarget {
  /** @type {State} */
  state = "stopped";
  /** Rows of which it is known what became of them. */
  read = 0;
  stored = 0;
  /** Documents whose text is longer than the encoder reads. */
  truncated = 0;
  /** Values of the collection that were still to be encoded at the end. */
  valuesWaiting = 0;
  /** @type {Refused[]} */
  refused = [];
  /** @type {unknown} what ended it */
  failure = null;
  /** Milliseconds under way, pauses left out. */
  #took = 0;
  #size = FIRST;
  /** @type {Row[]} */
  #waiting = [];
  #isRead = false;
  #client;
  #rows;
  /** Ends a pause early. */
  #wake = () => {};

  /**
   * @param {import("../../shared/api.js").API} api
   * @param {Plan} plan
   */
  constructor(api, plan) {
    super();
    this.plan = plan;
    this.#client = clientOf(api).collection(plan.collection);
    this.#rows = plan.table.rows(new AbortController().signal);
  }

  /** Seconds that the rest will take, as the rows so far did; null before the first are there. */
  get secondsLeft() {
    return this.read ? ((this.plan.rows - this.read) * this.#took) / this.read / 1000 : null;
  }

  get isUnderWay() {
    return this.state === "running" || this.state === "waiting" || this.state === "stopping";
  }

  /** Send the rows that are left, until all are sent, it is stopped, or the service refuses more than single rows. */
  async run() {
    if (this.isUnderWay) return;
    this.failure = null;
    this.#become("running");
    try {
      while (this.state === "running" && (await this.#fill())) await this.#send(this.#waiting.slice(0, this.#size));
      if (this.state === "running") await this.#countWaiting();
      this.#become(this.state === "running" ? "done" : "stopped");
    } catch (failure) {
      this.failure = failure;
      this.#become("failed");
      if (!(failure instanceof SoftkvError)) throw failure;
    }
  }

  /** Stop as soon as the batch that is under way is answered. */
  stop() {
    if (!this.isUnderWay) return;
    this.#become("stopping");
    this.#wake();
  }

  /** The refused rows as CSV, each with its line, the reason and what it held. No text in it is a formula; `isGuarded` says whether some got an apostrophe for that. @param {(flaw: Flaw | string) => string} reason */
  refusals(reason) {
    const columns = [...new Set(this.refused.flatMap(({ fields }) => Object.keys(fields)))];
    const lines = this.refused.map(({ line, fields, flaw }) => [String(line), reason(flaw), ...columns.map((name) => text(fields[name] ?? ""))]);
    const rows = [["line", "reason", ...columns], ...lines];
    const csv = rows.map((cells) => csvLine(cells.map(inertText))).join("");
    return { csv, isGuarded: rows.flat().some((cell) => inertText(cell) !== cell) };
  }

  /** All is stored by then, so an error is not one of the upload. */
  async #countWaiting() {
    try {
      this.valuesWaiting = (await this.#client.info()).values?.waiting ?? 0;
    } catch (failure) {
      if (!(failure instanceof SoftkvError)) throw failure;
    }
  }

  /** @param {State} state */
  #become(state) {
    this.state = state;
    this.#tell();
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }

  /** Read rows until there are enough for a batch; return whether there are any. */
  async #fill() {
    while (!this.#isRead && this.#waiting.length < this.#size) {
      const { done, value } = await this.#rows.next();
      if (done) this.#isRead = true;
      else this.#waiting.push(...value);
    }
    return this.#waiting.length > 0;
  }

  /** Send a batch. Its result is dropped if the upload is stopped before the answer. @param {Row[]} rows */
  async #send(rows) {
    const { mapping, table } = this.plan;
    const began = performance.now();
    /** @type {Row[]} */
    const sent = [];
    /** @type {{id: string}[]} */
    const documents = [];
    /** @type {Refused[]} */
    const refused = [];
    for (const row of rows) {
      const made = documentOf(row, mapping, table.typed);
      if (!made.document) refused.push({ line: row.line, fields: row.fields, flaw: made.flaw });
      else {
        sent.push(row);
        documents.push(/** @type {{id: string}} */ (made.document)); // the service checks it
      }
    }
    const report = documents.length ? await this.#answer(documents) : NOTHING;
    if (!report) return;
    for (const { row, detail } of report.refused) refused.push({ line: sent[row].line, fields: sent[row].fields, flaw: detail });
    this.refused.push(...refused.sort((a, b) => a.line - b.line));
    this.stored += report.upserted;
    this.truncated += report.truncated.length;
    this.read += rows.length;
    this.#waiting.splice(0, rows.length);
    const took = performance.now() - began;
    this.#took += took;
    this.#size = Math.round(Math.min(MOST, 2 * this.#size, Math.max(FEWEST, (rows.length * BATCH_MS) / Math.max(1, took))));
    this.#tell();
  }

  /** Write documents, and ask again while the service does not answer; null if the upload is stopped meanwhile. @param {{id: string}[]} documents */
  async #answer(documents) {
    for (;;) {
      try {
        const report = await this.#client.upsert(documents);
        if (this.state === "waiting") this.#become("running");
        return report;
      } catch (failure) {
        if (!(failure instanceof SoftkvError) || !failure.again) throw failure;
        if (this.state === "stopping") return null;
        this.failure = failure;
        this.#become("waiting");
        if (!(await this.#paused((failure.retryAfter ?? 0) * 1000 || AGAIN_MS))) return null;
      }
    }
  }

  /**
   * Wait; return false if the upload is stopped meanwhile.
   * @param {number} milliseconds
   * @returns {Promise<boolean>}
   */
  #paused(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(true), milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve(false);
      };
    });
  }
}
