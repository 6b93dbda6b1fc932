/** Where a collection and its documents are called, and what the service has said of itself so far. */

import type { SchemaLimits } from "../generated/api.ts";
import { flawed } from "../problems.ts";
import type { How, Sender } from "../wire/sending.ts";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const LONGEST_ID = 256;

/** The service's limits, asked for once. */
export class Known {
  #limits: SchemaLimits | undefined = undefined;

  /** One of them. */
  async limit(name: keyof SchemaLimits, sender: Sender, how?: How): Promise<number> {
    const call = { method: "GET", path: "/v1", repeatable: true, read: (info: { limits: SchemaLimits }) => info.limits };
    this.#limits ??= await sender.send(call, how);
    return this.#limits[name];
  }
}

/**
 * Where a collection is called.
 *
 * @throws Invalid: no collection can have that name
 */
export function collectionPath(name: string): string {
  if (NAME.test(name)) return `/v1/collections/${name}`;
  throw flawed("", `path.name: wanted a text of the form ${NAME.source}, got ${JSON.stringify(name)}`);
}

/**
 * Where one of its documents is, below it.
 *
 * @throws Invalid: no document can have that id
 */
export function documentPath(id: string): string {
  if (typeof id !== "string") throw flawed("", `path.id: wanted a text, got ${JSON.stringify(id)}`);
  const characters = [...id].length;
  if (characters < 1 || characters > LONGEST_ID) {
    throw flawed("", `path.id: wanted an id of 1 to ${LONGEST_ID} characters, got ${characters}`);
  }
  if (id === "." || id === "..") {
    throw flawed("", "path.id: an id may not be . or .., which a URL would swallow: add a character");
  }
  if (/[\p{Cc}\p{Cs}]/u.test(id)) {
    throw flawed("", "path.id: an id may hold no control character and no lone surrogate");
  }
  return `/documents/${encodeURIComponent(id)}`;
}
