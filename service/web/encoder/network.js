/**
 * BERT in plain JavaScript: the layers of a sentence encoder on typed arrays. Weights are int8 with one scale a row; sums
 * are float64, since V8 converts every float32 that it reads. The work is a generator that stops every fraction of a
 * millisecond, so that a page keeps drawing while it waits for a vector.
 */

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
 * @property {{attention: Float32Array, feedForward: Float32Array, layer: Float32Array}} changes [n], how far attention, the
 *   feed-forward network and the whole layer move each token, as a share of its length
 */

/**
 * @typedef {object} Watched
 * @property {Layer[][]} traces gets, for each text, what each layer computed
 * @property {number} [second] the first token of a second text, in the only text
 * @property {boolean} [isCausal] whether each token attends only to itself and the tokens before it
 */

/** So many tokens share a pass over the weights: the unit of the inner loop. */
const TOKENS = 4;
/** Rows of a matrix between two stops: 64 rows of 384 with 32 tokens are 0.8 million multiplications. */
const ROWS = 64;

const NOTHING = new Float32Array(0);

/** Layers that turn tokens into vectors. */
export class Network {
  /** @param {Shape} shape @param {Tensors} tensors */
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
   * @returns {Generator<void, Float32Array[], void>} stops often, so that the caller may do something else
   */
  *embed(texts, watched) {
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
        watched?.traces[i].push(trace);
        yield;
      }
      yield* this.#linear(`${layer}.output`, attended, width, update, width);
      if (before) this.#moved(watched, "attention", starts, before, update);
      this.#add(`${layer}.attention.norm`, x, update, n);
      yield* this.#linear(`${layer}.widen`, x, width, hidden, inner);
      for (let i = 0; i < hidden.length; i++) hidden[i] = gelu(hidden[i]);
      yield;
      yield* this.#linear(`${layer}.narrow`, hidden, inner, update, width);
      if (before) this.#moved(watched, "feedForward", starts, before, update);
      this.#add(`${layer}.norm`, x, update, n);
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

  /** Record how far a step moves each token. @param {Watched} watched @param {"attention"|"feedForward"|"layer"} step @param {number[]} starts @param {Float64Array} before @param {Float64Array} update */
  #moved({ traces }, step, starts, before, update) {
    traces.forEach((layers, i) => {
      layers[layers.length - 1].changes[step] = Float32Array.from({ length: starts[i + 1] - starts[i] }, (_, token) => {
        const [from, to] = [0, 1].map((next) => (starts[i] + token + next) * this.shape.width);
        return Math.hypot(...update.subarray(from, to)) / Math.hypot(...before.subarray(from, to));
      });
    });
  }

  /** x ← norm(x + update). @param {string} name @param {Float64Array} x @param {Float64Array} update @param {number} n */
  #add(name, x, update, n) {
    for (let i = 0; i < x.length; i++) x[i] += update[i];
    this.#normalise(name, x, n);
  }

  /** Bring each of n rows to mean 0 and variance 1, then scale and shift it. @param {string} name @param {Float64Array} x @param {number} n */
  #normalise(name, x, n) {
    const { width, epsilon } = this.shape;
    const { [`${name}.scale`]: scale, [`${name}.shift`]: shift } = this.tensors;
    for (let start = 0; start < n * width; start += width) {
      let sum = 0;
      for (let i = start; i < start + width; i++) sum += x[i];
      const centre = sum / width;
      let squares = 0;
      for (let i = start; i < start + width; i++) squares += (x[i] - centre) ** 2;
      const factor = 1 / Math.sqrt(squares / width + epsilon);
      for (let i = 0; i < width; i++) x[start + i] = (x[start + i] - centre) * factor * scale[i] + shift[i];
    }
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
    const [n, size] = [end - start, width / heads];
    /** @type {Layer} */
    const layer = { attention: [], logits: [], queries: [], keys: [], values: [], changes: { attention: NOTHING, feedForward: NOTHING, layer: NOTHING } };
    const weights = new Float64Array(n * n);
    for (let head = 0; head < heads; head++) {
      const [query, key, value] = [0, 1, 2].map((part) => start * 3 * width + part * width + head * size);
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < n; j++) {
          let dot = 0;
          for (let k = 0; k < size; k++) dot += projected[query + i * 3 * width + k] * projected[key + j * 3 * width + k];
          weights[i * n + j] = watched?.isCausal && j > i ? -Infinity : dot / Math.sqrt(size);
        }
      }
      if (watched) layer.logits.push(Float32Array.from(weights));
      softmax(weights, n);
      for (let i = 0; i < n; i++) {
        const at = (start + i) * width + head * size;
        attended.fill(0, at, at + size);
        for (let j = 0; j < n; j++) {
          for (let k = 0; k < size; k++) attended[at + k] += weights[i * n + j] * projected[value + j * 3 * width + k];
        }
      }
      if (!watched) continue;
      layer.attention.push(Float32Array.from(weights));
      layer.queries.push(columnsOf(projected, query, n, 3 * width, size));
      layer.keys.push(columnsOf(projected, key, n, 3 * width, size));
      layer.values.push(columnsOf(projected, value, n, 3 * width, size));
    }
    return layer;
  }
}

/** @typedef {{weight: Int8Array, scale: Float32Array, bias: Float32Array, columns: number, rows: number}} Matrix */

/**
 * Write rows `from` to `to` of y. Two rows meet four tokens in the inner loop: eight sums and six numbers fit into the
 * registers of a processor, and a weight is converted from int8 once for all tokens.
 *
 * @param {Matrix} matrix
 * @param {number} from
 * @param {number} to from + an even number
 * @param {Float64Array} x
 * @param {Float64Array} y
 * @param {Float64Array} pair scratch for two rows
 */
function multiply({ weight, scale, bias, columns, rows }, from, to, x, y, pair) {
  const n = x.length / columns;
  for (let row = from; row < to; row += 2) {
    const [first, second] = [row * columns, (row + 1) * columns];
    for (let i = 0; i < columns; i++) {
      pair[2 * i] = weight[first + i];
      pair[2 * i + 1] = weight[second + i];
    }
    const [s0, s1, c0, c1] = [scale[row], scale[row + 1], bias[row], bias[row + 1]];
    for (let token = 0; token < n; token += TOKENS) {
      const p0 = token * columns;
      const p1 = p0 + columns;
      const p2 = p1 + columns;
      const p3 = p2 + columns;
      let a0 = 0,
        a1 = 0,
        a2 = 0,
        a3 = 0,
        b0 = 0,
        b1 = 0,
        b2 = 0,
        b3 = 0;
      for (let i = 0; i < columns; i++) {
        const w0 = pair[2 * i];
        const w1 = pair[2 * i + 1];
        const x0 = x[p0 + i];
        const x1 = x[p1 + i];
        const x2 = x[p2 + i];
        const x3 = x[p3 + i];
        a0 += w0 * x0;
        a1 += w0 * x1;
        a2 += w0 * x2;
        a3 += w0 * x3;
        b0 += w1 * x0;
        b1 += w1 * x1;
        b2 += w1 * x2;
        b3 += w1 * x3;
      }
      let at = token * rows + row;
      y[at] = a0 * s0 + c0;
      y[at + 1] = b0 * s1 + c1;
      at += rows;
      y[at] = a1 * s0 + c0;
      y[at + 1] = b1 * s1 + c1;
      at += rows;
      y[at] = a2 * s0 + c0;
      y[at + 1] = b2 * s1 + c1;
      at += rows;
      y[at] = a3 * s0 + c0;
      y[at + 1] = b3 * s1 + c1;
    }
  }
}

/** Replace each of n rows of n logits by its softmax. @param {Float64Array} weights @param {number} n */
function softmax(weights, n) {
  for (let start = 0; start < n * n; start += n) {
    let highest = -Infinity;
    for (let j = start; j < start + n; j++) highest = Math.max(highest, weights[j]);
    let sum = 0;
    for (let j = start; j < start + n; j++) {
      weights[j] = Math.exp(weights[j] - highest);
      sum += weights[j];
    }
    for (let j = start; j < start + n; j++) weights[j] /= sum;
  }
}

/** Return the mean of rows `start` to `end`, of unit length. @param {Float64Array} x @param {number} start @param {number} end @param {number} width */
function mean(x, start, end, width) {
  const sum = new Float64Array(width);
  for (let row = start; row < end; row++) for (let i = 0; i < width; i++) sum[i] += x[row * width + i];
  const length = Math.hypot(...sum);
  return Float32Array.from(sum, (number) => number / length);
}

/** @param {Float64Array} x @param {number} start @param {number} n @param {number} stride @param {number} width */
function columnsOf(x, start, n, stride, width) {
  const columns = new Float32Array(n * width);
  for (let i = 0; i < n; i++) columns.set(x.subarray(start + i * stride, start + i * stride + width), i * width);
  return columns;
}

/** Nodes of erf between 0 and 4; beyond, it is 1 in float32. */
const STEP = 1 / 128;
const NODES = 4 / STEP;
const ERF = Float64Array.from({ length: NODES + 1 }, (_, i) => erf(i * STEP));

/** Return x·Φ(x), Φ the normal distribution function, from three terms of the Taylor series at the nearest node. @param {number} x */
function gelu(x) {
  const size = Math.min(Math.abs(x) * Math.SQRT1_2, 4);
  const nearest = Math.round(size / STEP);
  const a = nearest * STEP;
  const d = size - a;
  const y = ERF[nearest] + (2 / Math.sqrt(Math.PI)) * Math.exp(-a * a) * d * (1 - d * (a - (d * (2 * a * a - 1)) / 3));
  return (x * (1 + (x < 0 ? -y : y))) / 2;
}

/** Return erf(x) for x from 0 to 4, from its Maclaurin series (Abramowitz and Stegun 7.1.6), exact to ten digits. @param {number} x */
function erf(x) {
  let term = x;
  let sum = x;
  for (let k = 1; term > 1e-16 * sum; k++) {
    term *= (2 * x * x) / (2 * k + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}
