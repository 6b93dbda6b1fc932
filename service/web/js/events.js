/** Server-sent events, read with fetch: a key can go with the request, and a refusal can be read. */

import { Refused } from "./api.js";

/**
 * What the service tells, event by event, until it ends.
 *
 * @param {import("./api.js").API} api
 * @param {string} path
 * @param {{signal: AbortSignal, body?: object}} how a body makes it a POST
 * @yields {{name: string, data: object}}
 * @throws {Refused} it was refused, or could not be reached or heard to the end; status 0 for the latter two
 */
export async function* events(api, path, { signal, body }) {
  const headers = { Accept: "text/event-stream" };
  if (api.key) headers.Authorization = `Bearer ${api.key}`;
  if (body) headers["Content-Type"] = "application/json";
  const options = { method: body ? "POST" : "GET", headers, signal, cache: "no-store", body: body && JSON.stringify(body) };
  try {
    const response = await fetch(path, options);
    if (response.ok) return yield* told(response.body);
    const problem = await response.json().catch(() => ({}));
    throw new Refused(response.status, problem.detail ?? response.statusText, problem.code);
  } catch (failure) {
    signal.throwIfAborted();
    throw failure instanceof TypeError || failure instanceof DOMException ? new Refused(0, failure.message) : failure;
  }
}

async function* told(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      yield* blocks.map(read).filter(Boolean);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** One event; null for a comment. */
function read(block) {
  const said = { event: "message", data: [] };
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon < 1) continue;
    const content = line.slice(colon + 1).replace(/^ /, "");
    if (line.startsWith("data:")) said.data.push(content);
    else if (line.startsWith("event:")) said.event = content;
  }
  return said.data.length ? { name: said.event, data: JSON.parse(said.data.join("\n")) } : null;
}
