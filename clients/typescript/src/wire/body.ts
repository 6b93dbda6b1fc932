/** Request bodies. */

import { invalidContent } from "../problems.ts";

/** A serialised body with its content type. */
export class Written {
  readonly content: string;
  readonly type: string;

  constructor(content: string, type: string) {
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

/** A value that JSON has not, or only with loss. */
class Unwritable extends Error {
  readonly value: unknown;

  constructor(value: unknown, message: string) {
    super(message);
    this.value = value;
  }
}

function plain(_name: string, value: unknown): unknown {
  const problem = problemOf(value);
  if (problem) throw new Unwritable(value, problem);
  return ArrayBuffer.isView(value) && !(value instanceof DataView) ? Array.from(value as Float64Array) : value;
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
