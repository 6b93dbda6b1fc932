/** Rows of any number on their way: batches, one after another, and what became of them. */

import { JSON_TYPE, Written, json } from "../wire/body.ts";
import { encoded } from "./documents.ts";
import type { DocumentInput } from "./documents.ts";
import { Invalid, SoftkvError, TooLarge } from "../errors.ts";
import type { SchemaUploadBatch, SchemaUploadEnd, SchemaUploadLine, SchemaUpserted } from "../generated/api.ts";
import { flawed, foreign, ofProblem } from "../problems.ts";
import { Report, refusalOf } from "./report.ts";
import type { Flaw, Reply } from "../types.ts";
import { WRITE_MS } from "../wire/sending.ts";
import type { Call, How, Sender } from "../wire/sending.ts";

/** What becomes of a row whose id is taken: it replaces what is there, is skipped, or everything fails. */
export type OnConflict = "replace" | "skip" | "fail";

/** How rows are written. */
export interface UploadOptions {
  /** With "fail", the thousand that a row with a taken id is in is not written, and nothing after it is sent. */
  readonly onConflict?: OnConflict | undefined;
  /** Is called with the report as it grows. */
  readonly onProgress?: ((report: Report) => void) | undefined;
  /**
   * The report of an upload that broke off, with all of its rows: it goes on behind those that are acknowledged. A
   * `new Report()` of your own is filled as it goes.
   */
  readonly resume?: Report | undefined;
}

type Rows = Iterable<DocumentInput> | AsyncIterable<DocumentInput>;

/** A row on its way: its place among those that were given, its document's id, and its line of JSON. */
interface Line {
  readonly row: number;
  readonly id: unknown;
  readonly content: string;
}

/** Modes of the wire. */
export const MODES = { replace: "upsert", skip: "skip", fail: "create" } as const;
const NDJSON_TYPE = "application/x-ndjson";
/** What the service writes at once of a stream, and what is sent at once at most. */
const AT_ONCE = 1000;
const MOST_BYTES = 8_000_000;
/** Bytes of a body besides its rows. */
const AROUND = 100;

/** Write all rows → what became of them. */
export async function upload(
  sender: Sender,
  path: string,
  rows: Rows,
  { onConflict = "replace", onProgress, resume: report = new Report() }: UploadOptions,
  how?: How,
): Promise<Report> {
  if (!(onConflict in MODES)) throw flawed("", `onConflict: wanted 'replace', 'skip' or 'fail', got '${onConflict}'`);
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

/** Where rows go, and how. */
interface Target {
  readonly sender: Sender;
  readonly path: string;
  readonly onConflict: OnConflict;
  readonly how: How | undefined;
}

class Upload {
  readonly #to: Target;
  readonly #report: Report;
  readonly #acknowledged: number;
  #mostRows = AT_ONCE;
  #mostBytes = MOST_BYTES;
  #next = 0;
  #bytes = 0;
  #lines: Line[] = [];
  #refused: Report["refused"] = [];

  constructor(to: Target, report: Report) {
    this.#to = to;
    this.#report = report;
    this.#acknowledged = report.rows = report.acknowledged;
  }

  /** Hear how much the service takes at once, where a batch is one body. */
  async begin(): Promise<void> {
    if (this.#to.onConflict === "replace") return;
    this.#mostRows = Math.min(AT_ONCE, await this.#limit("documents"));
    this.#mostBytes = Math.min(MOST_BYTES, (await this.#limit("body_bytes")) - AROUND);
  }

  /** One more row → whether a batch was full, and is written. */
  async add(given: DocumentInput): Promise<boolean> {
    const row = this.#next++;
    if (row < this.#acknowledged) return false;
    if (typeof given !== "object" || given === null) {
      throw flawed(`/${row}`, `wanted an object with a document's fields, got ${typeof given}`);
    }
    this.#report.rows++;
    let content = "";
    let flaws: readonly Flaw[] | undefined;
    try {
      content = json(encoded(given));
    } catch (error) {
      if (!(error instanceof Invalid)) throw error;
      flaws = error.errors;
    }
    const bytes = bytesOf(content);
    const isFull =
      this.#waiting >= this.#mostRows || (this.#lines.length > 0 && this.#bytes + bytes >= this.#mostBytes);
    if (isFull) await this.#write();
    if (flaws) this.#refused.push(refusalOf(row, given.id, flaws));
    else this.#lines.push({ row, id: given.id, content });
    this.#bytes += bytes + 1;
    return isFull;
  }

  /** Write the last batch, when there are no more rows → whether there was one. */
  async end(): Promise<boolean> {
    if (this.#next < this.#acknowledged) {
      const came = `${this.#next} rows came and ${this.#acknowledged} are acknowledged`;
      throw flawed("", `${came}: give resume all the rows`);
    }
    if (!this.#waiting) return false;
    await this.#write();
    return true;
  }

  get #waiting(): number {
    return this.#lines.length + this.#refused.length;
  }

  #limit(name: "documents" | "body_bytes"): Promise<number> {
    return this.#to.sender.limit(name, this.#to.how);
  }

  /** Write the batch, without the rows that are flawed, and put what became of it into the report. */
  async #write(): Promise<void> {
    const done = { upserted: 0, skipped: [] as string[], truncated: [] as string[] };
    const report = this.#report;
    const rows = this.#waiting;
    for (let tried = 0; this.#lines.length; tried++) {
      const name = `${report.acknowledged}-${rows}-${tried}`;
      try {
        Object.assign(done, await (this.#to.onConflict === "replace" ? this.#stream() : this.#transaction(name)));
        break;
      } catch (error) {
        const flaws =
          error instanceof TooLarge ? await this.#long() : error instanceof Invalid ? byRow(error) : new Map();
        if (!flaws.size) throw error;
        this.#refuse(flaws);
      }
    }
    report.acknowledged += rows;
    report.upserted += done.upserted;
    report.skipped.push(...done.skipped);
    report.truncated.push(...done.truncated);
    report.refused.push(...this.#refused.sort((one, other) => one.row - other.row));
    [this.#lines, this.#refused, this.#bytes] = [[], [], 0];
  }

  /** Take rows out of the batch, by their places among its lines. */
  #refuse(flaws: ReadonlyMap<number, readonly Flaw[]>): void {
    for (const [place, errors] of flaws) {
      const line = this.#lines[place];
      if (line) this.#refused.push(refusalOf(line.row, line.id, errors));
    }
    this.#lines = this.#lines.filter((_, place) => !flaws.has(place));
  }

  /** Rows as NDJSON, whose good lines are written; a repeated one writes the same again. */
  async #stream(): Promise<SchemaUpserted> {
    const body = new Written(this.#lines.map((line) => line.content).join("\n"), NDJSON_TYPE);
    const parts = await this.#send({ body, read, isText: true, repeatable: true });
    this.#refuse(new Map(parts.flatMap((part) => part.refused.map(({ line, errors }) => [line - 1, errors] as const))));
    const upserted = parts.reduce((sum, part) => sum + part.upserted, 0);
    return { upserted, truncated: parts.flatMap((part) => part.truncated) };
  }

  /**
   * Rows as one body, which is written all or none.
   *
   * @param name of these rows, which an upload that goes on gives them again, so that they are written once
   */
  #transaction(name: string): Promise<SchemaUpserted> {
    const documents = this.#lines.map((line) => line.content).join(",");
    const body = new Written(`{"mode":"${MODES[this.#to.onConflict]}","documents":[${documents}]}`, JSON_TYPE);
    return this.#send({ body, once: true, id: `${this.#report.id}-${name}` });
  }

  #send<T>(call: Omit<Call<T>, "method" | "path">): Promise<T> {
    const { sender, path, how } = this.#to;
    return sender.send({ method: "POST", path, limit: WRITE_MS, ...call }, how);
  }

  /** The rows that the service does not even take alone. */
  async #long(): Promise<Map<number, Flaw[]>> {
    const most = (await this.#limit("body_bytes")) - AROUND;
    const found = new Map<number, Flaw[]>();
    for (const [place, { content }] of this.#lines.entries()) {
      const bytes = bytesOf(content);
      const detail = `the row has ${bytes} bytes, a line may have ${most}: shorten it`;
      if (bytes > most) found.set(place, [{ pointer: "", detail }]);
    }
    return found;
  }
}

function read(text: string, reply: Reply): SchemaUploadBatch[] {
  const lines = text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as SchemaUploadLine);
  const end = lines.pop() as SchemaUploadEnd;
  if (!end.done) throw end.problem ? ofProblem(end.problem, reply) : foreign(reply);
  return lines as SchemaUploadBatch[];
}

/** The flaws of a request by the document that they are of; none where one is of the request itself. */
function byRow({ errors }: Invalid): Map<number, Flaw[]> {
  const found = new Map<number, Flaw[]>();
  for (const { pointer, detail } of errors) {
    const [, place, rest = ""] = /^\/documents\/(\d+)(.*)$/.exec(pointer) ?? [];
    if (place === undefined) return new Map();
    const row = Number(place);
    found.set(row, [...(found.get(row) ?? []), { pointer: rest, detail }]);
  }
  return found;
}

const encoder = /* @__PURE__ */ new TextEncoder();

function bytesOf(text: string): number {
  return encoder.encode(text).length;
}
