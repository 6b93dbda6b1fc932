/**
 * Vectors on the wire: base64 of little-endian float32, or lists of numbers.
 *
 * All platforms that run this code are little-endian, like the wire.
 */

import type { SchemaNestedAnswer, SchemaVector, SchemaVectorAnswer } from "../generated/api.ts";
import { invalidContent } from "../problems.ts";

/** A vector to send: arrays of floats are sent as base64, lists as numbers. */
export type Vector = readonly number[] | Float32Array | Float64Array;

/** A vector in a document, also in the form of the wire. */
export type VectorInput = Vector | { readonly base64: string };

/** An array of any shape, its numbers row by row. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** The vector format of all requests. */
export const FORMAT = { vector_format: "base64" } as const;
const CHUNK_BYTES = 0x2000;

/**
 * Return the form of a vector on the wire.
 *
 * @param pointer the position of the vector in the request
 * @throws Invalid: a number is not finite as float32
 */
export function outgoing(vector: VectorInput, pointer: string): SchemaVector {
  if (typeof vector !== "object" || vector === null) throw invalidContent(pointer, `wanted a vector, got ${typeof vector}`);
  if ("base64" in vector) return vector;
  const big = (vector as readonly unknown[]).findIndex?.((number) => typeof number === "bigint") ?? -1;
  if (big >= 0) throw invalidContent(pointer, `number ${big} is a BigInt: send Number(…)`);
  const numbers = Float32Array.from(vector);
  const index = numbers.findIndex((number) => !Number.isFinite(number));
  if (index >= 0) throw invalidContent(pointer, `number ${index} is not finite as float32: keep magnitudes below 3.4e38`);
  // An integer that JSON would have with more digits than the number goes as base64, too.
  if (Array.isArray(vector) && !vector.some((number) => Math.abs(number) > Number.MAX_SAFE_INTEGER)) return vector;
  const bytes = new Uint8Array(numbers.buffer);
  let characters = "";
  for (let begin = 0; begin < bytes.length; begin += CHUNK_BYTES) {
    characters += String.fromCharCode(...bytes.subarray(begin, begin + CHUNK_BYTES));
  }
  return { base64: btoa(characters) };
}

/** Return a vector from the wire as float32; null becomes NaN, because it stands for a number that is not finite. */
export function incoming(array: SchemaVectorAnswer | SchemaNestedAnswer): Float32Array {
  if (Array.isArray(array)) return Float32Array.from(array.flat(Infinity) as (number | null)[], (number) => number ?? NaN);
  const characters = atob(array.base64);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < characters.length; i++) bytes[i] = characters.charCodeAt(i);
  return new Float32Array(bytes.buffer);
}

/** Return an array from the wire, with its shape. */
export function tensor(array: SchemaNestedAnswer): Tensor {
  const data = incoming(array);
  if (Array.isArray(array)) return { shape: shapeOf(array), data };
  return { shape: array.shape ?? [data.length], data };
}

/** Return the rows of an array [n, d]. */
export function rows(array: SchemaNestedAnswer, width: number): Float32Array[] {
  const numbers = incoming(array);
  return Array.from({ length: numbers.length / width }, (_, row) => numbers.subarray(row * width, (row + 1) * width));
}

function shapeOf(array: unknown): number[] {
  return Array.isArray(array) ? [array.length, ...shapeOf(array[0])] : [];
}
