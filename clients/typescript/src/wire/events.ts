/** Server-sent events, read with fetch, because EventSource can neither send a key nor read a refusal. */

import { WRITE_MS } from "./sending.ts";
import type { How, Sender } from "./sending.ts";

/** An event of a service: its name and its data. */
export interface ServiceEvent<Data = unknown> {
  readonly name: string;
  readonly data: Data;
}

/** Yield the events of a call until it ends. It is sent when iteration begins: a POST if it has a body, otherwise a GET. */
export async function* events<Data>(
  sender: Sender,
  path: string,
  { body, ...how }: How & { readonly body?: unknown },
): AsyncGenerator<ServiceEvent<Data>, void, undefined> {
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
      attempt.restart();
      const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
      if ((isOver = done)) return;
      // A line may end in CR LF, of which the next part may bring the LF.
      const blocks = (rest + decoder.decode(value, { stream: true })).replace(/\r\n|\r(?!$)/g, "\n").split("\n\n");
      rest = blocks.pop() ?? "";
      // The time that the caller takes for an event does not count as silence of the service.
      attempt.suspend();
      yield* blocks.flatMap((block) => event<Data>(block));
    }
  } catch (error) {
    throw attempt.failure(error, sender.options.url, id);
  } finally {
    if (isOver) attempt.end();
    else attempt.cancel();
  }
}

/** Return the event of a block, in a list; empty for a comment. */
function event<Data>(block: string): ServiceEvent<Data>[] {
  let name = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const [, field, content = ""] = /^(\w+): ?([^]*)$/.exec(line) ?? [];
    if (field === "data") data.push(content);
    else if (field === "event") name = content;
  }
  return data.length ? [{ name, data: JSON.parse(data.join("\n")) as Data }] : [];
}
