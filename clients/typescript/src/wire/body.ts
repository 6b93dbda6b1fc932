/** Values on their way into a request's body. */

import { flawed } from "../problems.ts";

/** A body that is written already. */
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
 * A value → JSON; fields that are undefined are left out, arrays of numbers of any kind are lists.
 *
 * @throws Invalid: what is in it is no JSON
 */
export function json(content: unknown): string {
  try {
    return JSON.stringify(content, plain) ?? "null";
  } catch (error) {
    if (error instanceof TypeError) throw flawed("", `wanted JSON: ${error.message}`); // a circle, or a BigInt
    throw error;
  }
}

function plain(_name: string, given: unknown): unknown {
  if (typeof given === "number" && !Number.isFinite(given)) {
    throw flawed("", `wanted JSON, which has no NaN and no Infinity, got ${given}: send null or a text`);
  }
  return ArrayBuffer.isView(given) && !(given instanceof DataView) ? Array.from(given as Float64Array) : given;
}
