/**
 * GPT-2's layers, but with ReLU, in plain JavaScript, by the loops of the encoder: causal, in pre-norm, word by word. What was computed of the
 * words before is kept, so that a further word costs one pass over the weights.
 *
 * @typedef {import("../encoder/network.js").Shape} Shape
 * @typedef {import("../encoder/network.js").Tensors} Tensors
 */

import { compare, mix, multiply, normalise, partOf, softmax, TOKENS } from "../encoder/loops.js";

/**
 * @typedef {object} Layer what one layer computes of n words
 * @property {Float32Array[]} attention by head, [n, n]: row i has the weights with which word i attends
 * @property {Float32Array[]} queries by head, [n, width / heads]
 * @property {Float32Array[]} keys by head, likewise
 * @property {Float32Array[]} values by head, likewise
 * @property {Float32Array} before [n, width], the stream that the layer reads
 * @property {Float32Array} attended [n, width], what the attention half adds to the stream
 * @property {Float32Array} hidden [n, inner], how strong each neuron of the feed-forward half is
 * @property {Float32Array} fed [n, width], what the feed-forward half adds after it
 */

/**
 * @typedef {object} Kept what one layer computed, row by row
 * @property {Float64Array} projected [positions, 3·width]: queries, keys, values
 * @property {Float64Array[][]} weights by word and head, [n of that word]
 * @property {Float64Array} attended [positions, width]
 * @property {Float64Array} hidden [positions, inner]
 * @property {Float64Array} fed [positions, width]
 */

/** Layers that read words, and predict the next. */
export class Network {
  /**
   * @param {Shape} shape
   * @param {Tensors} tensors
   */
  constructor(shape, tensors) {
    this.shape = shape;
    this.tensors = tensors;
    const { width, layers, inner, positions } = shape;
    this.scratch = new Float64Array(2 * Math.max(width, inner));
    /** @type {number[]} the words that were read */
    this.ids = [];
    /** Before the layers, and after each half of a layer; [positions, width]. */
    this.streams = Array.from({ length: 2 * layers + 1 }, () => new Float64Array(positions * width));
    /** @type {Kept[]} */
    this.layers = Array.from({ length: layers }, () => ({
      projected: new Float64Array(positions * 3 * width),
      weights: [],
      attended: new Float64Array(positions * width),
      hidden: new Float64Array(positions * inner),
      fed: new Float64Array(positions * width),
    }));
  }

  /** Read words: those that follow the words that are already read in the same order. @param {number[]} ids */
  read(ids) {
    let past = 0;
    while (past < this.ids.length && past < ids.length && this.ids[past] === ids[past]) past++;
    this.ids = ids.slice(0, past);
    for (const layer of this.layers) layer.weights.length = past;
    for (const id of ids.slice(past)) this.ids.push(id);
    if (past < ids.length) this.#extend(past);
  }

  /**
   * Return the logits of the next word, after the last word's row of a stream.
   * @param {Float64Array[]} streams
   * @returns {Float32Array[]}
   */
  predict(streams) {
    const { width } = this.shape;
    const last = (this.ids.length - 1) * width;
    const rows = streams.length;
    const x = new Float64Array(padded(rows) * width);
    streams.forEach((stream, i) => x.set(stream.subarray(last, last + width), i * width));
    this.#normalise("norm", x, rows);
    const count = this.tensors["words.scale"].length;
    const y = this.#linear("words", x, width, count);
    return streams.map((_, i) => Float32Array.from(y.subarray(i * count, (i + 1) * count)));
  }

  /**
   * Return what a layer computed of all words.
   * @param {number} number
   * @returns {Layer}
   */
  layer(number) {
    const { width, heads, inner } = this.shape;
    const { projected, weights, attended, hidden, fed } = this.layers[number];
    const n = this.ids.length;
    const each = Array.from({ length: heads }, (_, head) => ({ head, width, size: width / heads, m: n, n, isCausal: true }));
    return {
      attention: each.map(({ head }) => {
        const matrix = new Float32Array(n * n);
        weights.forEach((row, i) => matrix.set(row[head], i * n));
        return matrix;
      }),
      queries: each.map((of) => partOf(projected, 0, of)),
      keys: each.map((of) => partOf(projected, 1, of)),
      values: each.map((of) => partOf(projected, 2, of)),
      before: Float32Array.from(this.streams[2 * number].subarray(0, n * width)),
      attended: Float32Array.from(attended.subarray(0, n * width)),
      hidden: Float32Array.from(hidden.subarray(0, n * inner)),
      fed: Float32Array.from(fed.subarray(0, n * width)),
    };
  }

  /**
   * Return what a neuron of a layer adds to the stream, for each unit of its strength.
   * @param {number} layer
   * @param {number} neuron
   * @returns {Float64Array}
   */
  value(layer, neuron) {
    const { [`${layer}.narrow`]: weight, [`${layer}.narrow.scale`]: scale } = this.tensors;
    return Float64Array.from(scale, (number, row) => number * weight[row * this.shape.inner + neuron]);
  }

  /**
   * Return how much a vector of the stream adds to the logit of each word, but for the factor of the last normalisation.
   * @param {Float64Array} vector
   * @returns {Float64Array}
   */
  pushes(vector) {
    const { words, "words.scale": scales, "norm.scale": scale } = this.tensors;
    const mean = vector.reduce((sum, number) => sum + number, 0) / vector.length;
    const centred = vector.map((number, i) => (number - mean) * scale[i]);
    return Float64Array.from(scales, (factor, id) => factor * centred.reduce((sum, number, i) => sum + number * words[id * vector.length + i], 0));
  }

  /** Compute the words from number `past` on. @param {number} past */
  #extend(past) {
    const { width, layers, inner } = this.shape;
    const { words, "words.scale": scales, positions } = this.tensors;
    const m = this.ids.length - past;
    const x = new Float64Array(padded(m) * width);
    this.ids.slice(past).forEach((id, row) => {
      for (let i = 0; i < width; i++) x[row * width + i] = words[id * width + i] * scales[id] + positions[(past + row) * width + i];
    });
    const keep = (/** @type {Float64Array} */ rows, /** @type {Float64Array} */ all) => all.set(rows.subarray(0, m * width), past * width);
    keep(x, this.streams[0]);
    for (let layer = 0; layer < layers; layer++) {
      const { attended, hidden: strengths, fed } = this.layers[layer];
      const projected = this.#linear(`${layer}.attention`, this.#normalised(`${layer}.attention.norm`, x, m), width, 3 * width);
      const update = this.#linear(`${layer}.output`, this.#attend(layer, projected, past), width, width);
      add(x, update);
      keep(update, attended);
      keep(x, this.streams[2 * layer + 1]);
      const hidden = this.#linear(`${layer}.widen`, this.#normalised(`${layer}.norm`, x, m), width, inner);
      for (let i = 0; i < hidden.length; i++) hidden[i] = Math.max(0, hidden[i]);
      strengths.set(hidden.subarray(0, m * inner), past * inner);
      const output = this.#linear(`${layer}.narrow`, hidden, inner, width);
      add(x, output);
      keep(output, fed);
      keep(x, this.streams[2 * layer + 2]);
    }
  }

  /**
   * Return what the heads of a layer attend to, [m, width], side by side.
   * @param {number} number
   * @param {Float64Array} fresh [m, 3·width]
   * @param {number} past
   */
  #attend(number, fresh, past) {
    const { width, heads } = this.shape;
    const { projected, weights } = this.layers[number];
    const n = this.ids.length;
    const m = n - past;
    projected.set(fresh.subarray(0, m * 3 * width), past * 3 * width);
    const queries = projected.subarray(past * 3 * width);
    const attended = new Float64Array(padded(m) * width);
    for (let row = past; row < n; row++) weights.push([]);
    for (let head = 0; head < heads; head++) {
      const of = { head, width, size: width / heads, m, n, isCausal: true };
      const matrix = new Float64Array(m * n);
      compare(queries, projected, of, matrix);
      softmax(matrix, n);
      mix(matrix, projected, of, attended);
      for (let i = 0; i < m; i++) weights[past + i].push(matrix.slice(i * n, i * n + past + i + 1));
    }
    return attended;
  }

  /**
   * @param {string} name
   * @param {Float64Array} x
   * @param {number} n
   */
  #normalised(name, x, n) {
    const copy = x.slice();
    this.#normalise(name, copy, n);
    return copy;
  }

  /**
   * @param {string} name
   * @param {Float64Array} x
   * @param {number} n
   */
  #normalise(name, x, n) {
    const { [`${name}.scale`]: scale, [`${name}.shift`]: shift } = /** @type {Record<string, Float32Array>} */ (this.tensors);
    normalise(x, n, { scale, shift, epsilon: this.shape.epsilon });
  }

  /**
   * Return xWᵀ·scale + bias; the words' matrix has no bias.
   * @param {string} name
   * @param {Float64Array} x
   * @param {number} columns
   * @param {number} rows
   * @returns {Float64Array}
   */
  #linear(name, x, columns, rows) {
    const { [name]: weight, [`${name}.scale`]: scale, [`${name}.bias`]: bias = new Float32Array(rows) } = this.tensors;
    const y = new Float64Array((x.length / columns) * rows);
    const matrix = {
      weight: /** @type {Int8Array} */ (weight),
      scale: /** @type {Float32Array} */ (scale),
      bias: /** @type {Float32Array} */ (bias),
      columns,
      rows,
    };
    multiply(matrix, 0, rows, x, y, this.scratch);
    return y;
  }
}

/** @param {number} n */
function padded(n) {
  return Math.ceil(n / TOKENS) * TOKENS;
}

/**
 * @param {Float64Array} x
 * @param {Float64Array} update
 */
function add(x, update) {
  for (let i = 0; i < x.length; i++) x[i] += update[i];
}
