/** Where the service is and with which key to call it, unless a client is told: `SOFTKV_URL` and `SOFTKV_KEY`. */

import { flawed } from "../problems.ts";

const DEFAULT_URL = "http://127.0.0.1:8000";

/** A variable of the environment; undefined where there is none, as in a browser. */
export function variable(name: "SOFTKV_URL" | "SOFTKV_KEY"): string | undefined {
  const runtime = globalThis as { process?: { env?: Record<string, string | undefined> } };
  return runtime.process?.env?.[name] || undefined;
}

/**
 * The address of the service, without a slash at its end; "" is the origin of the page that this runs in.
 *
 * @throws Invalid: that is no address
 */
export function address(given: string | URL | undefined): string {
  if (given === "") return "";
  const url = `${given ?? variable("SOFTKV_URL") ?? DEFAULT_URL}`;
  const example = "give one such as http://127.0.0.1:8000";
  if (!URL.canParse(url)) throw flawed("", `'${url}' is not a URL: ${example}`);
  if (!/^https?:$/.test(new URL(url).protocol)) throw flawed("", `'${url}' is not an http address: ${example}`);
  if (/\/v1\/*$/.test(url)) throw flawed("", `'${url}' ends in /v1, which the client adds to each call: leave it out`);
  return url.replace(/\/+$/, "");
}

/**
 * The header that says the key.
 *
 * @throws Invalid: no header takes such a key
 */
export function authorization(key: string | undefined): Record<string, string> {
  if (!key) return {};
  if (/^[ -~]+$/.test(key)) return { Authorization: `Bearer ${key}` };
  throw flawed("", "the key has a line break, or another character that no header takes: see where it comes from");
}
