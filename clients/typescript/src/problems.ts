/** From an answer that is not a success to the error that says so, and from a flaw seen here to the same error. */

import { Invalid, OF_STATUS, Refused } from "./errors.ts";
import type { Code, Flaw } from "./errors.ts";
import type { SchemaErrorBody, SchemaProblem } from "./generated/api.ts";
import type { Reply } from "./wire/sending.ts";

/** How a collection is made, where the service says it in words of HTTP. */
const CREATE = /PUT \/v1\/collections\/\S+$/;

/** What the service said in refusing a request, as an error to throw. */
export function refusal(reply: Reply): Refused {
  const said = parsed(reply.text) as { error?: SchemaErrorBody; detail?: unknown } | null | undefined;
  if (typeof said?.error === "object") return ofOpenAI(said.error, reply);
  if (typeof said?.detail === "string") return ofProblem(said as SchemaProblem, reply);
  return foreign(reply);
}

/** A problem of RFC 9457, the whole answer or the end of a stream. */
export function ofProblem(problem: SchemaProblem, reply: Reply): Refused {
  const { status = reply.status, code, errors } = problem;
  const detail = code === "collection_not_found" ? problem.detail.replace(CREATE, "collection.create()") : problem.detail;
  return new (OF_STATUS[status] ?? Refused)(detail, { ...reply, status, code, errors });
}

/** An answer that softkv would not give: a proxy's, or that of another program. */
export function foreign(reply: Reply): Refused {
  const { url, status, type } = reply;
  const came = `${status} with ${type ?? "no content type"}`;
  const detail = `${url} answered ${came}, which is not softkv's: check the address`;
  return new (OF_STATUS[status] ?? Refused)(detail, reply);
}

/** The refusal of a request that was not sent, for one flaw. */
export function flawed(pointer: string, detail: string): Invalid {
  const told = pointer ? `${pointer}: ${detail}` : detail;
  return new Invalid(told, { code: "invalid_content", errors: [{ pointer, detail }], status: 422 });
}

/** The content of a text, undefined where that is no JSON. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function ofOpenAI(error: SchemaErrorBody, reply: Reply): Refused {
  const { message: detail, param } = error;
  const errors: Flaw[] = param ? [{ pointer: `/${param}`, detail }] : [];
  const kind = reply.status === 400 && param ? Invalid : (OF_STATUS[reply.status] ?? Refused);
  return new kind(detail, { ...reply, code: (error.code ?? undefined) as Code | undefined, errors });
}
