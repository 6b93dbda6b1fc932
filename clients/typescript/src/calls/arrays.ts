/** The calls without a collection: vectors of texts, traces of attention heads, attention on arrays. */

import type {
  SchemaAttentionAnswer,
  SchemaAttentionRequest,
  SchemaEmbeddingsAnswer,
  SchemaEmbeddingsRequest,
  SchemaEncodeAnswer,
  SchemaEncodeRequest,
  SchemaNestedAnswer,
  SchemaRerankAnswer,
  SchemaRerankRequest,
  SchemaScoreAnswer,
  SchemaScoreRequest,
  SchemaTraceAnswer,
  SchemaTraceRequest,
} from "../generated/api.ts";
import { invalidContent } from "../problems.ts";
import { WRITE_MS } from "../wire/sending.ts";
import type { How, Sender } from "../wire/sending.ts";
import { FORMAT, incoming, rows, tensor } from "../wire/vectors.ts";
import type { Tensor } from "../wire/vectors.ts";

/** The options of an encoding: `model`, `purpose`, and whether to return `tokens`. */
export type EncodeOptions = Omit<SchemaEncodeRequest, "texts" | "vector_format">;

/** Vectors of texts, float32 [n, d], and facts about how the model read each text. */
export type Encoded = Omit<SchemaEncodeAnswer, "embeddings"> & { readonly embeddings: Float32Array[] };

/** The options of reranking: `model`, `top_n`, `return_documents`, `rank_fields` and `max_tokens_per_doc`. */
export type RerankOptions = Omit<SchemaRerankRequest, "query" | "documents">;

/** A document of a reranking: its `index` in the request and its `relevance_score`. */
export type RankedDocument = SchemaRerankAnswer["results"][number];

/** The fields of a trace besides its text. */
export type TraceOptions = Omit<SchemaTraceRequest, "text" | "vector_format">;

/** The attention of heads: `attention` [layer, head, i, j], the weight of token j for token i. */
export type Trace = Tensors<Omit<SchemaTraceAnswer, "changes" | "neurons" | "vector">> & {
  /** The neurons of the feed-forward networks that count most for each token, if requested. */
  readonly neurons?: Tensors<NonNullable<SchemaTraceAnswer["neurons"]>>;
  /** The vector of the text, if requested. */
  readonly vector?: Tensors<NonNullable<SchemaTraceAnswer["vector"]>>;
  /** The relative change of each token in each layer, if requested. */
  readonly changes?: Tensors<NonNullable<SchemaTraceAnswer["changes"]>[number]>[];
};

/** Attention on arrays: query [m, d], key [n, d], value [n, d_v]; leading dimensions broadcast. */
export type AttentionRequest = {
  readonly [Name in keyof Omit<SchemaAttentionRequest, "vector_format">]: Name extends
    "query" | "key" | "value" | "bias"
    ? SchemaAttentionRequest[Name] | readonly ArrayLike<number>[]
    : SchemaAttentionRequest[Name];
};

/** The result of attention; the logit of a masked key is minus infinity. */
export type Attended = Tensors<Omit<SchemaAttentionAnswer, "intermediates">> & {
  readonly intermediates?: Record<string, Tensor>;
};

/** Vectors of texts from the call of OpenAI's clients, float32 [n, d]. */
export type Embeddings = Omit<SchemaEmbeddingsAnswer, "id" | "data" | "object"> & {
  readonly embeddings: Float32Array[];
};

/** A request for vectors of texts, without the names that other services have for its fields. */
export type EmbeddingsRequest = Pick<SchemaEmbeddingsRequest, "input" | "model" | "dimensions" | "purpose">;

/** A type of the wire with its arrays as tensors. */
type Tensors<Wire> = {
  readonly [Name in keyof Wire]: SchemaNestedAnswer extends Wire[Name]
    ? unknown extends Wire[Name]
      ? Wire[Name]
      : Tensor | Exclude<Wire[Name], SchemaNestedAnswer>
    : Wire[Name];
};

/** Texts per request: encoding them is fast, and their answer has a megabyte or two. */
const TEXTS_AT_ONCE = 1000;
const ARRAYS = ["output", "weights", "logits", "log_partition", "null_weight", "attention", "query", "key", "value"];
const OF_TRACES = [...ARRAYS, "written", "hidden_states", "without_head"];

/** Encode any number of texts, sent to the service in parts. */
export async function encode(
  sender: Sender,
  texts: readonly string[],
  options: EncodeOptions,
  how?: How,
): Promise<Encoded> {
  if (typeof texts === "string") throw invalidContent("/texts", "wanted a list of texts, got one text: write encode([text])");
  const limit = await sender.limit(options.tokens ? "encode_texts_with_tokens" : "encode_texts", how);
  const count = Math.min(TEXTS_AT_ONCE, limit);
  let all: Encoded | undefined;
  for (let begin = 0; begin < Math.max(texts.length, 1); begin += count) {
    const body = { texts: texts.slice(begin, begin + count), ...options, ...FORMAT };
    const part = await sender.ask("/v1/encode", body, how, readEncoded, WRITE_MS);
    all = all ? join(all, part) : part;
  }
  return all as Encoded;
}

/** Order documents by their relevance to a query. */
export function rerank(
  sender: Sender,
  query: string,
  documents: readonly string[],
  options: RerankOptions,
  how?: How,
): Promise<RankedDocument[]> {
  const read = (content: SchemaRerankAnswer) => content.results;
  return sender.ask("/v1/rerank", { query, documents, ...options }, how, read, WRITE_MS);
}

/** Score pairs of texts. */
export function score(sender: Sender, request: SchemaScoreRequest, how?: How): Promise<number[]> {
  const read = (content: SchemaScoreAnswer) => content.data.map((line) => line.score);
  return sender.ask("/v1/score", request, how, read, WRITE_MS);
}

/** Trace a text through a model. */
export function trace(sender: Sender, text: string, options: TraceOptions, how?: How): Promise<Trace> {
  const body = { text, ...options, ...FORMAT };
  const read = (content: SchemaTraceAnswer) => {
    const { changes, neurons, vector } = content;
    const all = (arrays: object) => tensors(arrays, Object.keys(arrays));
    return {
      ...tensors(content, OF_TRACES),
      ...(changes && { changes: changes.map(all) }),
      ...(neurons && { neurons: all(neurons) }),
      ...(vector && { vector: all(vector) }),
    } as Trace;
  };
  return sender.ask("/v1/trace", body, how, read, WRITE_MS);
}

/** Attend over arrays. */
export function attendArrays(sender: Sender, request: AttentionRequest, how?: How): Promise<Attended> {
  const read = (content: SchemaAttentionAnswer) => {
    const steps = content.intermediates;
    const intermediates = steps && tensors(steps, Object.keys(steps));
    return { ...tensors(content, ARRAYS), ...(intermediates && { intermediates }) } as Attended;
  };
  return sender.ask("/v1/attend", { ...request, ...FORMAT }, how, read);
}

/** Encode texts by the call of OpenAI's clients. */
export function embed(sender: Sender, request: EmbeddingsRequest, how?: How): Promise<Embeddings> {
  const read = ({ data, model, usage, truncated }: SchemaEmbeddingsAnswer): Embeddings => {
    const sorted = data.sort((one, other) => one.index - other.index);
    const embeddings = sorted.map((item) => incoming({ base64: item.embedding as string }));
    return { embeddings, model, usage, truncated };
  };
  const body = { ...request, encoding_format: "base64" };
  return sender.ask("/v1/embeddings", body, how, read, WRITE_MS);
}

function readEncoded(content: SchemaEncodeAnswer): Encoded {
  return { ...content, embeddings: rows(content.embeddings, content.dimension) };
}

function join(one: Encoded, other: Encoded): Encoded {
  const lists = ["embeddings", "token_counts", "truncated", "unknown_tokens", "tokens"] as const;
  const present = lists.filter((name) => one[name]);
  return {
    ...one,
    ...Object.fromEntries(present.map((name) => [name, [...(one[name] ?? []), ...(other[name] ?? [])]])),
  };
}

/** Return an object whose arrays with these names are tensors. */
function tensors(content: object, names: readonly string[]): Record<string, unknown> {
  const arrays = Object.entries(content).map(([name, value]) => [
    name,
    value && names.includes(name) ? tensor(value) : value,
  ]);
  return Object.fromEntries(arrays) as Record<string, unknown>;
}
