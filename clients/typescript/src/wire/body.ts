/** Request bodies. */

import { invalidContent } from "../problems.ts";

/** A serialised body with its content type. */
export class Written {
  readonly content: string | Blob;
  readonly type: string;

  constructor(content: string | Blob, type: string) {
    this.content = content;
    this.type = type;
  }
}

/** The content type of most bodies. */
export const JSON_TYPE = "application/json";

/** Integers from here on are written with an exponent, as floats. */
const WITH_EXPONENT = 1e21;

/**
 * Return a value as JSON. Undefined fields are left out, and typed arrays become lists.
 *
 * @throws Invalid: the value cannot be expressed in JSON without loss
 */
export function json(content: unknown): string {
  try {
    return JSON.stringify(content, plain) ?? "null";
  } catch (error) {
    if (error instanceof Unwritable) throw invalidContent(pointerTo(error.value, content) ?? "", error.message);
    if (error instanceof TypeError) throw invalidContent("", `wanted JSON: ${error.message}`); // a circle
    throw error;
  }
}

/** JSON with the text of numbers that a number here cannot hold, in runtimes that have it (ES2026). */
const Exact = JSON as typeof JSON & { rawJSON?: (text: string) => unknown };

/**
 * Parse JSON without a loss: a whole number beyond 2^53 keeps its digits when it is written again, as by `upsert`.
 *
 * In a runtime without `JSON.rawJSON`, it becomes a text.
 *
 * @throws SyntaxError: the text is not JSON
 */
export function parseExactly(text: string): unknown {
  const revive = (_name: string, value: unknown, context?: { readonly source?: string }) => {
    if (typeof value !== "number" || Number.isSafeInteger(value) || !/^-?\d+$/.test(context?.source ?? "")) return value;
    return exactInteger(context?.source ?? "");
  };
  return JSON.parse(text, revive as (name: string, value: unknown) => unknown);
}

/** Return a whole number of any length, in digits, as a value that JSON.stringify writes exactly; else a text. */
export function exactInteger(digits: string): unknown {
  if (Number.isSafeInteger(Number(digits))) return Number(digits);
  return Exact.rawJSON ? Exact.rawJSON(digits) : digits;
}

/** A value that JSON has not, or only with loss. */
class Unwritable extends Error {
  readonly value: unknown;

  constructor(value: unknown, message: string) {
    super(message);
    this.value = value;
  }
}

/** Refuses what JSON would change. JSON.stringify gives the value after its toJSON; `this` has it as it was. */
function plain(this: Record<string, unknown>, name: string, value: unknown): unknown {
  if (isInvalidDate(this[name])) throw new Unwritable(this[name], INVALID_DATE);
  const problem = problemOf(value);
  if (problem) throw new Unwritable(value, problem);
  return ArrayBuffer.isView(value) && !(value instanceof DataView) ? Array.from(value as Float64Array) : value;
}

export const INVALID_DATE = "wanted a date, got an invalid Date: send null, or leave the field out";

/** Return whether a value is a Date without a time, which JSON would make null. */
export function isInvalidDate(value: unknown): boolean {
  return value instanceof Date && Number.isNaN(value.getTime());
}

/** Return why JSON cannot have a value; undefined if it can. */
function problemOf(value: unknown): string | undefined {
  switch (typeof value) {
    case "number":
      if (!Number.isFinite(value)) return `wanted JSON, which has no NaN and no Infinity, got ${value}: send null or a text`;
      if (Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value) < WITH_EXPONENT) {
        return `wanted integers up to 2^53 - 1, got ${value}, which may have lost digits: send it as text`;
      }
      return undefined;
    case "bigint":
      return `wanted JSON, got the BigInt ${value}: send it as text, or as Number(…) up to 2^53 - 1`;
    case "function":
    case "symbol":
      return `wanted JSON, got a ${typeof value}: leave it out`;
    default:
      if (value instanceof Map) return "wanted JSON, got a Map: send Object.fromEntries(map)";
      return value instanceof Set ? "wanted JSON, got a Set: send an array, [...set]" : undefined;
  }
}

/** Return the JSON pointer of a value within another; undefined if it is not there. */
function pointerTo(value: unknown, within: unknown): string | undefined {
  if (Object.is(within, value)) return "";
  if (typeof within !== "object" || within === null) return undefined;
  for (const [name, below] of Object.entries(within)) {
    const pointer = pointerTo(value, below);
    if (pointer !== undefined) return `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}${pointer}`;
  }
  return undefined;
}
