/** Tables: a file of any format that the service reads comes back as rows. */

import type {
  SchemaProblem,
  SchemaRefusedRow,
  SchemaTableCells,
  SchemaTableEnd,
  SchemaTableHead,
  operations,
} from "../generated/api.ts";
import { foreignAnswer, ofProblem } from "../problems.ts";
import { Written, parseExactly } from "../wire/body.ts";
import { WRITE_MS } from "../wire/sending.ts";
import type { How, Sender } from "../wire/sending.ts";

type Query = Omit<operations["read_table"]["parameters"]["query"], "file">;

/** The options of a table: the columns that are fields of a document, and how a text is read. */
export type TableOptions = {
  readonly [Option in keyof Query]: Readonly<Query[Option]> | undefined;
};

/** A line about a table: first what it is, then a row or why it is refused, and last the counts. */
export type TableLine = SchemaTableHead | SchemaTableCells | SchemaRefusedRow | SchemaTableEnd;

const FILE_TYPE = "application/octet-stream";

/** Send a file, and yield the lines about it; the last one has the counts. */
export async function* table(
  sender: Sender,
  file: Blob,
  name: string,
  options: TableOptions,
  how: How = {},
): AsyncGenerator<TableLine, void, undefined> {
  const query = new URLSearchParams({ file: name });
  for (const [option, value] of Object.entries(options)) {
    for (const item of Array.isArray(value) ? value : [value]) if (item !== undefined) query.append(option, `${item}`);
  }
  const call = { method: "POST", path: `/v1/tables?${query}`, body: new Written(file, FILE_TYPE), limit: WRITE_MS };
  const [attempt, reader, head] = await sender.open(
    { ...call, repeatable: true },
    how,
    async (response, attempt, head) => [attempt, response.body?.getReader(), head] as const,
  );
  const decoder = new TextDecoder();
  let rest = "";
  let isOver = false;
  try {
    for (;;) {
      attempt.restart();
      const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
      attempt.suspend(); // the time that the caller takes for a row is not the service's
      if (done) throw foreignAnswer({ ...head, text: rest });
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const text of lines) {
        const line = parseExactly(text) as TableLine | { readonly done: false; readonly problem: SchemaProblem };
        if ("problem" in line) throw ofProblem(line.problem, head);
        isOver = "done" in line;
        yield line;
        if (isOver) return;
      }
    }
  } catch (error) {
    throw attempt.failure(error, sender.options.url, head.requestId ?? "");
  } finally {
    if (isOver) attempt.end();
    else attempt.cancel();
  }
}
