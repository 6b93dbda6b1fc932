/** Every number of the sheet, each the service's: attention itself, and what a layer does around it. */

import { causalMask, EMBEDDINGS, W_K, W_O, W_Q, W_V, WORDS } from "../../example.js";
import { onTheWire } from "../../scale.js";

const HEADS = [1, 2];
const PATH = "/v1/attend";
const WIDTH = W_O.length;
/** A row times this is the row less its mean. */
const CENTRE = W_O.map((_, i) => W_O.map((__, j) => (i === j ? 1 : 0) - 1 / WIDTH));
const EYE = W_O.map((_, i) => W_O.map((__, j) => (i === j ? 1 : 0)));

/** How many heads the state asks for. @param {{heads: number}} state */
export function headsOf({ heads }) {
  return HEADS.includes(heads) ? heads : 1;
}

/** Which of the heads is walked through. @param {Page.State} state */
export function walkedOf(state) {
  return headsOf(state) > 1 && state.walked === 1 ? 1 : 0;
}

/** The request for attention, with every array on the way. @param {Page.State} state */
export function attention(state) {
  return {
    query: EMBEDDINGS,
    key: EMBEDDINGS,
    value: EMBEDDINGS,
    similarity: "scaled_dot",
    temperature: onTheWire(state.t),
    ...(state.causal ? { mask: causalMask(WORDS.length) } : {}),
    projections: { W_Q, W_K, W_V, W_O, n_heads: headsOf(state) },
    intermediates: true,
  };
}

/** QKᵀ alone, and divided by √d_k and T but not masked. @param {Page.State} state */
function products(state) {
  const width = WIDTH / headsOf(state);
  const { mask, ...asked } = attention(state);
  return { ...asked, similarity: "dot", temperature: state.t === Infinity ? onTheWire(Infinity) : state.t * Math.sqrt(width) };
}

/** X + output: the dot product of [x, o] with [e, e] adds up two numbers. @param {number[][]} both */
function residual(both) {
  const key = EYE.map((row) => [...row, ...row]);
  return { query: both, key, value: key, similarity: "dot", intermediates: true };
}

/**
 * The norm of X + output, of gain 1 and bias 0: (x − mean) / deviation is √d times the cosine of the centred row with each
 * axis, so it is the logits of that cosine at temperature 1/√d.
 *
 * @param {number[][]} both
 */
function norm(both) {
  return {
    query: both,
    key: EYE,
    value: EYE,
    similarity: "cosine",
    temperature: 1 / Math.sqrt(WIDTH),
    projections: { W_Q: [...CENTRE, ...CENTRE], W_K: EYE, W_V: EYE, W_O: EYE, n_heads: 1 },
  };
}

/**
 * The service's arrays as plain matrices; of several heads those of the one that is walked through.
 *
 * @param {Page.API} api @param {Page.State} state @param {AbortSignal} signal
 * @returns {Promise<Page.Arrays>}
 */
export async function numbersOf(api, state, signal) {
  const [{ intermediates: all, output }, plain] = await Promise.all([attention(state), products(state)].map((body) => api.post(PATH, body, signal)));
  const both = EMBEDDINGS.map((row, i) => [...row, ...output[i]]);
  const [added, normed] = await Promise.all([residual(both), norm(both)].map((body) => api.post(PATH, body, signal)));
  const width = WIDTH / headsOf(state);
  const head = walkedOf(state);
  const own = (/** @type {number[][]} */ map) => map.map((row) => row.slice(head * width, (head + 1) * width));
  const [query, key, value, similarity, logits, weights, blended] = ["query", "key", "value", "similarities", "logits", "weights", "heads"].map(
    (name) => /** @type {number[][]} */ (all[name][head]),
  );
  return {
    embeddings: EMBEDDINGS,
    W_Q: own(W_Q),
    W_K: own(W_K),
    W_V: own(W_V),
    W_O,
    words: WORDS,
    query,
    key,
    value,
    similarity,
    logits,
    weights,
    blended,
    dot: plain.intermediates.similarities[head],
    scaled: plain.logits[head],
    mask: state.causal ? causalMask(WORDS.length) : null,
    heads: all.heads,
    concatenated: all.concatenated,
    output,
    residual: added.intermediates.similarities,
    normalised: normed.logits[0],
  };
}
