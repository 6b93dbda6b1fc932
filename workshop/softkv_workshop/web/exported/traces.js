/** `POST /v1/trace` in the browser: every array of a trace of the encoder, as the API writes it. */

/**
 * @typedef {import("../encoder/index.js").Layer} Layer
 * @typedef {{text: string, pair?: ?string, layers?: number[], heads?: number[], causal?: boolean, include?: string[], vector_format?: string, purpose?: string}} Request
 */

/** The arrays by their names in the API, and in a layer. @type {[string, "logits"|"queries"|"keys"|"values"][]} */
const ARRAYS = [
  ["logits", "logits"],
  ["query", "queries"],
  ["key", "keys"],
  ["value", "values"],
];

/** The neurons of a token. */
const NEURONS = 8;
/** The states of a layer. */
const STATES = 5;

/** @typedef {{spans: import("../encoder/index.js").TracedToken[], layers: Partial<Layer>[]}} Trace */

/**
 * Return the answer that a trace gives to a request.
 * @param {string} model
 * @param {Trace} trace
 * @param {Request} request
 * @param {Pick<import("../encoder/network.js").Network, "written" | "neurons">} network
 */
export function traced(model, trace, { layers = [-1], heads, include = [], vector_format: format = "numbers" }, network) {
  const all = /** @type {Layer[]} */ (trace.layers);
  const chosen = layers.map((layer) => (layer < 0 ? layer + all.length : layer));
  const named = heads ?? all[0].attention.map((_, head) => head);
  const n = trace.spans.length;
  const array = (/** @type {"attention"|"logits"|"queries"|"keys"|"values"} */ name) => {
    const matrices = chosen.map((layer) => named.map((head) => all[layer][name][head]));
    return written(matrices.flat(), [chosen.length, named.length, n, matrices[0][0].length / n], format);
  };
  const width = (all[0].states[0] ?? all[0].attention[0]).length / n;
  const neurons = () => {
    const found = chosen.map((layer) => network.neurons(all[layer], layer, NEURONS));
    const names = /** @type {const} */ (["index", "score", "activation", "share"]);
    return Object.fromEntries(
      names.map((name) => [
        name,
        written(
          found.map((of) => of[name]),
          [chosen.length, n, NEURONS],
          format,
        ),
      ]),
    );
  };
  const changes = chosen.map((layer) => {
    const { attention, feedForward, layer: whole } = all[layer].changes;
    return { attention: written([attention], [n], format), feed_forward: written([feedForward], [n], format), layer: written([whole], [n], format) };
  });
  return {
    model,
    tokens: trace.spans,
    layers: chosen,
    heads: named,
    attention: array("attention"),
    ...Object.fromEntries(ARRAYS.filter(([name]) => include.includes(name)).map(([name, own]) => [name, array(own)])),
    ...(include.includes("written")
      ? {
          written: written(
            chosen.flatMap((layer) => named.map((head) => network.written(all[layer], layer, head))),
            [chosen.length, named.length, n, width],
            format,
          ),
        }
      : {}),
    ...(include.includes("hidden_states")
      ? {
          hidden_states: written(
            chosen.flatMap((layer) => all[layer].states),
            [chosen.length, STATES, n, width],
            format,
          ),
        }
      : {}),
    ...(include.includes("neurons") ? { neurons: neurons() } : {}),
    ...(include.includes("changes") ? { changes } : {}),
  };
}

/**
 * Return arrays one after another: base64 of float32 with their shape, or nested lists without −∞.
 * @param {Float32Array[]} parts
 * @param {number[]} shape
 * @param {string} format
 */
export function written(parts, shape, format) {
  const flat = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    flat.set(part, at);
    at += part.length;
  }
  if (format === "base64") return { shape, base64: btoa(Array.from(new Uint8Array(flat.buffer), (byte) => String.fromCharCode(byte)).join("")) };
  return nested(flat, shape);
}

/**
 * @param {Float32Array} flat
 * @param {number[]} shape
 * @returns {unknown[]}
 */
function nested(flat, [size, ...inner]) {
  const step = flat.length / size;
  return Array.from({ length: size }, (_, i) =>
    inner.length ? nested(flat.subarray(i * step, (i + 1) * step), inner) : Number.isFinite(flat[i]) ? flat[i] : null,
  );
}
