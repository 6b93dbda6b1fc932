/** Where a collection and its documents are called, and what the service has said of itself so far. */

import type { SchemaLimits, SchemaServiceAnswer } from "../generated/api.ts";
import { flawed } from "../problems.ts";
import type { How, Sender } from "../wire/sending.ts";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const ID = /^[^\p{Cc}\p{Cs}]{1,256}$/u;

/** The service's limits, asked for once. */
export class Known {
  #limits: SchemaLimits | undefined = undefined;

  /** One of them. */
  async limit(name: keyof SchemaLimits, sender: Sender, how?: How): Promise<number> {
    this.#limits ??= await sender.get("/v1", how, (info: SchemaServiceAnswer) => info.limits);
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
  const isId = typeof id === "string" && ID.test(id) && id !== "." && id !== "..";
  if (isId) return `/documents/${encodeURIComponent(id)}`;
  const wanted = "wanted a text of 1 to 256 characters, no control character among them, and not . or ..";
  throw flawed("", `path.id: ${wanted}, got ${JSON.stringify(id)}`);
}
