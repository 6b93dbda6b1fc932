/** The calls that need no collection: texts to vectors, what heads look at, attention on arrays. */

import type {
  SchemaAttentionAnswer,
  SchemaAttentionRequest,
  SchemaEmbeddingsAnswer,
  SchemaEmbeddingsRequest,
  SchemaEncodeAnswer,
  SchemaEncodeRequest,
  SchemaNestedAnswer,
  SchemaTraceAnswer,
  SchemaTraceRequest,
} from "../generated/api.ts";
import { flawed } from "../problems.ts";
import { WRITE_MS } from "../wire/sending.ts";
import type { How, Sender } from "../wire/sending.ts";
import { FORMAT, incoming, rows, tensor } from "../wire/vectors.ts";
import type { Tensor } from "../wire/vectors.ts";

/** How texts are encoded: `model`, `purpose`, and whether to answer their `tokens`. */
export type EncodeOptions = Omit<SchemaEncodeRequest, "texts" | "vector_format">;

/** Vectors of texts, float32 [n, d], and what the model made of each text beside them. */
export type Encoded = Omit<SchemaEncodeAnswer, "embeddings"> & { readonly embeddings: Float32Array[] };

/** The fields of a trace besides its text. */
export type TraceOptions = Omit<SchemaTraceRequest, "text" | "vector_format">;

/** What heads look at: `attention` [layer, head, i, j], the weight of token j for token i. */
export type Trace = Tensors<Omit<SchemaTraceAnswer, "changes">> & {
  /** Where they were asked for, how far each layer moves each token. */
  readonly changes?: Tensors<NonNullable<SchemaTraceAnswer["changes"]>[number]>[];
};

/** Attention on arrays of your own: query [m, d], key [n, d], value [n, d_v]; leading dimensions broadcast. */
export type AttentionRequest = {
  readonly [Name in keyof Omit<SchemaAttentionRequest, "vector_format">]: Name extends
    "query" | "key" | "value" | "bias"
    ? SchemaAttentionRequest[Name] | readonly ArrayLike<number>[]
    : SchemaAttentionRequest[Name];
};

/** What came of it; the logit of a key that is masked is minus infinity. */
export type Attended = Tensors<Omit<SchemaAttentionAnswer, "intermediates">> & {
  readonly intermediates?: Record<string, Tensor>;
};

/** Vectors of texts as OpenAI's clients ask for them, float32 [n, d]. */
export type Embeddings = Omit<SchemaEmbeddingsAnswer, "data" | "object"> & { readonly embeddings: Float32Array[] };

/** A type with arrays in place of what they are on the wire. */
type Tensors<Wire> = {
  readonly [Name in keyof Wire]: SchemaNestedAnswer extends Wire[Name]
    ? unknown extends Wire[Name]
      ? Wire[Name]
      : Tensor | Exclude<Wire[Name], SchemaNestedAnswer>
    : Wire[Name];
};

/** What a request takes in moments; the answer to it has a megabyte or two. */
const TEXTS_AT_ONCE = 1000;
const ARRAYS = ["output", "weights", "logits", "log_partition", "null_weight", "attention", "query", "key", "value"];

/** Texts of any number → vectors; they go to the service in parts. */
export async function encode(
  sender: Sender,
  texts: readonly string[],
  options: EncodeOptions,
  how?: How,
): Promise<Encoded> {
  if (typeof texts === "string") throw flawed("/texts", "wanted a list of texts, got one text: write encode([text])");
  const limit = await sender.limit(options.tokens ? "encode_texts_with_tokens" : "encode_texts", how);
  const most = Math.min(TEXTS_AT_ONCE, limit);
  let all: Encoded | undefined;
  for (let begin = 0; begin < Math.max(texts.length, 1); begin += most) {
    const body = { texts: texts.slice(begin, begin + most), ...options, ...FORMAT };
    const part = await sender.ask("/v1/encode", body, how, encodedTexts, WRITE_MS);
    all = all ? joined(all, part) : part;
  }
  return all as Encoded;
}

/** Follow a text through a model. */
export function trace(sender: Sender, text: string, options: TraceOptions, how?: How): Promise<Trace> {
  const body = { text, ...options, ...FORMAT };
  const read = (content: SchemaTraceAnswer) => {
    const changes = content.changes?.map((each) => tensors(each, Object.keys(each)));
    return { ...tensors(content, ARRAYS), ...(changes && { changes }) } as Trace;
  };
  return sender.ask("/v1/trace", body, how, read, WRITE_MS);
}

/** Attention on arrays. */
export function attendArrays(sender: Sender, request: AttentionRequest, how?: How): Promise<Attended> {
  const read = (content: SchemaAttentionAnswer) => {
    const steps = content.intermediates;
    const intermediates = steps && tensors(steps, Object.keys(steps));
    return { ...tensors(content, ARRAYS), ...(intermediates && { intermediates }) } as Attended;
  };
  return sender.ask("/v1/attend", { ...request, ...FORMAT }, how, read);
}

/** Vectors as OpenAI's clients ask for them. */
export function embed(
  sender: Sender,
  request: Omit<SchemaEmbeddingsRequest, "encoding_format">,
  how?: How,
): Promise<Embeddings> {
  const read = ({ data, model, usage, truncated }: SchemaEmbeddingsAnswer): Embeddings => {
    const found = data.sort((one, other) => one.index - other.index);
    const embeddings = found.map((each) => incoming({ base64: each.embedding as string }));
    return { embeddings, model, usage, truncated };
  };
  const body = { ...request, encoding_format: "base64" };
  return sender.ask("/v1/embeddings", body, how, read, WRITE_MS);
}

function encodedTexts(content: SchemaEncodeAnswer): Encoded {
  return { ...content, embeddings: rows(content.embeddings, content.dimension) };
}

function joined(one: Encoded, other: Encoded): Encoded {
  const lists = ["embeddings", "token_counts", "truncated", "unknown_tokens", "tokens"] as const;
  const present = lists.filter((name) => one[name]);
  return {
    ...one,
    ...Object.fromEntries(present.map((name) => [name, [...(one[name] ?? []), ...(other[name] ?? [])]])),
  };
}

/** An object with the arrays of these names as they are used here. */
function tensors(content: object, names: readonly string[]): Record<string, unknown> {
  const arrays = Object.entries(content).map(([name, each]) => [
    name,
    each && names.includes(name) ? tensor(each) : each,
  ]);
  return Object.fromEntries(arrays) as Record<string, unknown>;
}
