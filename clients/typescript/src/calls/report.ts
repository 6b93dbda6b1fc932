/** The report of an upload: the result of rows that are written in parts. */

import { Invalid } from "../errors.ts";
import type { Flaw, Refusal, UploadReport } from "../types.ts";
import { newId } from "../wire/sending.ts";

/**
 * The result of an upload. As `resume` of another `upsert`, it says where that begins, and grows further.
 *
 * It can be stored as JSON: `Object.assign(new Report(), JSON.parse(stored))`.
 */
export class Report implements UploadReport {
  /** The number of rows read. */
  rows = 0;
  /** The number of rows, from the first on, whose result the service has reported. */
  acknowledged = 0;
  /** The number of these rows that were written. */
  upserted = 0;
  /** The number of written rows whose instant of expiry was over: these documents are absent at once. */
  expired = 0;
  /** Existing ids, whose rows were skipped, with `onConflict: "skip"`. */
  skipped: string[] = [];
  /** Ids of documents whose text is longer than the encoder reads, and was cut; empty if the encoder does not tell. */
  truncated: string[] = [];
  /** The rows that were not written, each with the reason, in their order. */
  refused: Refusal[] = [];
  /** The name of the upload, so that no part of it is done twice. */
  id = newId(8);

  /** Throw Invalid if a row was refused; otherwise return the report. */
  throwForRefused(): this {
    const errors = this.refused.map(({ row, detail }) => ({ pointer: `/${row}`, detail }));
    const [first] = errors;
    if (!first) return this;
    throw new Invalid(`${first.pointer}: ${first.detail}`, { code: "invalid_content", status: 422, errors });
  }
}

/** Return the refusal of a row for these flaws; its detail names the field of the first flaw. */
export function refusalOf(row: number, id: unknown, errors: readonly Flaw[]): Refusal {
  const { pointer = "", detail = "" } = errors[0] ?? {};
  const isNamed = detail.includes(pointer.slice(pointer.lastIndexOf("/") + 1));
  return {
    row,
    id: typeof id === "string" ? id : undefined,
    detail: isNamed ? detail : `${pointer}: ${detail}`,
    errors,
  };
}
