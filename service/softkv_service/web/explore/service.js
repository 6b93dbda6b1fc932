/** The tab of the service itself: whether it is ready, what it holds, what waits, and which calls take long. */

import { SoftkvError } from "../shared/api.js";
import { each, fill, h, scrollingTable } from "../shared/element.js";
import { count, fixed } from "../shared/numbers.js";
import { clientOf } from "./client.js";
import { Metrics } from "./metrics.js";
import words from "./service.json";

/** @typedef {import("./explorer.js").Context} Context */
/** @typedef {import("../shared/words.js").Say} Say */
/** @typedef {import("../vendor/softkv/softkv.js").SlowRequest} SlowRequest */
/** @typedef {import("../vendor/softkv/softkv.js").Encoder} Encoder */
/** @typedef {{status: string, loading: string[], failed: string[]}} Readiness */
/**
 * @typedef {object} Info
 * @property {string} version
 * @property {string | null} encoder
 * @property {boolean} keys_required
 * @property {{servers: unknown[]} | null} shards
 * @property {Record<string, number>} limits
 */

const EVERY_MS = 5000;
const ROUTES = 12;
const REFUSALS = 12;
const SLOWEST = 20;
const LARGEST = 20;
const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** @type {import("./explorer.js").Tab} */
export const service = { id: "service", words, needs: "read", of: "service", mount: (host, context) => new ServiceTab(host, context) };

class ServiceTab {
  #host;
  #context;
  #timer = 0;

  /**
   * @param {HTMLElement} host
   * @param {Context} context
   */
  constructor(host, context) {
    this.#host = host;
    this.#context = context;
    void this.#read();
  }

  update() {}

  leave() {
    window.clearTimeout(this.#timer);
    this.#timer = -1;
  }

  /** Read everything, and again after a while, but only while the page is visible. */
  async #read() {
    const told = document.hidden ? undefined : await this.#context.patiently(() => this.#told());
    if (this.#timer < 0) return;
    if (told) this.#draw(...told);
    this.#timer = window.setTimeout(() => void this.#read(), EVERY_MS);
  }

  /** @returns {Promise<[Readiness, Info, Encoder[], Metrics | null, SlowRequest[] | null]>} null where something is kept from this reader */
  async #told() {
    const client = clientOf(this.#context.api);
    const kept = (/** @type {unknown} */ failure) => {
      // A proxy may keep metrics back, and a key for some collections may not read what is slow in all.
      if (failure instanceof SoftkvError && (failure.status === 403 || failure.status === 404)) return null;
      throw failure;
    };
    const info = this.#context.api.get("/v1");
    const [readiness, about, encoders, text, slow] = await Promise.all([
      client.ready(),
      info,
      client.encoders(),
      client.metrics().catch(kept),
      client.slowRequests().catch(kept),
    ]);
    return [readiness, about, encoders, text === null ? null : new Metrics(text), slow];
  }

  /**
   * @param {Readiness} readiness
   * @param {Info} info
   * @param {Encoder[]} encoders
   * @param {Metrics | null} metrics
   * @param {SlowRequest[] | null} slow
   */
  #draw(readiness, info, encoders, metrics, slow) {
    const { say } = this.#context;
    const parts = [...readiness.failed.map((part) => say("failed", { part })), ...readiness.loading.map((part) => say("loads", { part }))];
    fill(
      this.#host,
      h("h2", {}, say("title")),
      h("p.health", { id: "health", "data-status": readiness.status }, say(`status.${readiness.status}`)),
      parts.length
        ? h(
            "ul.parts",
            {},
            parts.map((part) => h("li", {}, part)),
          )
        : null,
      h(
        "div.beside",
        {},
        facts(say, "about", [
          ["version", info.version],
          ["encoder", info.encoder ?? say("encoder.none")],
          ["keys", say(info.keys_required ? "keys.wanted" : "keys.open")],
          ["shards", info.shards ? count(info.shards.servers.length) : say("shards.none")],
          ...(metrics ? [/** @type {[string, string]} */ (["since", this.#since(metrics)])] : []),
        ]),
        metrics ? this.#held(metrics) : null,
        metrics ? this.#waiting(metrics, info) : null,
      ),
      encoders.length ? this.#encoders(encoders) : null,
      metrics ? this.#costs(metrics) : null,
      metrics ? this.#calls(metrics) : null,
      slow?.length ? this.#slow(slow) : null,
      metrics ? this.#refusals(metrics) : h("p.soft", {}, say("metrics.closed")),
    );
  }

  /** @param {Metrics} metrics */
  #since(metrics) {
    const start = metrics.value("process_start_time_seconds");
    return start === null ? "–" : new Intl.DateTimeFormat(this.#context.language, { dateStyle: "medium", timeStyle: "short" }).format(new Date(start * 1000));
  }

  /** @param {Metrics} metrics */
  #held(metrics) {
    const { say } = this.#context;
    const stored = metrics.of("softkv_storage_bytes").reduce((sum, { value }) => sum + value, 0);
    return facts(say, "holds", [
      ["collections", count(metrics.value("softkv_collections") ?? 0)],
      ["documents", count(metrics.value("softkv_documents") ?? 0)],
      ["memory", bytes(metrics.value("process_resident_memory_bytes"))],
      ["stored", bytes(stored)],
      ["disk", say("disk.free", { free: bytes(metrics.value("softkv_disk_free_bytes")), all: bytes(metrics.value("softkv_disk_size_bytes")) })],
    ]);
  }

  /**
   * @param {Metrics} metrics
   * @param {Info} info
   */
  #waiting(metrics, info) {
    const { say } = this.#context;
    const taken = metrics.of("softkv_places_taken").filter(({ value }) => value);
    const kinds = taken.map(({ labels, value }) => `${labels.kind} ${count(value)}`).join(", ");
    return facts(say, "waits", [
      ["encode", count(metrics.value("softkv_queue_depth", { queue: "encode" }) ?? 0)],
      ["scan", count(metrics.value("softkv_queue_depth", { queue: "scan" }) ?? 0)],
      ["places", say("places", { kinds: kinds || "0", most: count(info.limits.requests_at_once) })],
    ]);
  }

  /** @param {Encoder[]} encoders */
  #encoders(encoders) {
    const { say } = this.#context;
    const lines = encoders.map(({ name, kind, dimension, state, memory_bytes }) => [
      name,
      kind ? say(`kind.${kind}`) : "–",
      dimension === null ? "–" : count(dimension),
      memory_bytes ? bytes(memory_bytes) : "–",
      say(`encoder.${state}`),
    ]);
    return section(say, "encoders", ["encoder", "kind", "width", "memory", "state"], lines);
  }

  /** @param {Metrics} metrics */
  #costs(metrics) {
    const { say } = this.#context;
    const costs = metrics.costs(LARGEST);
    if (!costs.length) return null;
    const lines = costs.map(({ collection, memory, disk, questions, within }) => [
      collection === "*" ? say("costs.others") : collection,
      bytes(memory),
      bytes(disk),
      count(questions),
      within === null || Number.isNaN(within) ? "–" : duration(within),
    ]);
    return section(say, "costs", ["collection", "memory", "disk", "questions", "within"], lines);
  }

  /** @param {Metrics} metrics */
  #calls(metrics) {
    const { say } = this.#context;
    const calls = metrics.calls(ROUTES);
    const slow = metrics.value("softkv_slow_requests_total") ?? 0;
    const lines = calls.map(({ method, route, count: number, mean, within }) => [
      `${method} ${route}`,
      count(number),
      duration(mean),
      within === Infinity ? say("within.more") : duration(within),
    ]);
    const told = h("p", { id: "slow" }, slow ? say("slow", { count: slow, requests: count(slow) }) : say("slow.none"));
    return section(say, "calls", ["call", "count", "mean", "within"], lines, told);
  }

  /** @param {SlowRequest[]} slow */
  #slow(slow) {
    const { say, language } = this.#context;
    const time = new Intl.DateTimeFormat(language, { dateStyle: "short", timeStyle: "medium" });
    const lines = slow.slice(0, SLOWEST).map(({ method, route, at, took_ms, stages_ms, collection, status }) => [
      `${method} ${route}`,
      collection ?? "–",
      String(status),
      duration(took_ms / 1000),
      Object.entries(stages_ms)
        .sort(([, a], [, b]) => b - a)
        .slice(0, 2)
        .map(([stage, ms]) => `${stage} ${duration(ms / 1000)}`)
        .join(", "),
      time.format(new Date(at)),
    ]);
    return section(say, "slowest", ["call", "collection", "status", "took", "stages", "at"], lines);
  }

  /** @param {Metrics} metrics */
  #refusals(metrics) {
    const { say } = this.#context;
    const refused = metrics.of("softkv_refusals_total").filter(({ value }) => value);
    if (!refused.length) return h("p.soft", { id: "no-refusals" }, say("refusals.none"));
    refused.sort((a, b) => b.value - a.value);
    const lines = refused.slice(0, REFUSALS).map(({ labels, value }) => [labels.code, count(value)]);
    return section(say, "refusals", ["code", "count"], lines);
  }
}

/**
 * @param {Say} say
 * @param {string} title
 * @param {[string, string][]} lines the name of a fact, and what it is
 */
function facts(say, title, lines) {
  return h(
    "section",
    { id: `service-${title}` },
    h("h3", {}, say(title)),
    each("dl.told", {}, lines, ([name, text]) => h("div", {}, h("dt", {}, say(`fact.${name}`)), h("dd", {}, text))),
  );
}

/**
 * A section with a table whose first column names its rows.
 * @param {Say} say
 * @param {string} title
 * @param {string[]} columns
 * @param {string[][]} lines
 * @param {HTMLElement} [told]
 */
function section(say, title, columns, lines, told) {
  const heads = columns.map((name, i) => h(i ? "th.number" : "th", { scope: "col" }, say(`column.${name}`)));
  const rows = lines.map(([first, ...rest]) => {
    const cells = rest.map((text) => h("td.number", {}, text));
    return h("tr", {}, h("th", { scope: "row" }, h("code", {}, first)), cells);
  });
  return h("section", { id: title }, h("h3", {}, say(title)), told, scrollingTable(say(title), "table.told-of", heads, rows));
}

/** @param {number | null} size */
function bytes(size) {
  if (size === null || Number.isNaN(size)) return "–";
  const unit = size < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(size) / 3));
  return `${fixed(size / 1000 ** unit, unit ? 1 : 0)} ${UNITS[unit]}`;
}

/** @param {number} seconds */
function duration(seconds) {
  if (seconds >= 1) return `${fixed(seconds, 1)} s`;
  return `${fixed(seconds * 1000, seconds < 0.01 ? 1 : 0)} ms`;
}
