/** Server-sent events, read with fetch: a key can go with the request, and a refusal can be read. */

import { WRITE_MS } from "./sending.ts";
import type { How, Sender } from "./sending.ts";

/** What a service tells, by its name. */
export interface Told<Data = unknown> {
  readonly name: string;
  readonly data: Data;
}

/** What the service tells, event by event, until it ends; sent when it is gone through, a POST where it has a body. */
export async function* events<Data>(
  sender: Sender,
  path: string,
  { body, ...how }: How & { readonly body?: unknown },
): AsyncGenerator<Told<Data>, void, undefined> {
  const call = { method: body === undefined ? "GET" : "POST", path, body, limit: WRITE_MS };
  const headers = { Accept: "text/event-stream", ...how.headers };
  const [attempt, reader, id] = await sender.open(call, { ...how, headers }, async (response, attempt, head) => {
    return [attempt, response.body?.getReader(), head.requestId] as const;
  });
  const decoder = new TextDecoder();
  let rest = "";
  let isOver = false;
  try {
    for (;;) {
      attempt.wind();
      const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
      if ((isOver = done)) return;
      const blocks = (rest + decoder.decode(value, { stream: true })).split("\n\n");
      rest = blocks.pop() ?? "";
      // Whoever listens may take long over an event: that is no silence of the service.
      attempt.halt();
      yield* blocks.flatMap((block) => event<Data>(block));
    }
  } catch (error) {
    throw attempt.failure(error, sender.options.url, id);
  } finally {
    if (isOver) attempt.end();
    else attempt.drop();
  }
}

/** One event; none of a comment. */
function event<Data>(block: string): Told<Data>[] {
  let name = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const [, field, content = ""] = /^(\w+): ?([^]*)$/.exec(line) ?? [];
    if (field === "data") data.push(content);
    else if (field === "event") name = content;
  }
  return data.length ? [{ name, data: JSON.parse(data.join("\n")) as Data }] : [];
}
