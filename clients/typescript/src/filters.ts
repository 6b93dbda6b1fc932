/** Filters in the form of the wire, and functions that build them. */

import type {
  SchemaCombination,
  SchemaContainment,
  SchemaEquality,
  SchemaFilter,
  SchemaMembership,
  SchemaOrdering,
} from "./generated/api.ts";

/** A condition on documents: a plain object in the form of the wire. */
export type Filter = SchemaFilter;

/**
 * Return the comparison of a field with a value: `F("year", ">=", 1930)`, `F("topics", "contains", "animals")`.
 *
 * `id` and `key` belong to the document itself; every other name is of its metadata, with or without `metadata.`.
 * `metadata.id` is a field of the metadata called `id`, and `loc.page` is `page` in the object `loc`.
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

/** Return the condition that all of these hold. Without conditions, everything passes. */
export function and(...conditions: Filter[]): SchemaCombination {
  return { operator: "AND", conditions };
}

/** Return the condition that at least one of these holds. */
export function or(...conditions: Filter[]): SchemaCombination {
  return { operator: "OR", conditions };
}

/** Return the condition that not all of these hold. */
export function not(...conditions: Filter[]): SchemaCombination {
  return { operator: "NOT", conditions };
}

/** Return the name of a field on the wire. */
export function fieldName(field: string): string {
  return field === "id" || field === "key" || field.startsWith("metadata.") ? field : `metadata.${field}`;
}
