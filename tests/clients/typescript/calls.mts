// Calls of the API as TypeScript types them: each compiles, or does not where an error is expected.
import type {
  SchemaDocument, SchemaEncodeLine, SchemaFilter, SchemaProblemCode, SchemaUploadLine, paths,
} from "../../../clients/typescript/src/generated/api.ts";

type Calls = { [path in keyof paths]: { [method in keyof paths[path]]: paths[path][method] } };
type Json<Call, Part extends string> = Call extends { [part in Part]: { content: { "application/json": infer Body } } }
  ? Body
  : never;
type Sent<Path extends keyof Calls, Method extends keyof Calls[Path]> =
  Calls[Path][Method] extends { requestBody: infer Body } ? Json<{ body: Body }, "body"> : never;
type Answered<Path extends keyof Calls, Method extends keyof Calls[Path]> =
  Calls[Path][Method] extends { responses: infer Statuses } ? Statuses extends { 200: infer Answer }
    ? Json<{ 200: Answer }, "200"> : never : never;

type Attend = Sent<"/v1/collections/{name}/attend", "post">;
type Documents = "/v1/collections/{name}/documents";

const alone: Attend = { query: "pets that purr" };
const vector: Attend = { query: [0.1, 0.2], top_k: 3, temperature: "auto", null: false, include: ["output"] };
const several: Attend = { queries: ["cats", { base64: "AACAPw==" }], vector_format: "base64" };
// @ts-expect-error: what is to be left out is left out
const nothing: Attend = { query: "cats", temperature: null };
const bare: Attend = { query: "cats", filter: null, bias: null, full_text: null, top_k: null, include: null };
// @ts-expect-error: there is no such field
const misspelled: Attend = { query: "cats", topK: 3 };

const filters: SchemaFilter[] = [
  { field: "metadata.shelf", operator: "==", value: null },
  { field: "metadata.topics", operator: "!=", value: ["a", "list", 1, true] },
  { field: "metadata.year", operator: ">=", value: 2000 },
  { field: "id", operator: "in", value: ["qa76", "qa77"] },
  { field: "metadata.written", operator: ">", value: { datetime: "now-7d" } },
  { field: "key", operator: "contains", value: "sql", ignore_case: true },
  { operator: "NOT", conditions: [{ operator: "OR", conditions: [] }, { field: "id", operator: "<", value: "b" }] },
];
// @ts-expect-error: nothing is above a list
const above: SchemaFilter = { field: "metadata.year", operator: ">", value: [2000] };
// @ts-expect-error: a list is wanted
const among: SchemaFilter = { field: "id", operator: "in", value: "qa76" };
// @ts-expect-error: only contains ignores case
const caseless: SchemaFilter = { field: "key", operator: "==", value: "sql", ignore_case: true };
const filtered: Attend = { query: "cats", filter: { operator: "AND", conditions: filters } };

const document: SchemaDocument = { id: "qa76", key: "relational databases", value: { any: ["json"] }, metadata: { year: 1 } };
const upsert: Sent<Documents, "post"> = { documents: [document, { id: "a", key_vector: [1, 0] }], mode: "skip" };
const update: Sent<`${Documents}/update`, "post"> = { ids: ["qa76"], patch: { metadata: { year: null }, value: "new" } };
// @ts-expect-error: how?
const unchanged: Sent<`${Documents}/update`, "post"> = { ids: ["qa76"] };
const remove: Sent<`${Documents}/delete`, "post"> = { filter: { field: "metadata.year", operator: "<", value: 1950 } };
const long: Sent<Documents, "post"> = {
  documents: [{ id: "essay", key: "a long text", split: { tokens: 128 } }, { id: "two", key_vectors: [[1, 0], [0, 1]] }, { id: "none" }],
};
const patch: Sent<`${Documents}/{id}`, "patch"> = { key: null, metadata: null };
const fields: Sent<`${Documents}/fields`, "post"> = { fields: ["metadata.year"], values: true };
const sweep: Sent<"/v1/collections/{name}/sweep", "post"> = { query: "cats", temperatures: [0, 0.05, 1] };
const compare: Sent<"/v1/collections/{name}/compare", "post"> = { query: "cats" };
const calibrate: Sent<"/v1/collections/{name}/calibrate", "post"> = { questions: [{ query: "cats", id: null }], apply: true };
const encode: Sent<"/v1/encode", "post"> = { texts: ["cats"], purpose: "query" };
const collection: Sent<"/v1/collections/{name}", "put"> = { encoder: null, dimension: 2 };

/** An answer to one query or to several: which, its fields say. */
export function weights(answer: Answered<"/v1/collections/{name}/attend", "post">): number[][] {
  const answers = "matches" in answer ? [answer] : answer.results;
  return answers.map((each) => each.matches.map((match) => match.weight));
}

/** A key is a text, null where the document has none, absent where nobody asked for it. */
export function key(answer: Answered<`${Documents}/{id}`, "get">): string | null | undefined {
  const year: unknown = answer.metadata?.["year"];
  return year === 1 ? answer.value === 1 ? "" : null : answer.key;
}

/** Lines of streams are told apart by their fields, too. */
export function written(line: SchemaUploadLine): number {
  return "done" in line ? (line.problem?.status ?? line.refused) : line.refused.length;
}
export function encoded(line: SchemaEncodeLine): number {
  return "done" in line ? line.encoded : line.index;
}

/** Every code there is: one that is added does not compile until it is here. */
export function again(code: SchemaProblemCode): boolean {
  switch (code) {
    case "document_changed":
    case "queue_full":
    case "encoder_unavailable":
    case "collection_loading":
    case "shards_missing":
    case "store_unavailable":
    case "lab_busy":
    case "listeners_full":
    case "rooms_full":
    case "database_busy":
    case "out_of_memory":
    case "stopping":
    case "too_slow":
    case "connections_full":
    case "out_of_descriptors":
      return true;
    case "malformed_request":
    case "head_too_large":
    case "malformed_path":
    case "ambiguous_length":
    case "malformed_host":
    case "malformed_json":
    case "bad_request":
    case "key_refused":
    case "forbidden":
    case "host_refused":
    case "origin_refused":
    case "not_found":
    case "collection_not_found":
    case "document_not_found":
    case "model_not_found":
    case "method_not_allowed":
    case "collection_conflict":
    case "alias_not_found":
    case "alias_conflict":
    case "encoder_missing":
    case "re_encoding_active":
    case "re_encoding_not_found":
    case "re_encoding_over":
    case "documents_exist":
    case "length_required":
    case "body_too_large":
    case "too_much":
    case "unsupported_media_type":
    case "invalid_content":
    case "nothing_to_read":
    case "idempotency_key_reused":
    case "untraceable":
    case "internal_error":
    case "collection_damaged":
    case "document_damaged":
    case "database_damaged":
    case "storage_failed":
    case "library_missing":
    case "mcp_missing":
    case "backup_elsewhere":
    case "disk_full":
    case "lab_closed":
    case "outside_filter":
    case "quota_exceeded":
    case "access_log_unwritable":
    case "model_not_trained":
    case "training_failed":
    case "not_presenter":
    case "room_not_found":
    case "room_over":
    case "room_row_not_found":
    case "room_taken":
    case "room_full":
    case "question_over":
      return false;
    default: {
      const more: never = code;
      return more;
    }
  }
}
// @ts-expect-error: there is no such code
again("teapot");

export default [
  alone, vector, several, nothing, misspelled, above, among, caseless, filtered, upsert, long, update,
  bare, unchanged, remove, patch, fields, sweep, compare, calibrate, encode, collection,
];
