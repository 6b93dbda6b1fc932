/** Documents in requests and in answers. */

import type { Filter } from "../filters.ts";
import type {
  SchemaDocumentAnswer,
  SchemaDocumentBody,
  SchemaDocumentPatch,
  SchemaDocumentQuery,
  SchemaUpserted,
  SchemaValuePatch,
} from "../generated/api.ts";
import { incoming, outgoing } from "../wire/vectors.ts";
import type { VectorInput } from "../wire/vectors.ts";

type Vectors = "key_vector" | "key_vectors" | "value_vector";
type Given = "value" | "expires" | Vectors;
type OrNull<Kind, Null> = Kind | Null | undefined;

interface Fields<Value, Null> {
  /** The content of the document, any JSON; left out, the key text. */
  readonly value?: Value | undefined;
  /** The vector that queries are compared with; left out, it is encoded from the key. */
  readonly key_vector?: OrNull<VectorInput, Null>;
  /** Several keys, instead of `key_vector`. */
  readonly key_vectors?: OrNull<readonly VectorInput[], Null>;
  /** The vector that the `output` of an answer blends. */
  readonly value_vector?: OrNull<VectorInput, Null>;
  /**
   * The instant from which on the document is absent: a Date, a text of RFC 3339, seconds since 1970, or a time from now
   * on such as "30d". Null is never.
   */
  readonly expires?: Date | string | number | null | undefined;
}

/** A document to write, without its id. */
export type DocumentBody<Value = unknown> = Omit<SchemaDocumentBody, Given> & Fields<Value, never>;

/** A document to write. */
export type DocumentInput<Value = unknown> = DocumentBody<Value> & { readonly id: string };

/** A change of a document: objects merge, null removes. */
export type DocumentPatch<Value = unknown> = Omit<SchemaDocumentPatch, Given> &
  Fields<Value | Partial<Value> | null, null>;

/** A change of many documents: objects merge, null removes. */
export type ManyPatch = Omit<SchemaValuePatch, "expires"> & Pick<Fields<unknown, null>, "expires">;

/** A document of an answer, with `value` unless `include` leaves it out, and with vectors if it lists them. */
export type Document<Value = unknown> = Omit<SchemaDocumentAnswer, "value" | Vectors> & {
  readonly value: Value;
  readonly key_vector?: Float32Array | null;
  readonly key_vectors?: Float32Array[];
  readonly value_vector?: Float32Array | null;
};

/** The fields of a document that can be requested. */
export type DocumentField = NonNullable<SchemaDocumentQuery["include"]>[number];
/** The result of a write. */
export type Written = Required<SchemaUpserted>;
/** A selection of documents: by their ids, of which unknown ones are ignored, or all that pass a filter. */
export type Which =
  { readonly ids: readonly string[]; readonly filter?: never } | { readonly filter: Filter; readonly ids?: never };
/** The documents to read, and their fields. */
export interface FindOptions {
  readonly filter?: Filter | undefined;
  readonly ids?: readonly string[] | undefined;
  readonly include?: readonly DocumentField[] | undefined;
  /** The metadata field by which the documents are ordered; their ids if left out. */
  readonly order_by?: SchemaDocumentQuery["order_by"] | undefined;
  /** The number of documents per page. */
  readonly page?: number | undefined;
}

/** An object with the vectors of a document on the wire. */
interface WithVectors {
  readonly key_vector?: SchemaDocumentAnswer["key_vector"];
  readonly key_vectors?: SchemaDocumentAnswer["key_vectors"];
  readonly value_vector?: SchemaDocumentAnswer["value_vector"];
}

/** Convert fields from the wire, with vectors as float32. */
export function decodeFields<Result>(document: WithVectors): Result {
  const fields: Record<string, unknown> = { ...document };
  for (const name of ["key_vector", "value_vector"] as const) {
    const vector = document[name];
    if (vector) fields[name] = incoming(vector);
  }
  if (document.key_vectors) fields["key_vectors"] = document.key_vectors.map(incoming);
  return fields as Result;
}

/**
 * Convert the fields of a document for the wire.
 *
 * @param pointer the position of the document in the request
 * @throws Invalid: one of its vectors is invalid
 */
export function encodeFields(document: Fields<unknown, null>, pointer = ""): Record<string, unknown> {
  const fields: Record<string, unknown> = { ...document };
  for (const name of ["key_vector", "value_vector"] as const) {
    const vector = document[name];
    if (vector) fields[name] = outgoing(vector, `${pointer}/${name}`);
  }
  if (document.key_vectors) {
    fields["key_vectors"] = document.key_vectors.map((vector, index) => outgoing(vector, `${pointer}/key_vectors/${index}`));
  }
  return fields;
}

/** Convert the result of a write from the wire. */
export function readWritten(content: SchemaUpserted): Written {
  const { skipped = [], deleted = 0, truncated } = content;
  return { upserted: countOf(content, "upserted"), skipped, deleted, truncated };
}

/** Return a count in an answer; a TypeError, by which the answer is not softkv's, if it is missing. */
export function countOf<Name extends string>(content: Readonly<Partial<Record<Name, number>>>, name: Name): number {
  const count = content[name];
  if (typeof count !== "number") throw new TypeError(name);
  return count;
}

/** Check that an answer has no content, as that of a service to the deletion of one thing. */
export function readNothing(content: unknown): void {
  if (content !== null) throw new TypeError("content");
}
