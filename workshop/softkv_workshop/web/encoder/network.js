/**
 * BERT in plain JavaScript: the layers of a sentence encoder, by the loops of `loops.js`. The work is a generator that stops
 * every fraction of a millisecond, so that a page keeps drawing while it waits for a vector.
 */

import { compare, gelu, mix, multiply, normalise, partOf, softmax, TOKENS } from "./loops.js";

/**
 * @typedef {object} Shape
 * @property {number} width numbers of a vector
 * @property {number} layers
 * @property {number} heads of each layer
 * @property {number} inner width of the feed-forward network
 * @property {number} positions the most tokens
 * @property {number} epsilon added to the variance of a normalisation
 */

/** @typedef {Record<string, Int8Array|Float32Array>} Tensors by name; a matrix `x` has its scales in `x.scale` and its bias in `x.bias` */

/**
 * @typedef {object} Layer what one layer computed of one text of n tokens
 * @property {Float32Array[]} attention by head, [n, n]: row i has the weights with which token i attends
 * @property {Float32Array[]} logits by head, [n, n], before the softmax
 * @property {Float32Array[]} queries by head, [n, width / heads]
 * @property {Float32Array[]} keys by head, likewise
 * @property {Float32Array[]} values by head, likewise
 * @property {Float32Array[]} states [n, width] each: the tokens as they come in; what attention adds; the tokens then; what
 *   the feed-forward network adds; the tokens as they go out
 * @property {Float32Array} outputs [n, width], of all heads side by side
 * @property {Float32Array} scores [n, inner], of the neurons before their activation
 * @property {{attention: Float32Array, feedForward: Float32Array, layer: Float32Array}} changes [n], how far attention, the
 *   feed-forward network and the whole layer move each token, as a share of its length
 */

/**
 * @typedef {object} Watched
 * @property {Layer[][]} traces gets, for each text, what each layer computed
 * @property {number} [second] the first token of a second text, in the only text
 * @property {boolean} [isCausal] whether each token attends only to itself and the tokens before it
 */

/** @typedef {{layer: number, head: number}} Left a head whose output is zeros */

/** Rows of a matrix between two stops: 64 rows of 384 with 32 tokens are 0.8 million multiplications. */
const ROWS = 64;

const NOTHING = new Float32Array(0);

/** Layers that turn tokens into vectors. */
export class Network {
  /**
   * @param {Shape} shape
   * @param {Tensors} tensors
   */
  constructor(shape, tensors) {
    this.shape = shape;
    this.tensors = tensors;
    this.scratch = new Float64Array(2 * Math.max(shape.width, shape.inner));
  }

  /**
   * Compute the unit vectors of texts, together: each matrix is read once for all.
   *
   * @param {number[][]} texts the tokens of each
   * @param {Watched} [watched]
   * @param {Left[]} [left] for each text, the head that is left out
   * @returns {Generator<void, Float32Array[], void>} stops often, so that the caller may do something else
   */
  *embed(texts, watched, left = []) {
    const { width, layers, inner } = this.shape;
    const starts = [0];
    for (const text of texts) starts.push(starts[starts.length - 1] + text.length);
    const n = starts[texts.length];
    const padded = Math.ceil(n / TOKENS) * TOKENS;
    const x = new Float64Array(padded * width);
    texts.forEach((text, i) => this.#embedded(text, x.subarray(starts[i] * width), watched?.second ?? Infinity));
    this.#normalise("embeddings.norm", x, n);
    const projected = new Float64Array(padded * 3 * width);
    const attended = new Float64Array(padded * width);
    const update = new Float64Array(padded * width);
    const hidden = new Float64Array(padded * inner);
    watched?.traces.push(...texts.map(() => []));
    for (let layer = 0; layer < layers; layer++) {
      const before = watched && x.slice();
      yield* this.#linear(`${layer}.attention`, x, width, projected, 3 * width);
      for (let i = 0; i < texts.length; i++) {
        const trace = this.#attend(projected, attended, starts[i], starts[i + 1], watched);
        if (left[i]?.layer === layer) this.#clear(attended, starts[i], starts[i + 1], left[i].head);
        watched?.traces[i].push(trace);
        yield;
      }
      yield* this.#linear(`${layer}.output`, attended, width, update, width);
      if (before) {
        this.#moved(watched, "attention", starts, before, update);
        this.#keep(watched, starts, before, update);
        this.#outputs(watched, starts, attended);
      }
      this.#add(`${layer}.attention.norm`, x, update, n);
      if (before) this.#keep(watched, starts, x);
      yield* this.#linear(`${layer}.widen`, x, width, hidden, inner);
      watched?.traces.forEach((layers, i) => (layers[layer].scores = Float32Array.from(hidden.subarray(starts[i] * inner, starts[i + 1] * inner))));
      for (let i = 0; i < hidden.length; i++) hidden[i] = gelu(hidden[i]);
      yield;
      yield* this.#linear(`${layer}.narrow`, hidden, inner, update, width);
      if (before) {
        this.#moved(watched, "feedForward", starts, before, update);
        this.#keep(watched, starts, update);
      }
      this.#add(`${layer}.norm`, x, update, n);
      if (before) this.#keep(watched, starts, x);
      if (before)
        this.#moved(
          watched,
          "layer",
          starts,
          before,
          x.map((number, i) => number - before[i]),
        );
    }
    return texts.map((_, i) => mean(x, starts[i], starts[i + 1], width));
  }

  /**
   * Write the sums of the vectors of tokens and of their positions, and of the text that they belong to.
   *
   * @param {number[]} tokens
   * @param {Float64Array} x
   * @param {number} second the first token of the second text
   */
  #embedded(tokens, x, second) {
    const { width } = this.shape;
    const { words, "words.scale": scales, positions, second: type } = this.tensors;
    tokens.forEach((token, at) => {
      for (let i = 0; i < width; i++) x[at * width + i] = words[token * width + i] * scales[token] + positions[at * width + i] + (at < second ? 0 : type[i]);
    });
  }

  /**
   * Record how far a step moves each token.
   * @param {Watched} watched
   * @param {"attention"|"feedForward"|"layer"} step
   * @param {number[]} starts
   * @param {Float64Array} before
   * @param {Float64Array} update
   */
  #moved({ traces }, step, starts, before, update) {
    traces.forEach((layers, i) => {
      layers[layers.length - 1].changes[step] = Float32Array.from({ length: starts[i + 1] - starts[i] }, (_, token) => {
        const [from, to] = [0, 1].map((next) => (starts[i] + token + next) * this.shape.width);
        return Math.hypot(...update.subarray(from, to)) / Math.hypot(...before.subarray(from, to));
      });
    });
  }

  /**
   * Record states of the tokens, in the order of computation.
   * @param {Watched} watched
   * @param {number[]} starts
   * @param {...Float64Array} all
   */
  #keep({ traces }, starts, ...all) {
    const { width } = this.shape;
    traces.forEach((layers, i) =>
      layers[layers.length - 1].states.push(...all.map((x) => Float32Array.from(x.subarray(starts[i] * width, starts[i + 1] * width)))),
    );
  }

  /**
   * Record the outputs of all heads.
   * @param {Watched} watched
   * @param {number[]} starts
   * @param {Float64Array} attended
   */
  #outputs({ traces }, starts, attended) {
    const { width } = this.shape;
    traces.forEach((layers, i) => (layers[layers.length - 1].outputs = Float32Array.from(attended.subarray(starts[i] * width, starts[i + 1] * width))));
  }

  /**
   * Replace the output of a head by zeros, for the tokens `start` to `end`.
   * @param {Float64Array} attended
   * @param {number} start
   * @param {number} end
   * @param {number} head
   */
  #clear(attended, start, end, head) {
    const { width, heads } = this.shape;
    const size = width / heads;
    for (let token = start; token < end; token++) attended.fill(0, token * width + head * size, token * width + (head + 1) * size);
  }

  /**
   * Return what a head of a layer adds to n tokens, [n, width]: its output, through its part of the output matrix.
   * @param {Layer} layer
   * @param {number} at the layer
   * @param {number} head
   */
  written({ outputs }, at, head) {
    const { width, heads } = this.shape;
    const { [`${at}.output`]: weight, [`${at}.output.scale`]: scale } = this.tensors;
    const size = width / heads;
    return outputs.map((_, i) => {
      const [row, column] = [Math.floor(i / width) * width + head * size, (i % width) * width + head * size];
      let sum = 0;
      for (let k = 0; k < size; k++) sum += outputs[row + k] * weight[column + k];
      return sum * scale[i % width];
    });
  }

  /**
   * The neurons that count most for each token, by the size of their share of what the network adds.
   * @param {Layer} layer
   * @param {number} at the layer
   * @param {number} count
   * @returns {Record<"index" | "score" | "activation" | "share", Float32Array>} [n, count]
   */
  neurons({ states, scores }, at, count) {
    const { width, inner } = this.shape;
    const { [`${at}.narrow`]: weight, [`${at}.narrow.scale`]: scale } = this.tensors;
    const n = scores.length / inner;
    const found = {
      index: new Float32Array(n * count),
      score: new Float32Array(n * count),
      activation: new Float32Array(n * count),
      share: new Float32Array(n * count),
    };
    for (let token = 0; token < n; token++) {
      const added = states[3].subarray(token * width, (token + 1) * width);
      const square = added.reduce((sum, number) => sum + number * number, 0);
      const along = new Float64Array(inner);
      added.forEach((number, row) => {
        const factor = (number * scale[row]) / square;
        for (let i = 0; i < inner; i++) along[i] += factor * weight[row * inner + i];
      });
      const of = scores.subarray(token * inner, (token + 1) * inner);
      const shares = along.map((number, i) => number * gelu(of[i]));
      const best = Array.from(shares.keys()).sort((a, b) => Math.abs(shares[b]) - Math.abs(shares[a]));
      for (let k = 0; k < count; k++) {
        const [i, place] = [best[k], token * count + k];
        found.index[place] = i;
        found.score[place] = of[i];
        found.activation[place] = gelu(of[i]);
        found.share[place] = shares[i];
      }
    }
    return found;
  }

  /**
   * x ← norm(x + update).
   * @param {string} name
   * @param {Float64Array} x
   * @param {Float64Array} update
   * @param {number} n
   */
  #add(name, x, update, n) {
    for (let i = 0; i < x.length; i++) x[i] += update[i];
    this.#normalise(name, x, n);
  }

  /**
   * Bring each of n rows to mean 0 and variance 1, then scale and shift it.
   * @param {string} name
   * @param {Float64Array} x
   * @param {number} n
   */
  #normalise(name, x, n) {
    const { [`${name}.scale`]: scale, [`${name}.shift`]: shift } = /** @type {Record<string, Float32Array>} */ (this.tensors);
    normalise(x, n, { scale, shift, epsilon: this.shape.epsilon });
  }

  /**
   * y = xWᵀ·scale + bias, block by block.
   *
   * @param {string} name
   * @param {Float64Array} x [n, columns], n a multiple of TOKENS
   * @param {number} columns
   * @param {Float64Array} y [n, rows]
   * @param {number} rows
   * @returns {Generator<void, void, void>}
   */
  *#linear(name, x, columns, y, rows) {
    const { [name]: weight, [`${name}.scale`]: scale, [`${name}.bias`]: bias } = this.tensors;
    const matrix = {
      weight: /** @type {Int8Array} */ (weight),
      scale: /** @type {Float32Array} */ (scale),
      bias: /** @type {Float32Array} */ (bias),
      columns,
      rows,
    };
    for (let row = 0; row < rows; row += ROWS) {
      multiply(matrix, row, Math.min(row + ROWS, rows), x, y, this.scratch);
      yield;
    }
  }

  /**
   * Attend within one text, tokens `start` to `end`, head by head.
   *
   * @param {Float64Array} projected [n, 3·width]: queries, keys, values
   * @param {Float64Array} attended [n, width], which is written
   * @param {number} start
   * @param {number} end
   * @param {Watched} [watched]
   * @returns {Layer} empty unless it is watched
   */
  #attend(projected, attended, start, end, watched) {
    const { width, heads } = this.shape;
    const n = end - start;
    const own = projected.subarray(start * 3 * width, end * 3 * width);
    /** @type {Layer} */
    const layer = {
      attention: [],
      logits: [],
      queries: [],
      keys: [],
      values: [],
      states: [],
      outputs: NOTHING,
      scores: NOTHING,
      changes: { attention: NOTHING, feedForward: NOTHING, layer: NOTHING },
    };
    const weights = new Float64Array(n * n);
    for (let head = 0; head < heads; head++) {
      const of = { head, width, size: width / heads, m: n, n, isCausal: watched?.isCausal ?? false };
      compare(own, own, of, weights);
      if (watched) layer.logits.push(Float32Array.from(weights));
      softmax(weights, n);
      mix(weights, own, of, attended.subarray(start * width));
      if (!watched) continue;
      layer.attention.push(Float32Array.from(weights));
      layer.queries.push(partOf(own, 0, of));
      layer.keys.push(partOf(own, 1, of));
      layer.values.push(partOf(own, 2, of));
    }
    return layer;
  }
}

/**
 * Return the mean of rows `start` to `end`, of unit length.
 * @param {Float64Array} x
 * @param {number} start
 * @param {number} end
 * @param {number} width
 */
function mean(x, start, end, width) {
  const sum = new Float64Array(width);
  for (let row = start; row < end; row++) for (let i = 0; i < width; i++) sum[i] += x[row * width + i];
  const length = Math.hypot(...sum);
  return Float32Array.from(sum, (number) => number / length);
}
