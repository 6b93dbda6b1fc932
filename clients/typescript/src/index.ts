/**
 * The client of softkv: attention as a soft lookup over a document collection.
 *
 * ```ts
 * import { Client, F } from "softkv";
 *
 * const library = new Client({ url: "http://127.0.0.1:8000" }).collection<string>("library");
 * const answer = await library.attend("pets that purr", { filter: F("year", ">=", 1930) });
 * if (answer.best) console.log(answer.best.value);
 * ```
 */

export { Answer } from "./calls/answer.ts";
export type { Comparison, GroupBy, Match, Swept, SweptMatch, Verdict } from "./calls/answer.ts";
export type {
  Attended,
  AttentionRequest,
  Embeddings,
  EmbeddingsRequest,
  EncodeOptions,
  Encoded,
  RankedDocument,
  RerankOptions,
  Trace,
  TraceOptions,
} from "./calls/arrays.ts";
export type {
  AttendOptions,
  ComparedQuery,
  CompareOptions,
  Query,
  QueryPart,
  Row,
  SweepOptions,
} from "./calls/asking.ts";
export type { FeedbackRecord, Judgement } from "./calls/feedback.ts";
export type { CalibrateOptions, Calibration, LabelledQuestion } from "./calls/calibrating.ts";
export { Client } from "./client.ts";
export type {
  Alias,
  CallOptions,
  ClientOptions,
  Encoder,
  Model,
  Readiness,
  Reranker,
  ServiceInfo,
  SlowRequest,
} from "./client.ts";
export { Collection } from "./collection.ts";
export type { CollectionInfo, CollectionSettings, Projection, ProjectionInfo, ReEncoding } from "./collection.ts";
export type {
  Document,
  DocumentBody,
  DocumentField,
  DocumentInput,
  DocumentPatch,
  ManyPatch,
  FindOptions,
  Which,
  Written,
} from "./calls/documents.ts";
export type { FieldFacts, FieldValue, FieldsOptions } from "./calls/facts.ts";
export {
  Busy,
  Conflict,
  Forbidden,
  Invalid,
  KeyRefused,
  NotFound,
  Refused,
  ServiceFailed,
  SoftkvError,
  StorageFull,
  TimedOut,
  TooLarge,
  Unavailable,
  Unreachable,
  Unsupported,
} from "./errors.ts";
export type { Circumstances } from "./errors.ts";
export type { Code, Flaw, Refusal, UploadReport } from "./types.ts";
export type { ServiceEvent } from "./wire/events.ts";
export { F, ago, and, not, or } from "./filters.ts";
export type { Duration, Filter } from "./filters.ts";
export { Pages } from "./pages.ts";
export { Report } from "./calls/report.ts";
export { exactInteger, parseExactly } from "./wire/body.ts";
export type { Fetch, How } from "./wire/sending.ts";
export type { TableLine, TableOptions } from "./calls/tables.ts";
export type { OnConflict, UploadOptions } from "./calls/upload.ts";
export type { Tensor, Vector, VectorInput } from "./wire/vectors.ts";
export { VERSION } from "./version.ts";
