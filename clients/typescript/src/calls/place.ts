/** The paths of a collection, its documents and its aliases. */

import type { Invalid } from "../errors.ts";
import { invalidContent } from "../problems.ts";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/**
 * Return the path of a collection.
 *
 * @throws Invalid: a collection cannot have that name
 */
export function collectionPath(name: string): string {
  return `/v1/collections/${checked(name, "name")}`;
}

/**
 * Return the path of an alias.
 *
 * @throws Invalid: an alias cannot have that name
 */
export function aliasPath(alias: string): string {
  return `/v1/aliases/${checked(alias, "alias")}`;
}

function checked(name: string, parameter: string): string {
  if (NAME.test(name)) return name;
  throw invalidContent("", `path.${parameter}: wanted a text of the form ${NAME.source}, got ${JSON.stringify(name)}`);
}

/**
 * Return the path of a document below its collection.
 *
 * @throws Invalid: a URL cannot express the id; the service reports other flaws
 */
export function documentPath(id: string): string {
  if (id === "." || id === "..") throw wrongId("an id may not be . or .., which a URL would swallow: add a character");
  if (id === "") throw wrongId("wanted an id of 1 to 256 characters, got 0");
  if (typeof id === "number") throw wrongId(`wanted a text, got ${id}: send it as the text "${id}"`);
  if (typeof id !== "string") throw wrongId(`wanted a text, got ${JSON.stringify(id)}`);
  if (/[\p{Cc}\p{Cs}]/u.test(id)) throw wrongId("an id may hold no control character and no lone surrogate");
  return `/documents/${encodeURIComponent(id)}`;
}

function wrongId(detail: string): Invalid {
  return invalidContent("", `path.id: ${detail}`);
}
