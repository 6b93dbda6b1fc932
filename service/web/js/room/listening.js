/** Server-sent events, read with fetch: a key can go with the request, and a refusal can be read. */

import { Refused } from "../api.js";

const FIRST_MS = 300;
const LONGEST_MS = 3000;

/**
 * Listen for as long as the signal lets; whatever ends is asked for again, soon at first and then less often.
 *
 * @param {API} api
 * @param {string} path
 * @param {{heard: function(string, object): void, lost: function(Refused): void, signal: AbortSignal}} how
 */
export async function listen(api, path, { heard, lost, signal }) {
  let pause = FIRST_MS;
  while (!signal.aborted) {
    try {
      for await (const { name, data } of events(await begun(api, path, signal))) {
        pause = FIRST_MS;
        if (signal.aborted) return;
        heard(name, data);
      }
      lost(new Refused(0, ""));
    } catch (failure) {
      if (signal.aborted) return;
      if (!(failure instanceof Refused || failure instanceof TypeError || failure instanceof DOMException)) throw failure;
      lost(failure instanceof Refused ? failure : new Refused(0, failure.message));
    }
    await new Promise((done) => setTimeout(done, pause));
    pause = Math.min(2 * pause, LONGEST_MS);
  }
}

async function begun(api, path, signal) {
  const headers = { Accept: "text/event-stream", ...(api.key ? { Authorization: `Bearer ${api.key}` } : {}) };
  const response = await fetch(path, { headers, signal, cache: "no-store" });
  if (response.ok) return response.body;
  const problem = await response.json().catch(() => ({}));
  throw new Refused(response.status, problem.detail ?? response.statusText, problem.code);
}

/** The events of a body, one after another. @param {ReadableStream<Uint8Array>} body */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const found = read(block);
        if (found) yield found;
      }
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
