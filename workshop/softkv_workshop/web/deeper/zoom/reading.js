/**
 * The calls of the zoom: traces of a text and the answer of its collection. The first question was recorded, so that the
 * picture needs no model; all others are the service's, or in an exported page those of the encoder in the browser.
 */

import { vectorOf } from "../../../../../service/softkv_service/web/shared/api.js";
import { weigh } from "../../../../../service/softkv_service/web/shared/formula.js";
import { cosine } from "./strip.js";

/** @typedef {import("./strip.js").Vector} Vector */
/** @typedef {{shape: number[], base64: string}} Packed */
/** @typedef {{text: string, sequence: ?number}} Token */
/**
 * @typedef {object} Reading the whole text
 * @property {Token[]} tokens
 * @property {Float64Array[][]} attention by layer and head, [n, n]
 * @property {{pooled: Vector, embedding: Vector, searched: Vector}} vector
 * @property {?Float64Array[][]} states by layer: the vectors of all tokens as they come in, then as they leave the last layer
 */
/**
 * @typedef {object} Head one head of one layer; a matrix has a row for each token
 * @property {Vector[]} query
 * @property {Vector[]} key
 * @property {Vector[]} value
 * @property {Vector[]} logits
 * @property {Vector[]} weights
 * @property {Vector[]} written
 * @property {Vector[][]} states the input, what attention adds, the middle, what the network adds, the output
 * @property {{index: Vector[], score: Vector[], activation: Vector[], share: Vector[]}} neurons
 */
/**
 * @typedef {object} Match
 * @property {string} id
 * @property {?string} key
 * @property {any} value
 * @property {number} similarity
 * @property {number} weight
 * @property {number[] | Packed} key_vector
 * @property {any} [explanation]
 */
/** @typedef {{matches: Match[], documents: number, temperature: number, rest_weight: number, evidence: {null_weight: number, null_similarity: ?number}}} Answer */
/** @typedef {{[id: string]: number}} Weights of rows, by their ids */
/** @typedef {{before: Weights, heads: {layer: number, head: number, moved: number, weights: Weights}[]}} Left weights with all heads, and without each: `moved` is half the sum of the changes of all weights */
/** @typedef {(path: string, body: object) => Promise<any>} Ask */

/** The layers of all-MiniLM. */
const LAYERS = 6;
/** The most matches that are shown. */
const SHOWN = 8;
/** Queries in one request. */
const TOGETHER = 36;
const FORMAT = { vector_format: "base64" };
const OF_HEAD = ["logits", "query", "key", "value", "written", "hidden_states", "neurons"];
const [INPUT, OUTPUT] = [0, 4];

/** @typedef {{q: string, model: string, layers: number}} Subject a text, the model that reads it (empty: the service's) and how many layers that has */

/** The numbers of layers of models. @type {Map<string, number>} */
const layersOf = new Map([["", LAYERS]]);

/**
 * Count the layers of a model.
 * @param {Ask} ask
 * @param {string} model
 * @returns {Promise<number>}
 */
export async function countLayers(ask, model) {
  const known = layersOf.get(model);
  if (known) return known;
  const { layers } = await ask("/v1/trace", { text: "", ...named(model), heads: [0], ...FORMAT });
  layersOf.set(model, layers[0] + 1);
  return layers[0] + 1;
}

/**
 * @param {Ask} ask
 * @param {Subject} subject
 * @param {boolean} [hasStates]
 * @returns {Promise<Reading>}
 */
export async function readText(ask, { q, model, layers }, hasStates = false) {
  const all = Array.from({ length: layers }, (_, i) => i);
  const include = hasStates ? ["vector", "hidden_states"] : ["vector"];
  const {
    tokens,
    attention,
    vector,
    hidden_states: states,
  } = await ask("/v1/trace", {
    text: q,
    ...named(model),
    purpose: "query",
    layers: all,
    include,
    ...FORMAT,
  });
  const heads = parts(vectorOf(attention), attention.shape[0]);
  /** @type {?Float64Array[][]} */
  const steps = states && parts(vectorOf(states), states.shape[0]).map((/** @type {Float64Array} */ layer) => parts(layer, states.shape[1]));
  return {
    tokens,
    attention: heads.map((layer) => parts(layer, attention.shape[1])),
    vector: { pooled: vectorOf(vector.pooled), embedding: vectorOf(vector.embedding), searched: vectorOf(vector.searched) },
    states: steps ? [...steps.map((layer) => layer[INPUT]), steps[layers - 1][OUTPUT]].map((rows) => parts(rows, tokens.length)) : null,
  };
}

/**
 * @param {Ask} ask
 * @param {Subject} subject
 * @param {number} layer
 * @param {number} head
 * @returns {Promise<Head>}
 */
export async function readHead(ask, { q, model }, layer, head) {
  const body = { text: q, ...named(model), purpose: "query", layers: [layer], heads: [head], include: OF_HEAD, ...FORMAT };
  const trace = await ask("/v1/trace", body);
  const n = trace.tokens.length;
  const rows = (/** @type {Packed} */ packed) => parts(vectorOf(packed), n);
  const { index, score, activation, share } = trace.neurons;
  return {
    query: rows(trace.query),
    key: rows(trace.key),
    value: rows(trace.value),
    logits: rows(trace.logits),
    weights: rows(trace.attention),
    written: rows(trace.written),
    states: parts(vectorOf(trace.hidden_states), 5).map((step) => parts(step, n)),
    neurons: { index: rows(index), score: rows(score), activation: rows(activation), share: rows(share) },
  };
}

/**
 * The answer of a collection, as the reader's question had it.
 * @param {Ask} ask
 * @param {string} collection
 * @param {object} options of the question
 * @param {string} q
 * @returns {Promise<Answer>}
 */
export function readAnswer(ask, collection, options, q) {
  const include = ["key", "value", "key_vector", "explanation"];
  return ask(pathOf(collection), { top_k: SHOWN, ...options, query: q, include, ...FORMAT });
}

/**
 * The answer of rows that the question brings along, with the vectors of their keys.
 * @param {Ask} ask
 * @param {string[][]} rows a key each
 * @param {object} options of the question
 * @param {string} q
 * @returns {Promise<Answer>}
 */
export async function readRows(ask, rows, options, q) {
  const all = rows.map(([key], i) => ({ id: String(i), key }));
  const { attention } = await ask("/v1/compare", { null: false, ...options, query: q, rows: all, top_k: all.length });
  const texts = attention.matches.map((/** @type {Match} */ { id }) => all[Number(id)].key);
  const { embeddings } = await ask("/v1/encode", { texts });
  const matches = attention.matches.map((/** @type {Match} */ match, /** @type {number} */ i) => ({ ...match, key: texts[i], key_vector: embeddings[i] }));
  return { ...attention, matches, documents: matches.length, rest_weight: 0 };
}

/**
 * Weights of the rows of an answer for other vectors, as the service computes them.
 * @param {Answer} answer with all of its rows
 * @param {number[][]} vectors
 * @returns {Answer[]}
 */
function weighRows({ matches, temperature, evidence: { null_similarity: level } }, vectors) {
  const keys = matches.map(({ key_vector: vector }) => vectorOf(vector));
  return vectors.map((vector) => {
    const similarities = keys.map((key) => cosine(vector, key));
    const { weights, nullWeight } = weigh(similarities, { temperature, none: level === null ? null : { similarity: level, count: 1 } });
    const evidence = { null_weight: nullWeight, null_similarity: level };
    const weighed = matches.map((match, i) => ({ ...match, weight: weights[i] }));
    return { matches: weighed, documents: matches.length, temperature, rest_weight: 0, evidence };
  });
}

/**
 * Leave out each head, and ask with the vectors that the text has then. The heads are sorted, the one first without
 * which the weights of all rows change most.
 *
 * @param {Ask} ask
 * @param {string} collection
 * @param {Record<string, any>} options of the question
 * @param {Subject} subject
 * @param {Vector} embedding of the whole text
 * @param {?Answer} answer of rows that the question brought along; null for a collection
 * @returns {Promise<Left>}
 */
export async function leaveOut(ask, collection, { temperature, null: none, filter, bias }, { q, model }, embedding, answer) {
  const { without_head: without } = await ask("/v1/trace", { text: q, ...named(model), purpose: "query", heads: [0], include: ["without_head"], ...FORMAT });
  const [layers, heads] = without.shape;
  const vectors = [embedding, ...parts(vectorOf(without), layers * heads)].map((vector) => Array.from(vector));
  /** @type {Answer[]} */
  const answers = answer ? weighRows(answer, vectors) : [];
  for (let at = 0; !answer && at < vectors.length; at += TOGETHER) {
    const queries = vectors.slice(at, at + TOGETHER);
    const { results } = await ask(pathOf(collection), { temperature, null: none, filter, bias, rerank: null, top_k: SHOWN, queries, include: [] });
    answers.push(...results);
  }
  const [before, ...after] = answers;
  const left = after.map((answer, i) => ({
    layer: Math.floor(i / heads),
    head: i % heads,
    moved: variation(before, answer),
    weights: weightsOf(answer),
  }));
  return { before: weightsOf(before), heads: left.sort((a, b) => b.moved - a.moved) };
}

/**
 * @param {Answer} answer
 * @returns {Weights}
 */
function weightsOf({ matches }) {
  return Object.fromEntries(matches.map(({ id, weight }) => [id, weight]));
}

/**
 * The total variation of two answers: half the sum of the changes of all weights. Rows that only one of them shows are
 * among the rest of the other.
 *
 * @param {Answer} before
 * @param {Answer} after
 */
function variation(before, after) {
  const [one, other] = [weightsOf(before), weightsOf(after)];
  const both = Object.keys(one).filter((id) => id in other);
  const shares = (/** @type {Answer} */ { evidence }, /** @type {Weights} */ weights) => {
    const known = [...both.map((id) => weights[id]), evidence.null_weight];
    return [...known, 1 - known.reduce((sum, weight) => sum + weight, 0)];
  };
  const later = shares(after, other);
  return shares(before, one).reduce((sum, weight, i) => sum + Math.abs(weight - later[i]), 0) / 2;
}

/** @param {string} collection */
function pathOf(collection) {
  return `/v1/collections/${encodeURIComponent(collection)}/attend`;
}

/** @param {string} model */
function named(model) {
  return model ? { model } : {};
}

/**
 * Equal parts of an array.
 * @param {Float64Array} all
 * @param {number} count
 */
function parts(all, count) {
  const size = all.length / count;
  return Array.from({ length: count }, (_, i) => all.subarray(i * size, (i + 1) * size));
}
