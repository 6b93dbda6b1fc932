/**
 * `POST /v1/attend` in the browser: attention on the matrices of a request, by the definition in `attention/softkv_attention/definition.py`.
 * It has what the pictures ask for: one level of rows, and softmax.
 *
 * @typedef {number[][]} Matrix rows of equal width
 * @typedef {{W_Q: Matrix, W_K: Matrix, W_V: Matrix, W_O: Matrix, n_heads?: number}} Projections
 * @typedef {{W?: Matrix, W_q?: Matrix, W_k?: Matrix, v?: number[]}} Parameters
 */

/**
 * @typedef {object} Request the body; `openapi.json` describes it
 * @property {Matrix} query
 * @property {Matrix} key
 * @property {Matrix} value
 * @property {string} [similarity]
 * @property {number} [temperature]
 * @property {?boolean[][]} [mask]
 * @property {?number} [null]
 * @property {?Parameters} [parameters]
 * @property {?Projections} [projections]
 * @property {?number} [hopfield_steps]
 * @property {string[]} [include]
 * @property {boolean} [intermediates]
 */

/**
 * @typedef {object} Attended
 * @property {Matrix} similarities
 * @property {Matrix} logits
 * @property {Matrix} weights
 * @property {number[]} nulls
 * @property {number[]} partitions
 * @property {Matrix} output
 */

/** Return the answer to a request. @param {Request} request */
export function attendArrays(request) {
  const { include = ["weights", "logits"], intermediates = false } = request;
  const answer = request.projections
    ? inHeads(request, request.projections)
    : Number.isInteger(request.hopfield_steps)
      ? recalled(request)
      : attendedOnce(request);
  return {
    output: answer.output,
    ...(include.includes("weights") ? { weights: answer.weights } : {}),
    ...(include.includes("logits") ? { logits: finite(answer.logits) } : {}),
    log_partition: finite(answer.log_partition),
    null_weight: answer.null_weight,
    ...(intermediates ? { intermediates: answer.intermediates } : {}),
  };
}

/** @param {Request} request */
function attendedOnce(request) {
  const { query, key, value } = request;
  const { output, weights, logits, partitions, nulls, similarities } = attend(request);
  const intermediates = { query, key, value, similarities, logits: finite(logits), weights, null_weight: nulls };
  return { output, weights, logits, log_partition: partitions, null_weight: nulls, intermediates };
}

/**
 * @param {Request} request
 * @param {Projections} projections
 */
function inHeads(request, { W_Q, W_K, W_V, W_O, n_heads: count = 1 }) {
  const [queries, keys, values] = [
    split(product(request.query, W_Q), count),
    split(product(request.key, W_K), count),
    split(product(request.value, W_V), count),
  ];
  const heads = queries.map((query, head) => attend({ ...request, query, key: keys[head], value: values[head] }));
  const concatenated = request.query.map((_, row) => heads.flatMap(({ output }) => output[row]));
  const of = /** @template {keyof Attended} N @param {N} name @returns {Attended[N][]} */ (name) => heads.map((head) => head[name]);
  const intermediates = {
    query: queries,
    key: keys,
    value: values,
    similarities: of("similarities"),
    logits: finite(of("logits")),
    weights: of("weights"),
    null_weight: of("nulls"),
    heads: of("output"),
    concatenated,
  };
  return {
    output: product(concatenated, W_O),
    weights: of("weights"),
    logits: of("logits"),
    log_partition: of("partitions"),
    null_weight: of("nulls"),
    intermediates,
  };
}

/** Attend again and again from the output, a modern Hopfield network. @param {Request} request */
function recalled(request) {
  const [states, weights, energies] = [[request.query], /** @type {Matrix[]} */ ([]), /** @type {number[][]} */ ([])];
  let last = attend(request);
  for (let step = 0; step <= Number(request.hopfield_steps); step++) {
    weights.push(last.weights);
    energies.push(states[step].map((state, row) => energy(state, last.similarities[row], request)));
    if (step === request.hopfield_steps) break;
    states.push(last.output);
    last = attend({ ...request, query: last.output });
  }
  const { logits, partitions, nulls } = last;
  return {
    output: states[states.length - 1],
    weights: last.weights,
    logits,
    log_partition: partitions,
    null_weight: nulls,
    intermediates: { states, weights, energies },
  };
}

/**
 * −T ln (1/n) Σ exp(s/T) + ½‖state‖² + ½ max‖pattern‖², for the similarity dot.
 * @param {number[]} state
 * @param {number[]} similarities
 * @param {Request} request
 */
function energy(state, similarities, { key, temperature = 1 }) {
  const highest = Math.max(...similarities);
  const mean = similarities.reduce((sum, one) => sum + Math.expm1((one - highest) / temperature), 0) / similarities.length;
  const warm = similarities.reduce((sum, one) => sum + one, 0) / similarities.length;
  const level = temperature === 0 ? highest : temperature >= HOTTEST ? warm : highest + temperature * Math.log1p(mean);
  return dot(state, state) / 2 - level + Math.max(...key.map((pattern) => dot(pattern, pattern))) / 2;
}

/** From here on all differences of similarities vanish, and the energy's first term is a mean. */
export const HOTTEST = 1e15;

/**
 * Attend once, row by row.
 * @param {Request} request
 * @returns {Attended}
 */
function attend({ query, key, value, similarity = "scaled_dot", temperature = 1, mask = null, null: level = null, parameters = null }) {
  const similarities = compare(query, key, similarity, parameters);
  const [logits, weights, output, partitions, nulls] = [
    /** @type {Matrix} */ ([]),
    /** @type {Matrix} */ ([]),
    /** @type {Matrix} */ ([]),
    /** @type {number[]} */ ([]),
    /** @type {number[]} */ ([]),
  ];
  similarities.forEach((row, i) => {
    const masked = row.map((one, j) => (mask && !mask[i][j] ? -Infinity : one));
    const highest = Math.max(level ?? -Infinity, ...masked);
    const relative = (/** @type {number} */ one) => (one === highest ? 0 : temperature === 0 ? -Infinity : (one - highest) / temperature);
    const masses = masked.map((one) => (one === -Infinity ? 0 : Math.exp(relative(one))));
    const nothing = level === null ? 0 : Math.exp(relative(level));
    const total = masses.reduce((sum, mass) => sum + mass, nothing);
    logits.push(masked.map((one) => (temperature === 0 ? relative(one) : one / temperature)));
    weights.push(masses.map((mass) => (total ? mass / total : 0)));
    nulls.push(total ? nothing / total : 0);
    partitions.push(Math.log(total) + (temperature === 0 ? 0 : highest / temperature));
    output.push(mixed(weights[i], value));
  });
  return { similarities, logits, weights, output, partitions, nulls };
}

/**
 * @param {Matrix} query
 * @param {Matrix} key
 * @param {string} similarity
 * @param {?Parameters} parameters
 * @returns {Matrix}
 */
function compare(query, key, similarity, parameters) {
  const each = (/** @type {(q: number[], k: number[]) => number} */ one) => query.map((q) => key.map((k) => one(q, k)));
  const width = query[0].length;
  if (similarity === "dot") return each(dot);
  if (similarity === "scaled_dot") return each((q, k) => dot(q, k) / Math.sqrt(width));
  if (similarity === "gaussian") return each(apart);
  if (similarity === "cosine") return compare(query.map(unit), key.map(unit), "dot", null);
  const { W = [], W_q = [], W_k = [], v = [] } = parameters ?? {};
  if (similarity === "bilinear") return compare(product(query, W), key, "dot", null);
  if (similarity !== "additive") throw new RangeError(`Expected a similarity of the page, got ${similarity}.`);
  const [queries, keys] = [query.map((q) => W_q.map((row) => dot(row, q))), key.map((k) => W_k.map((row) => dot(row, k)))];
  return queries.map((q) => keys.map((k) => v.reduce((sum, weight, i) => sum + weight * Math.tanh(q[i] + k[i]), 0)));
}

/**
 * @param {number[]} a
 * @param {number[]} b
 */
function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/**
 * −‖a − b‖²/2
 * @param {number[]} a
 * @param {number[]} b
 */
function apart(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return -sum / 2;
}

/** @param {number[]} vector */
function unit(vector) {
  const length = Math.hypot(...vector);
  return vector.map((number) => (length ? number / length : 0));
}

/**
 * @param {number[]} weights
 * @param {Matrix} values
 */
function mixed(weights, values) {
  const sum = values[0].map(() => 0);
  for (let j = 0; j < values.length; j++) {
    if (weights[j]) for (let i = 0; i < sum.length; i++) sum[i] += weights[j] * values[j][i];
  }
  return sum;
}

/**
 * @param {Matrix} a
 * @param {Matrix} b
 * @returns {Matrix}
 */
function product(a, b) {
  return a.map((row) => mixed(row, b));
}

/**
 * Cut the columns of a matrix into heads.
 * @param {Matrix} matrix
 * @param {number} count
 * @returns {Matrix[]}
 */
function split(matrix, count) {
  const width = matrix[0].length / count;
  return Array.from({ length: count }, (_, head) => matrix.map((row) => row.slice(head * width, (head + 1) * width)));
}

/**
 * JSON has no −∞: the API writes null.
 * @param {unknown} numbers nested
 * @returns {unknown}
 */
function finite(numbers) {
  return Array.isArray(numbers) ? numbers.map(finite) : numbers === -Infinity ? null : numbers;
}
