/** A collection by its name; nothing is sent before something is asked of it. */

import { calibrate } from "./calls/calibrating.ts";
import type { CalibrateOptions, Calibration, LabelledQuestion } from "./calls/calibrating.ts";
import { attendMany, attendOne, attendStream, compare, isMany, sweep } from "./calls/asking.ts";
import type { AttendOptions, CompareOptions, Query, StreamedAnswer, SweepOptions } from "./calls/asking.ts";
import type { Answer, Comparison, Swept } from "./calls/answer.ts";
import { decoded, encoded, written } from "./calls/documents.ts";
import type {
  Document,
  DocumentBody,
  DocumentField,
  DocumentInput,
  DocumentPatch,
  FindOptions,
  Which,
  Written,
} from "./calls/documents.ts";
import { Conflict, NotFound } from "./errors.ts";
import { fields, values } from "./calls/facts.ts";
import type { FieldFacts, FieldValue, FieldsOptions } from "./calls/facts.ts";
import type { Filter } from "./filters.ts";
import type {
  SchemaCollectionAnswer,
  SchemaCollectionChange,
  SchemaCollectionSettings,
  SchemaDocumentAnswer,
  SchemaDocumentPage,
  SchemaValuePatch,
} from "./generated/api.ts";
import { Pages } from "./pages.ts";
import { collectionPath, documentPath } from "./calls/place.ts";
import type { Report } from "./calls/report.ts";
import { WRITE_MS } from "./wire/sending.ts";
import type { Call, How, Sender } from "./wire/sending.ts";
import { MODES, upload } from "./calls/upload.ts";
import type { OnConflict, UploadOptions } from "./calls/upload.ts";
import { FORMAT } from "./wire/vectors.ts";

/** A collection's settings, and how many documents it holds. */
export type CollectionInfo = SchemaCollectionAnswer;
/** What is left out is the service's choice, and `encoder: null` is none. */
export type CollectionSettings = SchemaCollectionSettings;
const PAGE = 1000;

/** A collection; `Value` is what its documents' values are said to be. */
export class Collection<Value = unknown> {
  /** What it is called. */
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
   * Make the collection.
   *
   * @param options.existOk take one that is there and has these settings
   * @throws Conflict: it is there, and `existOk` was not said or its settings are others
   */
  create(options: CollectionSettings & { readonly existOk?: boolean } = {}, how?: How): Promise<CollectionInfo> {
    const { existOk = false, ...body } = options;
    return this.#write("PUT", "", body, how, (info: CollectionInfo, { status, requestId }) => {
      if (status === 201 || existOk) return info;
      const detail = `collection '${this.name}' is there already: say existOk: true to take it, or drop it first`;
      throw new Conflict(detail, { code: "collection_conflict", status: 409, requestId });
    });
  }

  /** Change what its questions are asked with where they say nothing; all else is fixed. */
  change(settings: SchemaCollectionChange, how?: How): Promise<CollectionInfo> {
    return this.#write("PATCH", "", settings, how);
  }

  /** Its settings, and how many documents it holds. */
  info(how?: How): Promise<CollectionInfo> {
    return this.#sender.get(this.#path, how);
  }

  /** Delete it and its documents. */
  drop(how?: How): Promise<void> {
    return this.#write("DELETE", "", undefined, how, () => undefined);
  }

  /**
   * Give every document that passes its weight.
   *
   * @param query a text or a vector, for one answer; an array of them for an array of answers in this order, which goes
   *   to the service in parts
   */
  attend(queries: readonly Query[], options?: AttendOptions, how?: How): Promise<Answer<Value>[]>;
  attend(query: Query, options?: AttendOptions, how?: How): Promise<Answer<Value>>;
  async attend(query: Query | readonly Query[], options: AttendOptions = {}, how?: How): Promise<unknown> {
    if (isMany(query)) return attendMany<Value>(this.#sender, this.#path, query, options, how);
    return attendOne<Value>(this.#sender, this.#path, query, options, how);
  }

  /**
   * The same of one query, as answers while it is computed: of growing parts of a large collection, each with `coverage`
   * and a certificate that is true of all of it, and at last the one that `attend` gives, which is `final`. Who stops
   * listening ends it. The options are those of `attend`, but for `read`, `allow_missing`, `min_confidence` and `conformal`,
   * and for the temperature "auto".
   */
  attendStream(query: Query, options: AttendOptions = {}, how?: How): AsyncGenerator<StreamedAnswer<Value>, void, undefined> {
    return attendStream<Value>(this.#sender, this.#path, query, options, how);
  }

  /** Ask one question at many temperatures, from one reading of the keys. */
  async sweep(
    query: Query,
    temperatures: Iterable<number>,
    options: SweepOptions = {},
    how?: How,
  ): Promise<Swept<Value>> {
    return sweep(this.#sender, this.#path, query, temperatures, options, how);
  }

  /** Ask in four ways: SQL's `=`, SQL's full text, the nearest documents, and attention. */
  compare(query: string, options: CompareOptions = {}, how?: How): Promise<Comparison<Value>> {
    return compare(this.#sender, this.#path, { query, ...options }, how);
  }

  /** Fit to labelled questions, from 50 on, how sure an answer may be; `apply` keeps it, where it gains. */
  async calibrate(
    questions: Iterable<LabelledQuestion>,
    options: CalibrateOptions = {},
    how?: How,
  ): Promise<Calibration> {
    return calibrate(this.#sender, this.#path, questions, options, how);
  }

  /** Write one document, in place of what has its id. */
  async put(id: string, body: DocumentBody<Value>, how?: How): Promise<Written> {
    return this.#write("PUT", documentPath(id), encoded(body), how, written);
  }

  /**
   * Change what is given of one document: objects merge, null removes; what depends on a new text is encoded anew.
   *
   * @throws NotFound: there is no document of this id
   */
  async patch(id: string, changes: DocumentPatch<Value>, how?: How): Promise<Written> {
    return this.#write("PATCH", documentPath(id), encoded(changes), how, written);
  }

  /**
   * One document, with its key, value and metadata unless `include` says what.
   *
   * @throws NotFound: there is no document of this id
   */
  async get(id: string, options: { include?: readonly DocumentField[] } = {}, how?: How): Promise<Document<Value>> {
    const query = new URLSearchParams(FORMAT);
    for (const field of options.include ?? []) query.append("include", field);
    const path = `${this.#path}${documentPath(id)}?${query}`;
    return this.#sender.get(path, how, decoded<Document<Value>>);
  }

  /** The documents of these ids, in this order; undefined where there is none. */
  async getMany(
    ids: readonly string[],
    options: { include?: readonly DocumentField[] } = {},
    how?: How,
  ): Promise<(Document<Value> | undefined)[]> {
    const found = new Map<string, Document<Value>>();
    for (let begin = 0; begin < ids.length; begin += PAGE) {
      const part = [...new Set(ids.slice(begin, begin + PAGE))];
      const { items } = await this.#page({ ids: part, ...options, limit: part.length }, how);
      for (const each of items) found.set(each.id, each);
    }
    return ids.map((id) => found.get(id));
  }

  /** Whether there is a document of this id. */
  async exists(id: string, how?: How): Promise<boolean> {
    try {
      await this.get(id, { include: ["metadata"] }, how);
      return true;
    } catch (error) {
      if (error instanceof NotFound && error.code === "document_not_found") return false;
      throw error;
    }
  }

  /** The documents that pass, in the order of their ids, one after another over all pages. */
  find(options: FindOptions = {}, how?: How): Pages<Document<Value>> {
    const { page: limit = PAGE, include, ...which } = options;
    return new Pages({
      ask: (cursor, most) => this.#page({ ...which, include, limit: most, cursor }, how),
      limit,
      count: () => this.#count(which, how),
    });
  }

  /** How many documents pass. */
  count(options: { readonly filter?: Filter | undefined } = {}, how?: How): Promise<number> {
    return this.#count(options, how);
  }

  /**
   * Delete one document.
   *
   * @throws NotFound: there is no document of this id; `delete` is silent then
   */
  async remove(id: string, how?: How): Promise<void> {
    return this.#write("DELETE", documentPath(id), undefined, how, () => undefined);
  }

  /** Delete documents → how many there were. */
  delete(which: Which, how?: How): Promise<number> {
    return this.#write("POST", "/documents/delete", which, how, (content) => content.deleted);
  }

  /** Merge one change into documents at once → how many there were; null removes a field, what is not named stays. */
  update(which: Which, patch: SchemaValuePatch, how?: How): Promise<number> {
    return this.#write("POST", "/documents/update", { ...which, patch }, how, (content) => content.updated);
  }

  /**
   * Write documents in one transaction, all of them or none.
   *
   * @param options.onConflict what becomes of one whose id is taken: it is replaced, skipped, or everything fails
   * @throws Conflict: an id is taken, with `onConflict: "fail"`
   * @throws TooLarge: they are more than one request may bring; `upsert` takes any number
   */
  async write(
    documents: Iterable<DocumentInput<Value>>,
    { onConflict = "replace" }: { readonly onConflict?: OnConflict } = {},
    how?: How,
  ): Promise<Written> {
    const sent = Array.from(documents, (each, place) => encoded(each, `/documents/${place}`));
    return this.#write("POST", "/documents", { documents: sent, mode: MODES[onConflict] }, how, written);
  }

  /**
   * Write rows of any number, a thousand at a time, each thousand at once; a row that is wrong keeps none back.
   *
   * Rows are read as they are sent, so that a generator of any length takes little memory.
   *
   * @returns what became of them: which were refused, by their place among the rows, and why
   * @throws SoftkvError: whatever ends it early; its `report` says how far it was
   */
  upsert(
    rows: Iterable<DocumentInput<Value>> | AsyncIterable<DocumentInput<Value>>,
    options: UploadOptions = {},
    how?: How,
  ): Promise<Report> {
    return upload(this.#sender, `${this.#path}/documents`, rows, options, how);
  }

  /** What can be filtered by: facts on the fields of the metadata. */
  fields(options: FieldsOptions = {}, how?: How): Promise<Record<string, FieldFacts>> {
    return fields(this.#sender, this.#path, options, how);
  }

  /** The distinct values of one field, with how many documents have each, those of most documents first. */
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
        items: page.documents.map((each: SchemaDocumentAnswer) => decoded<Document<Value>>(each)),
        next_cursor: page.next_cursor,
      }),
    );
  }

  #count(which: object, how?: How): Promise<number> {
    const body = { ...which, limit: 0, count: true };
    return this.#sender.ask(`${this.#path}/documents/query`, body, how, (page) => page.count);
  }
}
