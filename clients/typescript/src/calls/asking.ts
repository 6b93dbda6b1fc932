/** Questions to a collection: attend, sweep, compare. */

import { Answer, comparison, swept } from "./answer.ts";
import type { Comparison, Swept } from "./answer.ts";
import type {
  SchemaAttendAnswer,
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

/** What is asked: a text or a vector. */
export type Query = string | Vector;

/** The fields of a question besides its query; docs/asking.md tells of each. */
export type AttendOptions = Omit<SchemaAttendOne, "query" | "queries" | "stream" | "vector_format">;

/** An answer on its way: of a part of the collection, or `final`. */
export type StreamedAnswer<Value = unknown> = Answer<Value> & { readonly final: boolean };

/** The fields of a sweep besides its query and temperatures. */
export type SweepOptions = Omit<SchemaSweepRequest, "query" | "temperatures" | "vector_format">;

/** The fields of a comparison besides its query. */
export type CompareOptions = Omit<SchemaCompareRequest, "query">;

/** A row that comes with the question. */
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

/** Ask one question, and hear of answers while it is computed: of growing parts, and at last of all documents. */
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

/** Ask several, of any number: they go to the service in parts. */
export async function attendMany<Value>(
  sender: Sender,
  path: string,
  queries: readonly Query[],
  options: AttendOptions,
  how?: How,
): Promise<Answer<Value>[]> {
  const asked = queries.map((each, place) => onWire(each, `/queries/${place}`));
  const most = asked.length > 1 ? await sender.limit("queries", how) : 1;
  const read = (content: { results: SchemaAttendAnswer[] }, { requestId }: Reply) =>
    content.results.map((each) => new Answer<Value>(each, requestId));
  const answers: Answer<Value>[] = [];
  for (let begin = 0; begin < asked.length; begin += most) {
    const body = { queries: asked.slice(begin, begin + most), ...options, ...FORMAT };
    answers.push(...(await sender.ask(`${path}/attend`, body, how, read)));
  }
  return answers;
}

/** Ask one question at many temperatures, from one reading of the keys. */
export function sweep<Value>(
  sender: Sender,
  path: string,
  query: Query,
  temperatures: Iterable<number>,
  options: SweepOptions,
  how?: How,
): Promise<Swept<Value>> {
  const read = (content: SchemaSweepAnswer, { requestId }: Reply) => swept<Value>(content, requestId);
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
  const read = (content: SchemaCompareAnswer, { requestId }: Reply) => comparison<Value>(content, requestId);
  return sender.ask(`${path}/compare`, body, how, read);
}

/** Whether several are asked; a vector is one question. */
export function isMany(query: Query | readonly Query[]): query is readonly Query[] {
  return Array.isArray(query) && typeof query[0] !== "number";
}

function onWire(query: Query, pointer: string): SchemaQuery {
  return typeof query === "string" ? query : outgoing(query, pointer);
}
