/** Filters as the service reads them, and short ways to write them. */

import type {
  SchemaCombination,
  SchemaContainment,
  SchemaEquality,
  SchemaFilter,
  SchemaMembership,
  SchemaOrdering,
} from "./generated/api.ts";

/** A condition that a document passes or not: a plain object, as the wire has it. */
export type Filter = SchemaFilter;

/**
 * One field compared with a value: `F("year", ">=", 1930)`, `F("topics", "contains", "animals")`.
 *
 * `id` and `key` are the document's own; every other name is of its metadata, with `metadata.` before it or without.
 * `metadata.id` is a field that somebody called so, and `loc.page` is `page` in the object `loc`.
 */
export function F(field: string, operator: "==" | "!=", value: SchemaEquality["value"]): SchemaEquality;
export function F(field: string, operator: ">" | ">=" | "<" | "<=", value: SchemaOrdering["value"]): SchemaOrdering;
export function F(field: string, operator: "in" | "not in", value: SchemaMembership["value"]): SchemaMembership;
export function F(
  field: string,
  operator: "contains",
  value: SchemaContainment["value"],
  how?: { readonly ignore_case?: boolean },
): SchemaContainment;
export function F(field: string, operator: string, value: unknown, how: object = {}): Filter {
  return { field: fieldName(field), operator, value, ...how } as Filter;
}

/** All of these; of none, everything passes. */
export function and(...conditions: Filter[]): SchemaCombination {
  return { operator: "AND", conditions };
}

/** At least one of these. */
export function or(...conditions: Filter[]): SchemaCombination {
  return { operator: "OR", conditions };
}

/** Not all of these. */
export function not(...conditions: Filter[]): SchemaCombination {
  return { operator: "NOT", conditions };
}

/** The name that the service knows a field by. */
export function fieldName(field: string): string {
  return field === "id" || field === "key" || field.startsWith("metadata.") ? field : `metadata.${field}`;
}
