/** Facts on the fields of the metadata: what can be filtered by. */

import { fieldName } from "../filters.ts";
import type { Filter } from "../filters.ts";
import type { SchemaFieldFacts, SchemaFieldValue, SchemaFieldsAnswer } from "../generated/api.ts";
import { Pages } from "../pages.ts";
import type { How, Sender } from "../wire/sending.ts";

/** Facts on a field: its types, how many documents have it, its least and greatest value. */
export type FieldFacts = SchemaFieldFacts;

/** A value of a field, and how many documents have it. */
export type FieldValue = SchemaFieldValue;

/** Which fields are asked for, and what of them. */
export interface FieldsOptions {
  /** Only these; left out, all that a document which passes has. */
  readonly fields?: readonly string[] | undefined;
  readonly filter?: Filter | undefined;
  /** The values too, those of most documents first. */
  readonly values?: boolean | undefined;
  /** How many of them a field; `values(field)` goes through all of them. */
  readonly limit?: number | undefined;
}

const VALUES_AT_ONCE = 1000;

/** Facts on the fields by their names. */
export async function fields(
  sender: Sender,
  path: string,
  options: FieldsOptions,
  how?: How,
): Promise<Record<string, FieldFacts>> {
  const found: Record<string, FieldFacts> = {};
  const asked = { ...options, fields: options.fields?.map(fieldName) };
  let cursor: string | null | undefined;
  do {
    const page: SchemaFieldsAnswer = await ask(sender, path, { ...asked, cursor }, how);
    Object.assign(found, page.fields);
    cursor = page.next_cursor;
  } while (cursor !== null);
  return found;
}

/** The distinct values of one field. */
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
      const found = await facts({ values: true, limit, cursor });
      return { items: found.values ?? [], next_cursor: found.next_cursor };
    },
    limit: VALUES_AT_ONCE,
    count: async () => (await facts({})).distinct,
  });
}

function ask(sender: Sender, path: string, body: object, how?: How): Promise<SchemaFieldsAnswer> {
  return sender.ask(`${path}/documents/fields`, body, how);
}
