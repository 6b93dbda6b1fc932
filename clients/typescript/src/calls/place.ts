/** Where a collection and its documents are called, and what the service has said of itself so far. */

import type { Invalid } from "../errors.ts";
import type { SchemaLimits, SchemaServiceAnswer } from "../generated/api.ts";
import { flawed } from "../problems.ts";
import type { How, Sender } from "../wire/sending.ts";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

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
 * @throws Invalid: no address can say that id; of others the service says what is wrong with them
 */
export function documentPath(id: string): string {
  if (id === "." || id === "..") throw wrongId("an id may not be . or .., which a URL would swallow: add a character");
  if (id === "") throw wrongId("wanted an id of 1 to 256 characters, got 0");
  if (typeof id !== "string") throw wrongId(`wanted a text, got ${JSON.stringify(id)}`);
  if (/[\p{Cc}\p{Cs}]/u.test(id)) throw wrongId("an id may hold no control character and no lone surrogate");
  return `/documents/${encodeURIComponent(id)}`;
}

function wrongId(detail: string): Invalid {
  return flawed("", `path.id: ${detail}`);
}
