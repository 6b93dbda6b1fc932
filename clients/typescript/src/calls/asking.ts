/** Questions to a collection: attend, sweep, compare. */

import { Answer, readComparison, readSweep } from "./answer.ts";
import type { Comparison, Swept } from "./answer.ts";
import type {
  SchemaAttendAnswer,
  SchemaAttendAnswers,
  SchemaAttendOne,
  SchemaCompareAnswer,
  SchemaCompareRequest,
  SchemaCompareRowsRequest,
  SchemaProblem,
  SchemaQuery,
  SchemaSweepAnswer,
  SchemaSweepRequest,
} from "../generated/api.ts";
import { ofProblem } from "../problems.ts";
import type { Reply } from "../types.ts";
import { events } from "../wire/events.ts";
import type { How, Sender } from "../wire/sending.ts";
import { FORMAT, outgoing } from "../wire/vectors.ts";
import type { Vector } from "../wire/vectors.ts";

/** A query: a text or a vector. */
export type Query = string | Vector;

/** The fields of a question besides its query; docs/guide/asking.md describes each. */
export type AttendOptions = Omit<SchemaAttendOne, "query" | "queries" | "stream" | "vector_format">;

/** An answer of a stream: over a part of the collection, or `final`. */
export type StreamedAnswer<Value = unknown> = Answer<Value> & { readonly final: boolean };

/** The fields of a sweep besides its query and temperatures. */
export type SweepOptions = Omit<SchemaSweepRequest, "query" | "temperatures" | "vector_format">;

/** The fields of a comparison besides its query. */
export type CompareOptions = Omit<SchemaCompareRequest, "query">;

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

/** Ask one question; yield answers over growing parts of the collection, and last the answer over all documents. */
export async function* attendStream<Value>(
  sender: Sender,
  path: string,
  query: Query,
  options: AttendOptions,
  how: How = {},
): AsyncGenerator<StreamedAnswer<Value>, void, undefined> {
  const body = { query: onWire(query, "/query"), ...options, stream: true, ...FORMAT };
  for await (const { name, data } of events<SchemaAttendAnswer | SchemaProblem>(sender, `${path}/attend`, { ...how, body })) {
    if ("matches" in data) yield Object.assign(new Answer<Value>(data), { final: name === "answer" });
    else throw ofProblem(data, reply(path, data));
  }
}

function reply(url: string, { status }: SchemaProblem): Reply {
  return { url, status, type: undefined, text: "", requestId: "", retryAfter: undefined };
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
  const count = encoded.length > 1 ? await queriesAtOnce(sender, options, how) : 1;
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
async function queriesAtOnce(sender: Sender, options: AttendOptions, how?: How): Promise<number> {
  const queries = await sender.limit("queries", how);
  // Older services have no limit of matches.
  const matches: number | undefined = await sender.limit("answer_matches", how);
  const each = options.top_k ?? (options.top_p != null || options.conformal != null ? 1000 : 10);
  if (matches === undefined) return queries;
  const most = [queries, matches / Math.max(1, each)];
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
  body: SchemaCompareRequest | SchemaCompareRowsRequest,
  how?: How,
): Promise<Comparison<Value>> {
  const read = (content: SchemaCompareAnswer, { requestId }: Reply) => readComparison<Value>(content, requestId);
  return sender.ask(`${path}/compare`, body, how, read);
}

/** Return whether these are several questions; a vector is one question. */
export function isMany(query: Query | readonly Query[]): query is readonly Query[] {
  return Array.isArray(query) && typeof query[0] !== "number";
}

function onWire(query: Query, pointer: string): SchemaQuery {
  return typeof query === "string" ? query : outgoing(query, pointer);
}
