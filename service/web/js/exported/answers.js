/**
 * The API's answers in a page that was exported: computed here, from vectors that a service wrote out. What was not
 * written out is refused, with the code `not_exported`.
 */

import { HALF, weigh } from "../formula.js";
import { NullKey } from "../nullkey.js";
import { Memory } from "./memory.js";

const TYPE = { "Content-Type": "application/json" };

/** What stands in for `fetch`. @param {object} exported what `softkv page export` wrote @returns {function(string, object): Promise<Response>} */
export function answering(exported) {
  const vectors = { document: vectorsOf(exported.document), query: vectorsOf(exported.query) };
  const memories = exported.memories.map((each) => new Memory(each, vectors));
  const named = new Map(memories.filter(({ name }) => name).map((memory) => [memory.name, memory]));

  function answer(method, path, body) {
    if (method === "GET" && path === "/v1/collections") return listed(named);
    if (path === "/v1/encode") return encoded(vectors.document, body);
    const [, name, call] = /^\/v1\/(?:collections\/([^/]+)\/)?(compare|attend)$/.exec(path) ?? [];
    const memory = name ? named.get(decodeURIComponent(name)) : body?.rows && memories.find((one) => one.isOf(body.rows));
    const asked = memory?.asked(body);
    if (!asked) return null;
    return call === "compare" ? compared(memory, asked, body, exported) : attended(memory, asked, body, exported);
  }

  return async (path, { method, body }) => {
    const found = answer(method, path, body && JSON.parse(body));
    const refused = { status: 404, code: "not_exported", detail: "" };
    return new Response(JSON.stringify(found ?? refused), { status: found ? 200 : 404, headers: TYPE });
  };
}

/** Each text with its vector, of those that stand one after another. */
function vectorsOf({ texts, width, vectors }) {
  const bytes = Uint8Array.from(atob(vectors), (letter) => letter.charCodeAt(0));
  const numbers = new Float32Array(bytes.buffer);
  return new Map(texts.map((text, i) => [text, numbers.subarray(i * width, (i + 1) * width)]));
}

/** The vectors of texts that were written out as keys or values; null where one was not. */
function encoded(vectors, { texts, purpose }) {
  const found = texts.map((text) => vectors.get(text));
  return purpose === "document" && found.every(Boolean) ? { embeddings: found.map((vector) => Array.from(vector)) } : null;
}

function listed(named) {
  return { collections: [...named].map(([name, { rows }]) => ({ name, documents: rows.length, keys: rows.length })), next_cursor: null, access: "none" };
}

function compared(memory, asked, body, exported) {
  const { rows, similarities, known, statements } = asked;
  const attention = attended(memory, asked, body, exported);
  const byNearness = [...attention.matches].sort((a, b) => b.similarity - a.similarity);
  const parameters = ({ parameters: of }, more) => ({ ...of, ...more });
  return {
    sql: { ...statements.sql, parameters: parameters(statements.sql, { key: body.query }), rows: rows.filter((row) => row.key === body.query) },
    full_text: { ...statements.full_text, parameters: parameters(statements.full_text, { words: known.words }), rows: known.found.map((at) => rows.find(({ id }) => id === memory.rows[at].id)).filter(Boolean) },
    top_k: { matches: byNearness, documents: similarities.length },
    background: memory.background(body.null ?? "auto", known),
    attention,
  };
}

/** The answer at a temperature, and how far this browser's weights are from those that the service wrote out. */
function attended(memory, { rows, similarities, known }, { temperature, null: given = "auto" }, exported) {
  const nullKey = nullOf(memory, known, given, rows.length);
  const answer = weigh(similarities, { temperature, none: nullKey?.at(temperature) ?? null });
  const matches = rows.map((row, i) => ({ ...row, similarity: similarities[i], weight: answer.weights[i], logit: similarities[i] / temperature, value_vector: memory.valueVector(row) }));
  const apart = difference(memory, known, exported.temperature);
  const certain = [answer.nullWeight, answer.heaviest].every((weight) => Math.abs(weight - HALF) > apart);
  return {
    matches: matches.sort((a, b) => b.weight - a.weight || b.similarity - a.similarity),
    evidence: { verdict: answer.verdict, verdict_certain: certain, null_weight: answer.nullWeight, null_similarity: nullKey?.level(temperature) ?? null, log_partition: answer.logPartition, effective_documents: answer.effective },
    documents: rows.length,
    keys: rows.length,
    exported: { temperature: exported.temperature, difference: apart },
  };
}

/** The largest difference to what the service said of the whole memory, at the temperature that it was asked at. */
function difference(memory, known, temperature) {
  const nullKey = nullOf(memory, known, "auto", memory.rows.length);
  const { weights, nullWeight } = weigh(memory.similarities(known.vector), { temperature, none: nullKey.at(temperature) });
  return Math.max(Math.abs(nullWeight - known.none), ...known.weights.map(([at, weight]) => Math.abs(weights[at] - weight)));
}

function nullOf(memory, known, given, keys) {
  if (given === false) return null;
  return new NullKey(typeof given === "number" ? { similarity: given } : { background: memory.background(given, known), keys });
}
