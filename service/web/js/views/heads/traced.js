/** What `/v1/trace` answers of a text, or of a pair: asked for all heads of all layers at once, read into plain numbers. */

import { vectorOf } from "../../api.js";

export const LAYERS = 6;
export const HEADS = 12;

/** The request for the weights of every head; of one layer where all would be too many numbers. @param {Page.State} state @param {?number} [only] */
export function everyHead({ text, pair, causal }, only = null) {
  const layers = only === null ? Array.from({ length: LAYERS }, (_, i) => i) : [only];
  return { ...texts(text, pair), layers, causal, include: ["changes"], vector_format: "base64" };
}

/** The request for what one head compares: its vectors, and the logits before the softmax. @param {Page.State} state @param {Page.Head} place */
export function oneHead({ text, pair, causal }, { layer, head }) {
  return { ...texts(text, pair), layers: [layer], heads: [head], causal, include: ["query", "key", "value", "logits"] };
}

/** @param {string} text @param {?string} pair */
function texts(text, pair) {
  return pair?.trim() ? { text, pair } : { text };
}

/** @typedef {Record<"attention" | "feed_forward" | "layer", number[]>} Changes how far each step of a layer moved each token */

/**
 * @param {{tokens: Page.Token[], layers: number[], attention: Page.Packed, changes: Record<keyof Changes, Page.Packed>[]}} answer of `everyHead`
 * @returns {{tokens: Page.Token[], layers: Map<number, number[][][]>, changes: Map<number, Changes>}}
 *   layer → head → token → token, and layer → how far each of its steps moved each token
 */
export function read({ tokens, layers, attention, changes }) {
  const all = nested(attention);
  return {
    tokens,
    layers: new Map(layers.map((layer, i) => [layer, all[i]])),
    changes: new Map(
      layers.map((layer, i) => {
        const { attention: mixed, feed_forward: fed, layer: whole } = changes[i];
        const [byAttention, byNetwork, byLayer] = [mixed, fed, whole].map((packed) => Array.from(vectorOf(packed)));
        return [layer, { attention: byAttention, feed_forward: byNetwork, layer: byLayer }];
      }),
    ),
  };
}

/** A layer and a head that there are, from an address that may say anything. @param {number} layer @param {number} head */
export function placed(layer, head) {
  const within = (/** @type {number} */ number, /** @type {number} */ most) => Math.min(most - 1, Math.max(0, Math.round(number)));
  return { layer: within(layer, LAYERS), head: within(head, HEADS) };
}

/** The second head, "layer.head" in the address; null where there is none. @param {Page.State} state @returns {?Page.Head} */
export function secondOf({ second }) {
  const found = /^(\d+)\.(\d+)$/.exec(second);
  return found ? placed(Number(found[1]), Number(found[2])) : null;
}

/**
 * Of all heads, the one in which a token gives most of itself to another, and how much.
 *
 * @param {Map<number, number[][][]>} layers
 * @param {number} from
 * @param {number} to
 */
export function strongest(layers, from, to) {
  const found = [...layers].flatMap(([layer, heads]) => heads.map((weights, head) => ({ layer, head, weight: weights[from][to] })));
  return found.reduce((best, one) => (one.weight > best.weight ? one : best));
}

/** @param {Page.Packed} packed */
function nested({ shape, ...packed }) {
  const flat = Array.from(vectorOf(packed));
  /** @type {(from: number, shape: number[]) => any} */
  const cut = (from, [size, ...inner]) => {
    if (!inner.length) return flat.slice(from, from + size);
    const step = inner.reduce((product, each) => product * each, 1);
    return Array.from({ length: size }, (_, i) => cut(from + i * step, inner));
  };
  return cut(0, shape);
}
