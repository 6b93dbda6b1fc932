/**
 * Vectors on their way to the service and back: base64 of little-endian float32, or lists of numbers.
 *
 * Every platform that runs this keeps its numbers little-endian, as the wire has them.
 */

import type { SchemaNestedAnswer, SchemaVector, SchemaVectorAnswer } from "../generated/api.ts";
import { flawed } from "../problems.ts";

/** A vector that is sent: arrays of floats go as base64, a list as the numbers that it holds. */
export type Vector = readonly number[] | Float32Array | Float64Array;

/** A vector as it may be written in a document: also in the form that the wire has. */
export type VectorInput = Vector | { readonly base64: string };

/** An array of any shape, its numbers row by row. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** How every answer's vectors are asked for. */
export const FORMAT = { vector_format: "base64" } as const;
const AT_ONCE = 0x2000;

/**
 * A vector → its form on the wire.
 *
 * @param pointer where in the request it stands
 * @throws Invalid: it holds what is not finite as float32
 */
export function outgoing(given: VectorInput, pointer: string): SchemaVector {
  if (typeof given !== "object" || given === null) throw flawed(pointer, `wanted a vector, got ${typeof given}`);
  if ("base64" in given) return given;
  const numbers = Float32Array.from(given);
  const wrong = numbers.findIndex((number) => !Number.isFinite(number));
  if (wrong >= 0) throw flawed(pointer, `number ${wrong} is not finite as float32: keep magnitudes below 3.4e38`);
  if (Array.isArray(given)) return given;
  const bytes = new Uint8Array(numbers.buffer);
  let letters = "";
  for (let begin = 0; begin < bytes.length; begin += AT_ONCE) {
    letters += String.fromCharCode(...bytes.subarray(begin, begin + AT_ONCE));
  }
  return { base64: btoa(letters) };
}

/** What came over the wire → float32; null, of a number that is not finite, is NaN. */
export function incoming(given: SchemaVectorAnswer | SchemaNestedAnswer): Float32Array {
  if (Array.isArray(given)) return Float32Array.from(given.flat(Infinity) as (number | null)[], (each) => each ?? NaN);
  const letters = atob(given.base64);
  const bytes = new Uint8Array(letters.length);
  for (let at = 0; at < letters.length; at++) bytes[at] = letters.charCodeAt(at);
  return new Float32Array(bytes.buffer);
}

/** An array that came over the wire, with its shape. */
export function tensor(given: SchemaNestedAnswer): Tensor {
  const data = incoming(given);
  if (Array.isArray(given)) return { shape: shapeOf(given), data };
  return { shape: given.shape ?? [data.length], data };
}

/** The rows of an array [n, d]. */
export function rows(given: SchemaNestedAnswer, width: number): Float32Array[] {
  const numbers = incoming(given);
  return Array.from({ length: numbers.length / width }, (_, row) => numbers.subarray(row * width, (row + 1) * width));
}

function shapeOf(given: unknown): number[] {
  return Array.isArray(given) ? [given.length, ...shapeOf(given[0])] : [];
}
