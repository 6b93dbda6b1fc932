/** What became of rows that were written in parts. */

import { Invalid } from "../errors.ts";
import type { Flaw } from "../errors.ts";
import { newId } from "../wire/sending.ts";

/** A row that was not written. */
export interface Refusal {
  /** Its place among the rows that were given, from 0. */
  readonly row: number;
  /** Its document's; undefined where it has none. */
  readonly id: string | undefined;
  readonly detail: string;
  readonly errors: readonly Flaw[];
}

/**
 * What became of the rows; given to `upsert` as `resume`, it says where to go on, and is filled further.
 *
 * It can be kept as JSON: `Object.assign(new Report(), JSON.parse(kept))`.
 */
export class Report {
  /** How many were read. */
  rows = 0;
  /** Of how many, from the first on, the service has said what became of them. */
  acknowledged = 0;
  /** How many of these were written. */
  upserted = 0;
  /** Ids that were taken, with `onConflict: "skip"`. */
  skipped: string[] = [];
  /** Ids of documents with a text that is longer than the encoder reads, and was cut. */
  truncated: string[] = [];
  /** The rows that were not written, each with the reason, in their order. */
  refused: Refusal[] = [];
  /** Names the upload, so that no part of it is done twice. */
  id = newId(8);

  /** Throw Invalid where a row was refused; else the report itself. */
  throwForRefused(): this {
    const errors = this.refused.map(({ row, detail }) => ({ pointer: `/${row}`, detail }));
    const [first] = errors;
    if (!first) return this;
    throw new Invalid(`${first.pointer}: ${first.detail}`, { code: "invalid_content", status: 422, errors });
  }
}

/** The refusal of a row for these flaws; its detail names the field of the first. */
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
