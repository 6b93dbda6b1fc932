/** Facts about the fields of the metadata, by which documents can be filtered. */

import { fieldName } from "../filters.ts";
import type { Filter } from "../filters.ts";
import type { SchemaFieldFacts, SchemaFieldValue, SchemaFieldsAnswer } from "../generated/api.ts";
import { Pages } from "../pages.ts";
import type { How, Sender } from "../wire/sending.ts";

/** Facts about a field: its types, its number of documents, its smallest and largest value. */
export type FieldFacts = SchemaFieldFacts;

/** A value of a field, and the number of documents that have it. */
export type FieldValue = SchemaFieldValue;

/** The requested fields and facts. */
export interface FieldsOptions {
  /** Only these fields; left out, all fields of the documents that pass. */
  readonly fields?: readonly string[] | undefined;
  readonly filter?: Filter | undefined;
  /** Whether to return the values too, the most frequent first. */
  readonly values?: boolean | undefined;
  /** The maximum number of values of each field; `values(field)` yields all of them. */
  readonly limit?: number | undefined;
}

const VALUES_AT_ONCE = 1000;

/** Return facts about fields by their names. */
export async function fields(
  sender: Sender,
  path: string,
  options: FieldsOptions,
  how?: How,
): Promise<Record<string, FieldFacts>> {
  const facts: Record<string, FieldFacts> = {};
  const body = { ...options, fields: options.fields?.map(fieldName) };
  let cursor: string | null | undefined;
  do {
    const page: SchemaFieldsAnswer = await ask(sender, path, { ...body, cursor }, how);
    Object.assign(facts, page.fields);
    cursor = page.next_cursor;
  } while (cursor !== null);
  return facts;
}

/** Return the distinct values of one field. */
export function values(
  sender: Sender,
  path: string,
  field: string,
  filter: Filter | undefined,
  how?: How,
): Pages<FieldValue> {
  const name = fieldName(field);
  const facts = async (more: object) => {
    const answer = await ask(sender, path, { fields: [name], filter, ...more }, how);
    return answer.fields[name] as FieldFacts;
  };
  return new Pages({
    ask: async (cursor, limit) => {
      const field = await facts({ values: true, limit, cursor });
      return { items: field.values ?? [], next_cursor: field.next_cursor };
    },
    limit: VALUES_AT_ONCE,
    count: async () => (await facts({})).distinct,
  });
}

function ask(sender: Sender, path: string, body: object, how?: How): Promise<SchemaFieldsAnswer> {
  return sender.ask(`${path}/documents/fields`, body, how);
}
