/** Conversion of refusals to errors: those that the service answers, and those that the client itself finds. */

import { Invalid, type Refused, errorClass } from "./errors.ts";
import type { SchemaErrorBody, SchemaProblem } from "./generated/api.ts";
import type { Code, Flaw, Reply } from "./types.ts";

/** The HTTP call that makes a collection, in the texts of the service. */
const CREATE = /PUT \/v1\/collections\/\S+$/;

/** Return the error for an answer that refuses a request. */
export function refusal(reply: Reply): Refused {
  const content = parse(reply.text) as { error?: SchemaErrorBody; detail?: unknown } | null | undefined;
  if (typeof content?.error === "object") return ofOpenAI(content.error, reply);
  if (typeof content?.detail === "string") return ofProblem(content as SchemaProblem, reply);
  return foreignAnswer(reply);
}

/** Return the error for a problem of RFC 9457, which is a whole answer or the end of a stream. */
export function ofProblem(problem: SchemaProblem, reply: Reply): Refused {
  const { status = reply.status, code, errors } = problem;
  const detail = code === "collection_not_found" ? problem.detail.replace(CREATE, "collection.create()") : problem.detail;
  return new (errorClass(status, code))(detail, { ...reply, status, code, errors });
}

/** Return the error for an answer that is not from softkv, but from a proxy or another program. */
export function foreignAnswer(reply: Reply): Refused {
  const { url, status, type } = reply;
  const received = `${status} with ${type ?? "no content type"}`;
  const detail = `${url} answered ${received}, which is not softkv's: check the address`;
  return new (errorClass(status))(detail, reply);
}

/**
 * Return the error for an answer that leads to another address.
 *
 * @param location that address; null in a browser, which does not tell it
 * @param path the path of the call, which the address of a service does not have
 */
export function redirection(reply: Reply, location: string | null, path: string): Refused {
  const target = location && new URL(location, reply.url).href;
  const base = target?.endsWith(path) && target.slice(0, -path.length);
  const advice = base ? `give ${base} as url` : "give the address of the service itself as url";
  const detail = `${reply.url} redirects to ${target || "an address that the browser does not tell"}: ${advice}`;
  return new (errorClass(reply.status))(detail, reply);
}

/** Return the error for a flaw of a request that was not sent. */
export function invalidContent(pointer: string, detail: string): Invalid {
  const message = pointer ? `${pointer}: ${detail}` : detail;
  return new Invalid(message, { code: "invalid_content", errors: [{ pointer, detail }], status: 422 });
}

/** Return the content of a JSON text, or undefined if it is not JSON. */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function ofOpenAI(error: SchemaErrorBody, reply: Reply): Refused {
  const { message: detail, param } = error;
  const errors: Flaw[] = param ? [{ pointer: `/${param}`, detail }] : [];
  const kind = reply.status === 400 && param ? Invalid : errorClass(reply.status, error.code);
  return new kind(detail, { ...reply, code: (error.code ?? undefined) as Code | undefined, errors });
}
