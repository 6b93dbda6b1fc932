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

/**
 * Return a value as JSON. Undefined fields are left out, and typed arrays become lists.
 *
 * @throws Invalid: the value cannot be expressed in JSON
 */
export function json(content: unknown): string {
  try {
    return JSON.stringify(content, plain) ?? "null";
  } catch (error) {
    if (error instanceof TypeError) throw invalidContent("", `wanted JSON: ${error.message}`); // a circle, or a BigInt
    throw error;
  }
}

function plain(_name: string, value: unknown): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw invalidContent("", `wanted JSON, which has no NaN and no Infinity, got ${value}: send null or a text`);
  }
  return ArrayBuffer.isView(value) && !(value instanceof DataView) ? Array.from(value as Float64Array) : value;
}
