/** The URL and the key of a client: its options, or the variables `SOFTKV_URL` and `SOFTKV_KEY`. */

import { invalidContent } from "../problems.ts";

const DEFAULT_URL = "http://127.0.0.1:8000";

/** Return a variable of the environment, or undefined if there is none, as in a browser. */
export function variable(name: "SOFTKV_URL" | "SOFTKV_KEY"): string | undefined {
  const runtime = globalThis as { process?: { env?: Record<string, string | undefined> } };
  return runtime.process?.env?.[name] || undefined;
}

/**
 * Return the URL of the service, without a slash at its end; "" is the origin of the current page.
 *
 * @throws Invalid: it is not an http URL
 */
export function address(option: string | URL | undefined): string {
  if (option === "") return "";
  const url = `${option ?? variable("SOFTKV_URL") ?? DEFAULT_URL}`;
  const example = "give one such as http://127.0.0.1:8000";
  if (!URL.canParse(url)) throw invalidContent("", `'${url}' is not a URL: ${example}`);
  const { protocol, username, password, host } = new URL(url);
  if (!/^https?:$/.test(protocol)) throw invalidContent("", `'${url}' is not an http address: ${example}`);
  if (username || password) {
    throw invalidContent("", `the URL of ${host} has a user or a password, which fetch does not send: give a key as key`);
  }
  if (/\/v1\/*$/.test(url)) throw invalidContent("", `'${url}' ends in /v1, which the client adds to each call: leave it out`);
  return url.replace(/\/+$/, "");
}

/**
 * Return the header with the key.
 *
 * @throws Invalid: a header cannot contain the key
 */
export function authorization(key: string | undefined): Record<string, string> {
  if (!key) return {};
  if (/^[ -~]+$/.test(key)) return { Authorization: `Bearer ${key}` };
  throw invalidContent("", "the key has a line break, or another character that no header takes: see where it comes from");
}
