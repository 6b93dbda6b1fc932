/** The attention of each head of the encoder in a sentence: recorded, or the service's for a reader's own. */

import { vectorOf } from "../../../../service/softkv_service/web/shared/api.js";

/** @typedef {import("../../../../service/softkv_service/web/shared/heads.js").Trace} Trace */
/** @typedef {(text: string) => Promise<Trace>} Tracer */

const LEVELS = 255;
const LAYERS = 6;

/**
 * A trace as it was recorded: a byte for each weight.
 *
 * @param {{layers: number, heads: number, texts: {text: string, pair: ?string, tokens: {text: string}[], weights: string}[]}} recorded
 * @param {string} text
 * @returns {?Trace} null if this text was not recorded
 */
export function recordedTrace({ layers, heads, texts }, text) {
  const found = texts.find((one) => one.text === text && one.pair === null);
  if (!found) return null;
  const weights = Float64Array.from(atob(found.weights), (letter) => letter.charCodeAt(0) / LEVELS);
  return { tokens: found.tokens.map((token) => token.text), attention: byHead(weights, layers, heads, found.tokens.length) };
}

/**
 * The service as what traces.
 * @param {{post: (path: string, body: object) => Promise<any>}} api
 * @returns {Tracer}
 */
export function tracingService(api) {
  return async (text) => {
    const { tokens, attention } = await api.post("/v1/trace", { text, layers: Array.from({ length: LAYERS }, (_, i) => i), vector_format: "base64" });
    const [layers, heads, n] = attention.shape;
    return { tokens: tokens.map((/** @type {{text: string}} */ token) => token.text), attention: byHead(vectorOf(attention), layers, heads, n) };
  };
}

/**
 * @param {Float64Array} weights
 * @param {number} layers
 * @param {number} heads
 * @param {number} n
 * @returns {Float64Array[][]}
 */
function byHead(weights, layers, heads, n) {
  const one = (/** @type {number} */ at) => weights.subarray(at * n * n, (at + 1) * n * n);
  return Array.from({ length: layers }, (_, layer) => Array.from({ length: heads }, (__, head) => one(layer * heads + head)));
}
