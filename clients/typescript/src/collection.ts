/** A collection by its name. Making the object sends no request. */

import { calibrate, encodeLabels } from "./calls/calibrating.ts";
import type { CalibrateOptions, Calibration, LabelledQuestion } from "./calls/calibrating.ts";
import { attendMany, attendOne, compare, isMany, sweep } from "./calls/asking.ts";
import type { AttendOptions, ComparedQuery, CompareOptions, Query, SweepOptions } from "./calls/asking.ts";
import type { Answer, Comparison, Swept } from "./calls/answer.ts";
import { countOf, decodeFields, encodeFields, readNothing, readWritten } from "./calls/documents.ts";
import type {
  Document,
  DocumentBody,
  DocumentField,
  DocumentInput,
  DocumentPatch,
  FindOptions,
  ManyPatch,
  Which,
  Written,
} from "./calls/documents.ts";
import { Conflict, NotFound } from "./errors.ts";
import { encodeJudgements, listFeedback } from "./calls/feedback.ts";
import type { FeedbackRecord, Judgement } from "./calls/feedback.ts";
import { fields, values } from "./calls/facts.ts";
import type { FieldFacts, FieldValue, FieldsOptions } from "./calls/facts.ts";
import type { Filter } from "./filters.ts";
import type {
  SchemaCollectionAnswer,
  SchemaCollectionChange,
  SchemaCollectionSettings,
  SchemaDocumentAnswer,
  SchemaDocumentPage,
  SchemaFeedbackDelete,
  SchemaProjectionAnswer,
  SchemaProjectionFound,
  SchemaProjectionRequest,
  SchemaReEncodeAnswer,
  SchemaReEncodeRequest,
  SchemaStoredProjection,
} from "./generated/api.ts";
import { Pages } from "./pages.ts";
import { collectionPath, documentPath } from "./calls/place.ts";
import type { Report } from "./calls/report.ts";
import { WRITE_MS } from "./wire/sending.ts";
import type { Call, How, Sender } from "./wire/sending.ts";
import { MODES, upload } from "./calls/upload.ts";
import type { OnConflict, UploadOptions } from "./calls/upload.ts";
import { FORMAT, incoming, outgoing } from "./wire/vectors.ts";
import type { VectorInput } from "./wire/vectors.ts";

/** The settings and the size of a collection. */
export type CollectionInfo = SchemaCollectionAnswer;
/** The settings of a new collection. The service chooses those left out; `encoder: null` is no encoder. */
export type CollectionSettings = SchemaCollectionSettings;
/** A job that moves a collection to another encoder, and how far it is. */
export type ReEncoding = SchemaReEncodeAnswer;
/** A projection that was stored, without its vectors, and the settings that the collection lost by it. */
export type ProjectionInfo = SchemaProjectionAnswer;
/** The map q → q + Σ (q·downᵢ)·upᵢ of the collection's queries. */
export type Projection = Omit<SchemaStoredProjection, "down" | "up"> & {
  readonly down: Float32Array[];
  readonly up: Float32Array[];
};
const PAGE = 1000;

/** A collection; `Value` is the type of the values of its documents, which is not checked. */
export class Collection<Value = unknown> {
  /** The name of the collection. */
  readonly name: string;
  readonly #sender: Sender;
  readonly #path: string;

  /** Made by `client.collection`. */
  constructor(name: string, sender: Sender) {
    this.#path = collectionPath(name);
    this.name = name;
    this.#sender = sender;
  }

  /**
   * Create the collection.
   *
   * @param options.existOk accept an existing collection with these settings, also one that an alias names
   * @throws Conflict: it exists, and `existOk` is false or its settings differ
   */
  async create(options: CollectionSettings & { readonly existOk?: boolean } = {}, how?: How): Promise<CollectionInfo> {
    const { existOk = false, ...body } = options;
    const conflict = (detail: string, requestId?: string) =>
      new Conflict(detail, { code: "collection_conflict", status: 409, requestId });
    try {
      return await this.#write("PUT", "", body, how, (info: CollectionInfo, { status, requestId }) => {
        if (typeof info.name !== "string") throw new TypeError("name");
        if (status === 201 || existOk) return info;
        throw conflict(`collection '${this.name}' is there already: say existOk: true to take it, or drop it first`, requestId);
      });
    } catch (error) {
      if (!existOk || !(error instanceof Conflict) || error.code !== "alias_conflict") throw error;
    }
    const existing = await this.info(how);
    const differing = (Object.keys(body) as (keyof CollectionSettings)[]).filter(
      (name) => body[name] !== undefined && !same(body[name], existing[name]),
    );
    if (!differing.length) return existing;
    const others = differing.join(" and another ");
    throw conflict(
      `'${this.name}' is an alias of '${existing.name}', which has another ${others}: leave these settings out, or choose another name`,
    );
  }

  /** Change the defaults of questions; all other settings are fixed. */
  change(settings: SchemaCollectionChange, how?: How): Promise<CollectionInfo> {
    return this.#write("PATCH", "", settings, how);
  }

  /**
   * Move the collection to another encoder, in the background, while it is read and written.
   *
   * Answers have the vectors until now, until all documents are done; a calibration does not survive. `re_encode` of
   * `info()` says how far it is.
   *
   * @throws Conflict: a job of the collection has not ended
   */
  reEncode(encoder: string, options: Omit<SchemaReEncodeRequest, "encoder"> = {}, how?: How): Promise<ReEncoding> {
    return this.#write("POST", "/re-encode", { encoder, ...options }, how);
  }

  /** Cancel the move of the collection to another encoder; the collection stays as it is. */
  cancelReEncoding(how?: How): Promise<ReEncoding> {
    return this.#write("DELETE", "/re-encode", undefined, how);
  }

  /**
   * Store a map of all queries of the collection, in place of an older one; a calibration is dropped.
   *
   * `softkv train` makes such a map of labelled pairs. `change({ projection: null })` removes it.
   *
   * @param down the directions that are read from a query
   * @param up what each of them adds
   * @throws Conflict: the collection has another encoder, or was changed meanwhile
   */
  putProjection(
    down: readonly VectorInput[],
    up: readonly VectorInput[],
    options: Omit<SchemaProjectionRequest, "down" | "up"> = {},
    how?: How,
  ): Promise<ProjectionInfo> {
    const vectors = {
      down: down.map((vector, i) => outgoing(vector, `/down/${i}`)),
      up: up.map((vector, i) => outgoing(vector, `/up/${i}`)),
    };
    return this.#write("PUT", "/projection", { ...vectors, ...options }, how);
  }

  /** Return the map of the collection's queries; null without one. */
  async projection(how?: How): Promise<Projection | null> {
    const path = `${this.#path}/projection?${new URLSearchParams(FORMAT)}`;
    const { projection } = await this.#sender.get<SchemaProjectionFound>(path, how);
    return projection && { ...projection, down: projection.down.map(incoming), up: projection.up.map(incoming) };
  }

  /** Return the settings and the size of the collection. */
  info(how?: How): Promise<CollectionInfo> {
    return this.#sender.get(this.#path, how);
  }

  /** Delete the collection and its documents. */
  drop(how?: How): Promise<void> {
    return this.#write("DELETE", "", undefined, how, readNothing);
  }

  /**
   * Attend to every document that passes the filter.
   *
   * @param query a text, a vector or a list of parts, for one answer; or an array of them, for an array of answers in
   *   this order, which is sent in several requests
   */
  attend(queries: readonly Query[], options?: AttendOptions, how?: How): Promise<Answer<Value>[]>;
  attend(query: Query, options?: AttendOptions, how?: How): Promise<Answer<Value>>;
  async attend(query: Query | readonly Query[], options: AttendOptions = {}, how?: How): Promise<unknown> {
    if (isMany(query)) return attendMany<Value>(this.#sender, this.#path, query, options, how);
    return attendOne<Value>(this.#sender, this.#path, query, options, how);
  }

  /** Ask one question at many temperatures; the service reads the keys once. */
  async sweep(
    query: Query,
    temperatures: Iterable<number>,
    options: SweepOptions = {},
    how?: How,
  ): Promise<Swept<Value>> {
    return sweep(this.#sender, this.#path, query, temperatures, options, how);
  }

  /** Ask in four ways: SQL's `=`, SQL's full text, the nearest documents, and attention. */
  compare(query: ComparedQuery, options: CompareOptions = {}, how?: How): Promise<Comparison<Value>> {
    return compare(this.#sender, this.#path, { query, ...options }, how);
  }

  /** Calibrate the collection with at least 30 labelled questions; `apply` stores the result if it is an improvement. */
  async calibrate(
    questions: Iterable<LabelledQuestion>,
    options: CalibrateOptions = {},
    how?: How,
  ): Promise<Calibration> {
    return calibrate(this.#sender, this.#path, { ...encodeLabels(questions), ...options }, how);
  }

  /** Calibrate the collection with questions that follow from its feedback. */
  calibrateFrom(source: "feedback", options: CalibrateOptions = {}, how?: How): Promise<Calibration> {
    return calibrate(this.#sender, this.#path, { from: source, ...options }, how);
  }

  /** Say whether documents answer questions; return the number of records stored, without those of missing documents. */
  async giveFeedback(judgements: Iterable<Judgement>, how?: How): Promise<number> {
    return this.#write("POST", "/feedback", encodeJudgements(judgements), how, (content) => countOf(content, "kept"));
  }

  /** Return what was said of answers, the oldest first, over all pages; needs a key with write access. */
  feedback(options: { readonly page?: number } = {}, how?: How): Pages<FeedbackRecord> {
    return listFeedback(this.#sender, this.#path, options.page ?? PAGE, how);
  }

  /** Delete records of feedback by their numbers, or all; return their number. */
  deleteFeedback(which: SchemaFeedbackDelete, how?: How): Promise<number> {
    return this.#write("POST", "/feedback/delete", which, how, (content) => countOf(content, "deleted"));
  }

  /** Write one document, which replaces one with the same id. */
  async put(id: string, body: DocumentBody<Value>, how?: How): Promise<Written> {
    return this.#write("PUT", documentPath(id), encodeFields(body), how, readWritten);
  }

  /**
   * Change fields of one document: objects merge, null removes, and changed texts are encoded again.
   *
   * @throws NotFound: the document does not exist
   */
  async patch(id: string, changes: DocumentPatch<Value>, how?: How): Promise<Written> {
    return this.#write("PATCH", documentPath(id), encodeFields(changes), how, readWritten);
  }

  /**
   * Return one document, with its key, value and metadata, or the fields of `include`, which may be none.
   *
   * @throws NotFound: the document does not exist
   */
  async get(id: string, options: { include?: readonly DocumentField[] } = {}, how?: How): Promise<Document<Value>> {
    const query = new URLSearchParams(FORMAT);
    const fields = options.include ?? [];
    // A URL cannot say an empty list: one field is read then, and left out.
    const ignored: readonly DocumentField[] = options.include?.length === 0 ? ["metadata"] : [];
    for (const field of [...fields, ...ignored]) query.append("include", field);
    const path = `${this.#path}${documentPath(id)}?${query}`;
    return this.#sender.get(path, how, (document: SchemaDocumentAnswer) => {
      const named = Object.entries(document).filter(([name]) => !(ignored as readonly string[]).includes(name));
      return decodeFields<Document<Value>>(Object.fromEntries(named));
    });
  }

  /** Return the documents of these ids, in this order; undefined for a missing one. */
  async getMany(
    ids: readonly string[],
    options: { include?: readonly DocumentField[] } = {},
    how?: How,
  ): Promise<(Document<Value> | undefined)[]> {
    const documents = new Map<string, Document<Value>>();
    for (let begin = 0; begin < ids.length; begin += PAGE) {
      const part = [...new Set(ids.slice(begin, begin + PAGE))];
      const { items } = await this.#page({ ids: part, ...options, limit: part.length }, how);
      for (const document of items) documents.set(document.id, document);
    }
    return ids.map((id) => documents.get(id));
  }

  /** Return whether a document with this id exists. */
  async exists(id: string, how?: How): Promise<boolean> {
    try {
      await this.get(id, { include: ["metadata"] }, how);
      return true;
    } catch (error) {
      if (error instanceof NotFound && error.code === "document_not_found") return false;
      throw error;
    }
  }

  /** Return the documents that pass, in the order of their ids or of a metadata field, over all pages. */
  find(options: FindOptions = {}, how?: How): Pages<Document<Value>> {
    const { page: limit = PAGE, include, order_by, ...which } = options;
    return new Pages({
      ask: (cursor, count) => this.#page({ ...which, include, order_by, limit: count, cursor }, how),
      limit,
      count: () => this.#count(which, how),
    });
  }

  /** Return the number of documents that pass. */
  count(options: { readonly filter?: Filter | undefined } = {}, how?: How): Promise<number> {
    return this.#count(options, how);
  }

  /**
   * Delete one document.
   *
   * @throws NotFound: the document does not exist; `delete` ignores that
   */
  async remove(id: string, how?: How): Promise<void> {
    return this.#write("DELETE", documentPath(id), undefined, how, readNothing);
  }

  /** Delete documents; return their number. */
  delete(which: Which, how?: How): Promise<number> {
    return this.#write("POST", "/documents/delete", which, how, (content) => countOf(content, "deleted"));
  }

  /** Merge one change into documents in one transaction; return their number. null removes a field. */
  update(which: Which, patch: ManyPatch, how?: How): Promise<number> {
    return this.#write("POST", "/documents/update", { ...which, patch }, how, (content) => countOf(content, "updated"));
  }

  /**
   * Write documents in one transaction, all of them or none.
   *
   * @param options.onConflict for an existing id: the document is replaced or skipped, or everything fails
   * @param options.delete the ids of documents that these ones supersede; the same transaction deletes them
   * @throws Conflict: an id exists, with `onConflict: "fail"`
   * @throws TooLarge: the documents exceed the limit of a request; `upsert` takes any number
   */
  async write(
    documents: Iterable<DocumentInput<Value>>,
    { onConflict = "replace", delete: ids }: { readonly onConflict?: OnConflict; readonly delete?: readonly string[] } = {},
    how?: How,
  ): Promise<Written> {
    const sent = Array.from(documents, (document, position) => encodeFields(document, `/documents/${position}`));
    return this.#write("POST", "/documents", { documents: sent, mode: MODES[onConflict], ...(ids?.length && { delete: ids }) }, how, readWritten);
  }

  /**
   * Write any number of rows, in batches of a thousand. An invalid row does not affect others.
   *
   * Rows are read while they are sent, so that a generator of any length takes little memory.
   *
   * @returns the report: the number of documents written, and the refused rows with their positions and reasons
   * @throws SoftkvError: an error ended the upload early; its `report` has the progress
   */
  upsert(
    rows: Iterable<DocumentInput<Value>> | AsyncIterable<DocumentInput<Value>>,
    options: UploadOptions = {},
    how?: How,
  ): Promise<Report> {
    return upload(this.#sender, `${this.#path}/documents`, rows, options, how);
  }

  /** Return facts about the fields of the metadata, by which documents can be filtered. */
  fields(options: FieldsOptions = {}, how?: How): Promise<Record<string, FieldFacts>> {
    return fields(this.#sender, this.#path, options, how);
  }

  /** Return the distinct values of one field with their numbers of documents, the most frequent first. */
  values(field: string, { filter }: { readonly filter?: Filter | undefined } = {}, how?: How): Pages<FieldValue> {
    return values(this.#sender, this.#path, field, filter, how);
  }

  #write<T>(method: string, below: string, body: unknown, how?: How, read?: Call<T>["read"]): Promise<T> {
    return this.#sender.send({ method, path: this.#path + below, body, read, once: true, limit: WRITE_MS }, how);
  }

  #page(body: object, how?: How) {
    return this.#sender.ask(
      `${this.#path}/documents/query`,
      { ...body, ...FORMAT },
      how,
      (page: SchemaDocumentPage) => ({
        items: page.documents.map((document: SchemaDocumentAnswer) => decodeFields<Document<Value>>(document)),
        next_cursor: page.next_cursor,
        ...(page.warnings && { warnings: page.warnings }),
      }),
    );
  }

  #count(which: object, how?: How): Promise<number> {
    const body = { ...which, limit: 0, count: true };
    return this.#sender.ask(`${this.#path}/documents/query`, body, how, (page) => countOf(page, "count"));
  }
}

/** Whether two values of JSON are equal, in any order of their fields. */
function same(one: unknown, other: unknown): boolean {
  if (typeof one !== "object" || one === null || typeof other !== "object" || other === null) return one === other;
  const fields = new Map(Object.entries(other));
  const named = Object.entries(one);
  return named.length === fields.size && named.every(([name, value]) => fields.has(name) && same(value, fields.get(name)));
}
