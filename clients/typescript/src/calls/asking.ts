/** Questions to a collection: attend, sweep, compare. */

import { Answer, readComparison, readSweep } from "./answer.ts";
import type { Comparison, Swept } from "./answer.ts";
import type {
  SchemaAttendAnswer,
  SchemaAttendAnswers,
  SchemaAttendRequest,
  SchemaCompareAnswer,
  SchemaCompareRequest,
  SchemaCompareRowsRequest,
  SchemaQueryOrParts,
  SchemaQueryPart,
  SchemaSweepAnswer,
  SchemaSweepRequest,
} from "../generated/api.ts";
import type { Reply } from "../types.ts";
import type { How, Sender } from "../wire/sending.ts";
import { FORMAT, outgoing } from "../wire/vectors.ts";
import type { Vector } from "../wire/vectors.ts";

/** A query: a text, a vector, or the weighted sum of parts. */
export type Query = string | Vector | readonly QueryPart[];

/** A part of a query: exactly one of a text, the id of a document, and a vector; and its weight, 1 if left out. */
export type QueryPart = { readonly weight?: number } & (
  | { readonly text: string }
  | { readonly id: string }
  | { readonly vector: Vector }
);

/** The fields of a question besides its query; docs/guide/asking.md describes each. */
export type AttendOptions = Omit<SchemaAttendRequest, "query" | "queries" | "vector_format">;

/** The fields of a sweep besides its query and temperatures. */
export type SweepOptions = Omit<SchemaSweepRequest, "query" | "temperatures" | "vector_format">;

/** The fields of a comparison besides its query. */
export type CompareOptions = Omit<SchemaCompareRequest, "query">;

/** The query of a comparison: a text, or parts of which SQL looks for the texts with a positive weight. */
export type ComparedQuery = string | readonly QueryPart[];

/** A row of the request. */
export type Row = SchemaCompareRowsRequest["rows"][number];

/** Ask one question. */
export function attendOne<Value>(
  sender: Sender,
  path: string,
  query: Query,
  options: AttendOptions,
  how?: How,
): Promise<Answer<Value>> {
  const read = (content: SchemaAttendAnswer, { requestId }: Reply) => new Answer<Value>(content, requestId);
  const body = { query: onWire(query, "/query"), ...options, ...FORMAT };
  return sender.ask(`${path}/attend`, body, how, read);
}

/** Ask any number of questions, sent to the service in parts. */
export async function attendMany<Value>(
  sender: Sender,
  path: string,
  queries: readonly Query[],
  options: AttendOptions,
  how?: How,
): Promise<Answer<Value>[]> {
  const encoded = queries.map((query, position) => onWire(query, `/queries/${position}`));
  const parts = Math.max(0, ...queries.map((query) => (isParts(query) ? query.length : 0)));
  const count = encoded.length > 1 ? await queriesAtOnce(sender, options, parts, how) : 1;
  const read = ({ results, ...shared }: SchemaAttendAnswers, { requestId }: Reply) =>
    results.map((result) => new Answer<Value>({ ...result, ...shared }, requestId));
  const answers: Answer<Value>[] = [];
  for (let begin = 0; begin < encoded.length; begin += count) {
    const body = { queries: encoded.slice(begin, begin + count), ...options, ...FORMAT };
    answers.push(...(await sender.ask(`${path}/attend`, body, how, read)));
  }
  return answers;
}

/** The number of queries of one request, so that the answer holds all of their matches. */
async function queriesAtOnce(sender: Sender, options: AttendOptions, parts: number, how?: How): Promise<number> {
  const queries = await sender.limit("queries", how);
  // Older services have no limit of matches.
  const matches: number | undefined = await sender.limit("answer_matches", how);
  const { top_k, diversity } = options;
  const each =
    diversity != null
      ? Math.min(Math.max(10 * (top_k ?? 10), 100), 1000)
      : (top_k ?? (options.top_p != null ? 1000 : 10));
  if (matches === undefined) return queries;
  const most = [queries, matches / Math.max(1, each)];
  if (parts) most.push((await sender.limit("request_parts", how)) / parts);
  if (options.group_by) {
    const { groups = 10, documents = 3 } = options.group_by;
    most.push((await sender.limit("answer_groups", how)) / groups, matches / Math.max(1, groups * documents));
  }
  return Math.max(1, Math.floor(Math.min(...most)));
}

/** Ask one question at many temperatures; the service reads the keys once. */
export function sweep<Value>(
  sender: Sender,
  path: string,
  query: Query,
  temperatures: Iterable<number>,
  options: SweepOptions,
  how?: How,
): Promise<Swept<Value>> {
  const read = (content: SchemaSweepAnswer, { requestId }: Reply) => readSweep<Value>(content, requestId);
  const body = { query: onWire(query, "/query"), temperatures: [...temperatures], ...options, ...FORMAT };
  return sender.ask(`${path}/sweep`, body, how, read);
}

/** Ask in four ways: SQL's `=`, SQL's full text, the nearest documents, and attention. */
export function compare<Value>(
  sender: Sender,
  path: string,
  { query, ...options }: { query: ComparedQuery } & (CompareOptions | Omit<SchemaCompareRowsRequest, "query">),
  how?: How,
): Promise<Comparison<Value>> {
  const read = (content: SchemaCompareAnswer, { requestId }: Reply) => readComparison<Value>(content, requestId);
  const body = { query: typeof query === "string" ? query : partsOnWire(query, "/query"), ...options };
  return sender.ask(`${path}/compare`, body, how, read);
}

/** Return whether these are several questions; a vector is one question. */
export function isMany(query: Query | readonly Query[]): query is readonly Query[] {
  return Array.isArray(query) && typeof query[0] !== "number" && !isParts(query);
}

function isParts(query: unknown): query is readonly QueryPart[] {
  const first: unknown = Array.isArray(query) ? query[0] : undefined;
  return typeof first === "object" && first !== null && !Array.isArray(first) && !ArrayBuffer.isView(first);
}

function onWire(query: Query, pointer: string): SchemaQueryOrParts {
  if (isParts(query)) return partsOnWire(query, pointer);
  return typeof query === "string" ? query : outgoing(query, pointer);
}

function partsOnWire(parts: readonly QueryPart[], pointer: string): SchemaQueryPart[] {
  return parts.map((part, position) =>
    "vector" in part ? { ...part, vector: outgoing(part.vector, `${pointer}/${position}/vector`) } : part,
  );
}
