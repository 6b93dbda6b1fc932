/** The metrics of the service, read from the text format of Prometheus. */

/** @typedef {{name: string, labels: Record<string, string>, value: number}} Sample */
/**
 * @typedef {object} Calls of a route: seconds on average, and within which 99 of 100 were answered
 * @property {string} method
 * @property {string} route
 * @property {number} count
 * @property {number} mean
 * @property {number} within
 */
/**
 * @typedef {object} Costs of a collection: bytes, questions since the start, and seconds within which 99 of 100 calls were answered
 * @property {string} collection
 * @property {number} memory
 * @property {number | null} disk
 * @property {number} questions
 * @property {number | null} within
 */

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;
const ESCAPED = { n: "\n", '"': '"', "\\": "\\" };
const DURATION = "softkv_http_request_duration_seconds";
const MOST = 0.99;

export class Metrics {
  /** @param {string} text */
  constructor(text) {
    /** @type {Sample[]} */
    this.samples = text.split("\n").flatMap((line) => {
      const [, name, labels = "", value] = LINE.exec(line) ?? [];
      return name ? [{ name, labels: labelsOf(labels), value: numberOf(value) }] : [];
    });
  }

  /**
   * The value of a metric with these labels; null if there is none.
   * @param {string} name
   * @param {Record<string, string>} [labels]
   */
  value(name, labels = {}) {
    return this.of(name).find((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))?.value ?? null;
  }

  /** All samples of a metric. @param {string} name */
  of(name) {
    return this.samples.filter((sample) => sample.name === name);
  }

  /**
   * The costs of the collections with most questions, the largest in memory first. The others, counted together, are last as `*`.
   *
   * @param {number} most
   * @returns {Costs[]}
   */
  costs(most) {
    const costs = this.of("softkv_collection_memory_bytes").map(({ labels: { collection }, value: memory }) => ({
      collection,
      memory,
      disk: this.value("softkv_collection_disk_bytes", { collection }),
      questions: this.value("softkv_collection_questions", { collection }) ?? 0,
      within: this.value("softkv_collection_p99_seconds", { collection }),
    }));
    return costs.sort((a, b) => Number(a.collection === "*") - Number(b.collection === "*") || b.memory - a.memory).slice(0, most);
  }

  /**
   * The calls by route that took most time together.
   * @param {number} most
   * @returns {Calls[]}
   */
  calls(most) {
    const counts = this.of(`${DURATION}_count`).filter(({ labels, value }) => value && labels.route.startsWith("/v1"));
    const calls = counts.map(({ labels: { method, route }, value: count }) => {
      const buckets = this.of(`${DURATION}_bucket`).filter(({ labels }) => labels.method === method && labels.route === route);
      const within = buckets.find(({ value }) => value >= MOST * count);
      const sum = this.value(`${DURATION}_sum`, { method, route }) ?? 0;
      return { method, route, count, mean: sum / count, within: numberOf(within?.labels.le ?? "+Inf") };
    });
    return calls.sort((a, b) => b.mean * b.count - a.mean * a.count).slice(0, most);
  }
}

/**
 * @param {string} text
 * @returns {Record<string, string>}
 */
function labelsOf(text) {
  return Object.fromEntries(
    Array.from(text.matchAll(LABEL), ([, name, value]) => [name, value.replace(/\\(.)/g, (_, letter) => ESCAPED[/** @type {"n"} */ (letter)] ?? letter)]),
  );
}

/** @param {string} text */
function numberOf(text) {
  return text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text);
}
