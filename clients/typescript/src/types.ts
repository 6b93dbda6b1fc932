/** The types that errors, problems, sending and uploads share. This file imports no other of the client. */

import type { SchemaFieldProblem, SchemaProblemCode } from "./generated/api.ts";

/** The kind of an error in one stable word; docs/reference/errors.md lists all of them, with the remedy for each. */
export type Code = SchemaProblemCode;

/** One flaw of a request: a JSON pointer (RFC 6901) into its body, empty for the whole body, and the detail. */
export type Flaw = SchemaFieldProblem;

/** The answer of a service, before it is read. */
export interface Reply {
  readonly url: string;
  readonly status: number;
  readonly type: string | undefined;
  readonly text: string;
  readonly requestId: string;
  readonly retryAfter: number | undefined;
}

/** A row that was not written. */
export interface Refusal {
  /** The position of the row among all rows, from 0. */
  readonly row: number;
  /** The id of its document; undefined if it has none. */
  readonly id: string | undefined;
  readonly detail: string;
  readonly errors: readonly Flaw[];
}

/** The result of an upload, as the class `Report` has it. */
export interface UploadReport {
  /** The number of rows read. */
  rows: number;
  /** The number of rows, from the first on, whose result the service has reported. */
  acknowledged: number;
  /** The number of these rows that were written. */
  upserted: number;
  /** The number of written rows whose instant of expiry was over: these documents are absent at once. */
  expired: number;
  /** Existing ids, whose rows were skipped, with `onConflict: "skip"`. */
  skipped: string[];
  /** Ids of documents whose text is longer than the encoder reads, and was cut; empty if the encoder does not tell. */
  truncated: string[];
  /** The rows that were not written, each with the reason, in their order. */
  refused: Refusal[];
  /** The name of the upload, so that no part of it is done twice. */
  id: string;
  /** Throw Invalid if a row was refused; otherwise return the report. */
  throwForRefused(): this;
}
