/** Uploads: any number of rows, written in batches one after another, and their report. */

import { JSON_TYPE, Written, json } from "../wire/body.ts";
import { countOf, encodeFields, readWritten } from "./documents.ts";
import type { DocumentInput } from "./documents.ts";
import { Invalid, SoftkvError, TooLarge } from "../errors.ts";
import type { SchemaUploadBatch, SchemaUploadEnd, SchemaUploadLine, SchemaUpserted } from "../generated/api.ts";
import { invalidContent, foreignAnswer, ofProblem } from "../problems.ts";
import { Report, refusalOf } from "./report.ts";
import type { Flaw, Reply } from "../types.ts";
import { WRITE_MS } from "../wire/sending.ts";
import type { Call, How, Sender } from "../wire/sending.ts";

/** The treatment of a row whose id exists: it replaces the document, is skipped, or everything fails. */
export type OnConflict = "replace" | "skip" | "fail";

/** The options of an upload. */
export interface UploadOptions {
  /** With "fail", the batch of a row with an existing id is not written, and nothing after it is sent. */
  readonly onConflict?: OnConflict | undefined;
  /** Called with the report whenever it grows. */
  readonly onProgress?: ((report: Report) => void) | undefined;
  /**
   * The report of an interrupted upload, to continue it with the same rows: acknowledged rows are not sent again. A
   * `new Report()` is filled during the upload.
   */
  readonly resume?: Report | undefined;
}

type Rows = Iterable<DocumentInput> | AsyncIterable<DocumentInput>;

/** A row of a batch: its position among all rows, the id of its document, its line of JSON, and whether it has expired. */
interface Line {
  readonly row: number;
  readonly id: unknown;
  readonly content: string;
  readonly isExpired: boolean;
}

/** Modes of the wire. */
export const MODES = { replace: "upsert", skip: "skip", fail: "create" } as const;
const NDJSON_TYPE = "application/x-ndjson";
/** The rows that the service writes at once, and the maximum rows and bytes of a batch. */
const BATCH_ROWS = 1000;
const MAX_BYTES = 8_000_000;
/** The bytes of a body besides its rows. */
const FRAME_BYTES = 100;

/** Write all rows, and return their report. */
export async function upload(
  sender: Sender,
  path: string,
  rows: Rows,
  { onConflict = "replace", onProgress, resume: report = new Report() }: UploadOptions,
  how?: How,
): Promise<Report> {
  if (!(onConflict in MODES)) throw invalidContent("", `onConflict: wanted 'replace', 'skip' or 'fail', got '${onConflict}'`);
  const uploading = new Upload({ sender, path, onConflict, how }, report);
  try {
    await uploading.begin();
    for await (const row of rows) {
      if (await uploading.add(row)) onProgress?.(report);
    }
    if (await uploading.end()) onProgress?.(report);
  } catch (error) {
    if (error instanceof SoftkvError) error.report = report;
    throw error;
  }
  return report;
}

/** The collection of an upload, and the way to send rows to it. */
interface Target {
  readonly sender: Sender;
  readonly path: string;
  readonly onConflict: OnConflict;
  readonly how: How | undefined;
}

class Upload {
  readonly #target: Target;
  readonly #report: Report;
  readonly #acknowledged: number;
  #maxRows = BATCH_ROWS;
  #maxBytes = MAX_BYTES;
  #next = 0;
  #bytes = 0;
  #lines: Line[] = [];
  #refused: Report["refused"] = [];

  constructor(target: Target, report: Report) {
    this.#target = target;
    this.#report = report;
    this.#acknowledged = report.rows = report.acknowledged;
  }

  /** Ask for the limits of the service, if a batch is one body. */
  async begin(): Promise<void> {
    if (this.#target.onConflict === "replace") return;
    this.#maxRows = Math.min(BATCH_ROWS, await this.#limit("documents"));
    this.#maxBytes = Math.min(MAX_BYTES, (await this.#limit("body_bytes")) - FRAME_BYTES);
  }

  /** Add a row; return whether the batch was full and has been written. */
  async add(document: DocumentInput): Promise<boolean> {
    const row = this.#next++;
    if (row < this.#acknowledged) return false;
    if (typeof document !== "object" || document === null) {
      throw invalidContent(`/${row}`, `wanted an object with a document's fields, got ${typeof document}`);
    }
    this.#report.rows++;
    let content = "";
    let flaws: readonly Flaw[] | undefined;
    try {
      content = json(encodeFields(document));
    } catch (error) {
      if (!(error instanceof Invalid)) throw error;
      flaws = error.errors;
    }
    const bytes = bytesOf(content);
    const isFull =
      this.#waiting >= this.#maxRows || (this.#lines.length > 0 && this.#bytes + bytes >= this.#maxBytes);
    if (isFull) await this.#write();
    if (flaws) this.#refused.push(refusalOf(row, document.id, flaws));
    else this.#lines.push({ row, id: document.id, content, isExpired: isPast(document.expires) });
    this.#bytes += bytes + 1;
    return isFull;
  }

  /** Write the last batch after all rows; return whether there was one. */
  async end(): Promise<boolean> {
    if (this.#next < this.#acknowledged) {
      const counts = `${this.#next} rows came and ${this.#acknowledged} are acknowledged`;
      throw invalidContent("", `${counts}: give resume all the rows`);
    }
    if (!this.#waiting) return false;
    await this.#write();
    return true;
  }

  get #waiting(): number {
    return this.#lines.length + this.#refused.length;
  }

  #limit(name: "documents" | "body_bytes"): Promise<number> {
    return this.#target.sender.limit(name, this.#target.how);
  }

  /** Write the batch without its invalid rows, and add the result to the report. */
  async #write(): Promise<void> {
    const result = { upserted: 0, skipped: [] as string[], truncated: [] as string[] | null };
    const report = this.#report;
    const rows = this.#waiting;
    for (let tried = 0; this.#lines.length; tried++) {
      const name = `${report.acknowledged}-${rows}-${tried}`;
      try {
        Object.assign(result, await (this.#target.onConflict === "replace" ? this.#stream() : this.#transaction(name)));
        break;
      } catch (error) {
        const flaws =
          error instanceof TooLarge ? await this.#tooLongRows() : error instanceof Invalid ? byRow(error) : new Map();
        if (!flaws.size) throw error;
        this.#refuse(flaws);
      }
    }
    report.acknowledged += rows;
    report.upserted += result.upserted;
    const skipped = new Set<unknown>(result.skipped);
    report.expired += this.#lines.filter(({ id, isExpired }) => isExpired && !skipped.has(id)).length;
    report.skipped.push(...result.skipped);
    report.truncated.push(...(result.truncated ?? []));
    report.refused.push(...this.#refused.sort((one, other) => one.row - other.row));
    [this.#lines, this.#refused, this.#bytes] = [[], [], 0];
  }

  /** Remove refused rows from the batch, by their positions among its lines. */
  #refuse(flaws: ReadonlyMap<number, readonly Flaw[]>): void {
    for (const [index, errors] of flaws) {
      const line = this.#lines[index];
      if (line) this.#refused.push(refusalOf(line.row, line.id, errors));
    }
    this.#lines = this.#lines.filter((_, index) => !flaws.has(index));
  }

  /** Send rows as NDJSON: the service writes the valid lines. A repetition writes the same documents again. */
  async #stream(): Promise<SchemaUpserted> {
    const body = new Written(this.#lines.map((line) => line.content).join("\n"), NDJSON_TYPE);
    const parts = await this.#send({ body, read, isText: true, repeatable: true });
    this.#refuse(new Map(parts.flatMap((part) => part.refused.map(({ line, errors }) => [line - 1, errors] as const))));
    const upserted = parts.reduce((sum, part) => sum + countOf(part, "upserted"), 0);
    return { upserted, truncated: parts.flatMap((part) => part.truncated ?? []) };
  }

  /**
   * Send rows as one body, of which the service writes all or none.
   *
   * @param name the name of these rows; a continued upload names them the same, so that they are written once
   */
  #transaction(name: string): Promise<SchemaUpserted> {
    const documents = this.#lines.map((line) => line.content).join(",");
    const body = new Written(`{"mode":"${MODES[this.#target.onConflict]}","documents":[${documents}]}`, JSON_TYPE);
    return this.#send({ body, read: readWritten, once: true, id: `${this.#report.id}-${name}` });
  }

  #send<T>(call: Omit<Call<T>, "method" | "path">): Promise<T> {
    const { sender, path, how } = this.#target;
    return sender.send({ method: "POST", path, limit: WRITE_MS, ...call }, how);
  }

  /** Return the rows that exceed the limit of the service alone. */
  async #tooLongRows(): Promise<Map<number, Flaw[]>> {
    const maxBytes = (await this.#limit("body_bytes")) - FRAME_BYTES;
    const flaws = new Map<number, Flaw[]>();
    for (const [position, { content }] of this.#lines.entries()) {
      const bytes = bytesOf(content);
      const detail = `the row has ${bytes} bytes, a line may have ${maxBytes}: shorten it`;
      if (bytes > maxBytes) flaws.set(position, [{ pointer: "", detail }]);
    }
    return flaws;
  }
}

function read(text: string, reply: Reply): SchemaUploadBatch[] {
  const lines = text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as SchemaUploadLine);
  const end = lines.pop() as SchemaUploadEnd;
  if (!end.done) throw end.problem ? ofProblem(end.problem, reply) : foreignAnswer(reply);
  return lines as SchemaUploadBatch[];
}

/** Return the flaws of a request by document; empty if a flaw belongs to the request itself. */
function byRow({ errors }: Invalid): Map<number, Flaw[]> {
  const flaws = new Map<number, Flaw[]>();
  for (const { pointer, detail } of errors) {
    const [, index, rest = ""] = /^\/documents\/(\d+)(.*)$/.exec(pointer) ?? [];
    if (index === undefined) return new Map();
    const row = Number(index);
    flaws.set(row, [...(flaws.get(row) ?? []), { pointer: rest, detail }]);
  }
  return flaws;
}

/** Return whether an instant of expiry is over; false for a time from now on, such as "30d", whose text is no date. */
function isPast(instant: DocumentInput["expires"]): boolean {
  const time = typeof instant === "number" ? instant * 1000 : typeof instant === "string" ? Date.parse(instant) : instant;
  return time !== null && time !== undefined && Number(time) <= Date.now();
}

const encoder = /* @__PURE__ */ new TextEncoder();

function bytesOf(text: string): number {
  return encoder.encode(text).length;
}
