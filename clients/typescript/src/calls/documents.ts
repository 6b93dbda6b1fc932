/** Documents: as they are written, and as they are read back. */

import type { Filter } from "../filters.ts";
import type {
  SchemaDocumentAnswer,
  SchemaDocumentBody,
  SchemaDocumentPatch,
  SchemaDocumentQuery,
  SchemaUpserted,
} from "../generated/api.ts";
import { incoming, outgoing } from "../wire/vectors.ts";
import type { VectorInput } from "../wire/vectors.ts";

type Vectors = "key_vector" | "key_vectors" | "value_vector";
type OrNull<Kind, Null> = Kind | Null | undefined;

interface Fields<Value, Null> {
  /** What is found there, any JSON; left out, the key text. */
  readonly value?: Value | undefined;
  /** What queries are compared with; left out, it is encoded from the key. */
  readonly key_vector?: OrNull<VectorInput, Null>;
  /** Several keys, in its place. */
  readonly key_vectors?: OrNull<readonly VectorInput[], Null>;
  /** The vector that an answer's `output` blends. */
  readonly value_vector?: OrNull<VectorInput, Null>;
}

/** A document without its id, as it is written. */
export type DocumentBody<Value = unknown> = Omit<SchemaDocumentBody, "value" | Vectors> & Fields<Value, never>;

/** A document as it is written. */
export type DocumentInput<Value = unknown> = DocumentBody<Value> & { readonly id: string };

/** What of a document is changed: objects merge, null removes. */
export type DocumentPatch<Value = unknown> = Omit<SchemaDocumentPatch, "value" | Vectors> &
  Fields<Value | Partial<Value> | null, null>;

/** A document as it is read; `value` is there unless `include` left it out, vectors where it asked for them. */
export type Document<Value = unknown> = Omit<SchemaDocumentAnswer, "value" | Vectors> & {
  readonly value: Value;
  readonly key_vector?: Float32Array | null;
  readonly key_vectors?: Float32Array[];
  readonly value_vector?: Float32Array | null;
};

/** The parts of a document that can be asked for. */
export type DocumentField = NonNullable<SchemaDocumentQuery["include"]>[number];
/** What a write did. */
export type Written = Required<SchemaUpserted>;
/** Which documents: some by their ids, where unknown ones are silent, or all that pass. */
export type Which =
  { readonly ids: readonly string[]; readonly filter?: never } | { readonly filter: Filter; readonly ids?: never };
/** Which documents to read, and what of them. */
export interface FindOptions {
  readonly filter?: Filter | undefined;
  readonly ids?: readonly string[] | undefined;
  readonly include?: readonly DocumentField[] | undefined;
  /** How many come at a time. */
  readonly page?: number | undefined;
}

/** What has a document's vectors on the wire. */
interface WithVectors {
  readonly key_vector?: SchemaDocumentAnswer["key_vector"];
  readonly key_vectors?: SchemaDocumentAnswer["key_vectors"];
  readonly value_vector?: SchemaDocumentAnswer["value_vector"];
}

/** Fields from the wire, their vectors as float32. */
export function decoded<Result>(given: WithVectors): Result {
  const fields: Record<string, unknown> = { ...given };
  for (const name of ["key_vector", "value_vector"] as const) {
    const vector = given[name];
    if (vector) fields[name] = incoming(vector);
  }
  if (given.key_vectors) fields["key_vectors"] = given.key_vectors.map(incoming);
  return fields as Result;
}

/**
 * Fields of a document on their way to the service.
 *
 * @param pointer where in the request they stand
 * @throws Invalid: one of its vectors is none
 */
export function encoded(given: Fields<unknown, null>, pointer = ""): Record<string, unknown> {
  const fields: Record<string, unknown> = { ...given };
  for (const name of ["key_vector", "value_vector"] as const) {
    const vector = given[name];
    if (vector) fields[name] = outgoing(vector, `${pointer}/${name}`);
  }
  if (given.key_vectors) {
    fields["key_vectors"] = given.key_vectors.map((each, place) => outgoing(each, `${pointer}/key_vectors/${place}`));
  }
  return fields;
}

/** What a write did, from the wire. */
export function written({ upserted, skipped = [], truncated }: SchemaUpserted): Written {
  return { upserted, skipped, truncated };
}
