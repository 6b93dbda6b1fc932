/** Filters in the form of the wire, and functions that build them. */

import type {
  SchemaCombination,
  SchemaContainment,
  SchemaEquality,
  SchemaFilter,
  SchemaDateTime,
  SchemaMembership,
  SchemaOrdering,
} from "./generated/api.ts";
import { invalidContent } from "./problems.ts";
import { INVALID_DATE, isInvalidDate } from "./wire/body.ts";

/** A condition on documents: a plain object in the form of the wire. */
export type Filter = SchemaFilter;

/** A number with its unit: seconds, minutes, hours, days or weeks. */
export type Duration = `${number}${"s" | "m" | "h" | "d" | "w"}`;

/**
 * Return the comparison of a field with a value: `F("year", ">=", 1930)`, `F("topics", "contains", "animals")`.
 *
 * A `Date`, and an object such as `{ datetime: "now-7d" }`, is an instant: the service compares it with the field's
 * ISO 8601 texts, whatever their zone.
 *
 * `id` and `key` belong to the document itself; every other name is of its metadata, with or without `metadata.`.
 * `metadata.id` is a field of the metadata called `id`, and `loc.page` is `page` in the object `loc`.
 */
export function F(field: string, operator: "==" | "!=", value: SchemaEquality["value"] | Date): SchemaEquality;
export function F(
  field: string,
  operator: ">" | ">=" | "<" | "<=",
  value: SchemaOrdering["value"] | Date,
): SchemaOrdering;
export function F(
  field: string,
  operator: "in" | "not in",
  value: readonly (SchemaMembership["value"][number] | Date)[],
): SchemaMembership;
export function F(
  field: string,
  operator: "contains",
  value: SchemaContainment["value"],
  how?: { readonly ignore_case?: boolean },
): SchemaContainment;
export function F(field: string, operator: string, value: unknown, how: object = {}): Filter {
  return { field: fieldName(field), operator, value: operand(value), ...how } as Filter;
}

/**
 * Return an instant before the start of the request: `F("written", ">", ago("7d"))`.
 *
 * @throws RangeError if the text is not a number with a unit.
 */
export function ago(duration: Duration): SchemaDateTime {
  if (!/^\d{1,12}(\.\d{1,6})?[smhdw]$/.test(duration)) {
    throw new RangeError(`Expected a duration such as "7d" or "12h", got ${JSON.stringify(duration)}.`);
  }
  return { datetime: `now-${duration}` };
}

/**
 * Return an operand with instants in place of dates.
 *
 * @throws Invalid: a date is invalid
 */
function operand(value: unknown): unknown {
  if (isInvalidDate(value)) throw invalidContent("/value", INVALID_DATE);
  if (value instanceof Date) return { datetime: value.toISOString() };
  return Array.isArray(value) ? value.map(operand) : value;
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
