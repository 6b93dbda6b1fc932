/** What the compiler says of calls: each line compiles, or does not where an error is expected. Nothing here runs. */

import { Client, F, SoftkvError, ago, and, not, or } from "../src/index.ts";
import type { Answer, Code, Document, Filter, Match, Report, Tensor, Verdict } from "../src/index.ts";

interface Book {
  title: string;
  pages?: number;
}

const client = new Client({ url: "http://127.0.0.1:8000", key: () => undefined, timeout: 1000, retries: 0 });
const books = client.collection<Book>("library");
const anything = client.collection("library");

/** One question has one answer, several have several. */
export async function asking(maybe: AbortSignal | undefined): Promise<void> {
  const one: Answer<Book> = await books.attend("cats");
  const vector: Answer<Book> = await books.attend([0.1, 0.2], { top_k: 3, temperature: "auto", null: false });
  const float: Answer<Book> = await books.attend(new Float32Array(2), {}, { signal: maybe, timeout: undefined });
  const many: Answer<Book>[] = await books.attend(["cats", [0.1], new Float64Array(2)], { include: ["output"] });
  const matrix: Answer<Book>[] = await books.attend([
    [0.1, 0.2],
    [0.3, 0.4],
  ]);
  // @ts-expect-error: one question has one answer
  const several: Answer<Book>[] = await books.attend("cats");
  // @ts-expect-error: several have several
  const single: Answer<Book> = await books.attend(["cats"]);
  // @ts-expect-error: a question is a text or a vector
  await books.attend({ query: "cats" });
  // @ts-expect-error: fields are called as on the wire
  await books.attend("cats", { topK: 3 });
  // @ts-expect-error: how vectors come back is the client's own matter
  await books.attend("cats", { vector_format: "numbers" });
  // @ts-expect-error: what is to be left out is left out
  await books.attend("cats", { temperature: null });
  await books.attend("cats", { filter: null, top_k: null });
  await books.put("lease", { key: "a lease", expires: new Date(0) });
  await books.update({ ids: ["lease"] }, { expires: null });
  // @ts-expect-error: only texts are compared in four ways
  await books.compare([0.1]);
  // @ts-expect-error: temperatures are wanted
  await books.sweep("cats");

  const match: Match<Book> | undefined = one.matches[0];
  const title: string | undefined = match?.value.title;
  const output: Float32Array | undefined = vector.output;
  const key: Float32Array | null | undefined = float.matches[0]?.key_vector;
  const verdict: Verdict = one.verdict;
  const best: Match<Book> | undefined = one.best;
  // @ts-expect-error: it is the verdict
  if (one.answered) return;
  // @ts-expect-error: of the evidence too
  if (one.evidence.answered) return;
  // @ts-expect-error: no document need stand out
  one.best.value;
  for (const { value, weight } of one) value.title.slice(weight);
  // @ts-expect-error: of no more than is said is it known what it is
  (await anything.attend("cats")).matches[0]?.value.title;
  // @ts-expect-error: there may be no match
  one.matches[0].value;
  // @ts-expect-error: an answer is not written to
  one.matches = [];
  void [many, matrix, several, single, title, output, key, verdict, best];
}

/** Documents are what the collection's values are said to be. */
export async function writing(): Promise<void> {
  await books.put("a", { key: "cats", value: { title: "Cats" }, key_vector: new Float32Array(2) });
  await books.patch("a", { value: { pages: 3 }, metadata: null, key_vector: null });
  const report: Report = await books.upsert(
    (async function* () {
      yield { id: "a", key: "cats", value: { title: "Cats" } };
    })(),
  );
  await books.upsert(new Set([{ id: "a", value: { title: "Cats" } }]), { onConflict: "skip", resume: report });
  // @ts-expect-error: a book has a title
  await books.put("a", { value: { pages: 3 } });
  // @ts-expect-error: a document has an id
  await books.write([{ key: "cats" }]);
  // @ts-expect-error: what of conflicts?
  await books.write([], { onConflict: "ignore" });
  // @ts-expect-error: documents by their ids, or all that pass
  await books.delete({ ids: ["a"], filter: F("year", ">", 1) });
  // @ts-expect-error: one of the two
  await books.delete({});

  const found: (Document<Book> | undefined)[] = await books.getMany(["a"]);
  for await (const { value } of books.find({ filter: F("year", ">=", 1930) })) value.title.slice();
  const first: Document<Book> | undefined = await books.find().first();
  // @ts-expect-error: pages are gone through with for await
  for (const each of books.find()) void each;
  void [found, first];
}

/** Each operator compares with what it can. */
export const filters: Filter[] = [
  F("year", "==", null),
  F("year", ">=", 1930),
  F("id", "in", ["a", "b"]),
  F("key", "contains", "sql", { ignore_case: true }),
  and(F("year", ">", 1), or(not(F("id", "==", "a")), { field: "metadata.year", operator: "<", value: 3 })),
  F("written", ">", ago("7d")),
  F("written", "in", [new Date(), "soon", { datetime: "now+1h" }]),
  // @ts-expect-error: a duration has a unit
  F("written", ">", ago("7")),
  // @ts-expect-error: a list has no instant as a part
  F("written", "contains", new Date()),
  // @ts-expect-error: nothing is above a list
  F("year", ">", [1930]),
  // @ts-expect-error: a list is wanted
  F("id", "in", "a"),
  // @ts-expect-error: only contains ignores case
  F("key", "==", "sql", { ignore_case: true }),
  // @ts-expect-error: there is no such operator
  F("year", "~", 1930),
];

/** Codes are a closed set: a switch over all of some kind is seen to be one. */
export function advice(error: unknown): string {
  if (!(error instanceof SoftkvError)) throw error;
  // @ts-expect-error: there is no such code
  if (error.code === "no_such_code") return "";
  const missing = error.code as Extract<Code, `${string}not_found`> | undefined;
  switch (missing) {
    case "collection_not_found":
      return "make it";
    case "alias_not_found":
    case "document_not_found":
    case "model_not_found":
    case "not_found":
    case "re_encoding_not_found":
    case "room_not_found":
    case "room_row_not_found":
    case undefined:
      return error.detail;
    default:
      return missing satisfies never;
  }
}

/** A switch that forgets a code does not compile. */
export function forgetful(code: Extract<Code, `collection_${string}`>): string {
  switch (code) {
    case "collection_not_found":
    case "collection_conflict":
    case "collection_loading":
      return code;
    default:
      // @ts-expect-error: collection_damaged is left
      return code satisfies never;
  }
}

/** Arrays come with their shape. */
export async function arrays(): Promise<void> {
  const { attention, logits, changes } = await client.trace("cats");
  const shaped: [Tensor, Tensor | undefined, Tensor | undefined] = [attention, logits, changes?.[0]?.layer];
  const { embeddings, token_counts } = await client.encode(["cats"]);
  const vectors: Float32Array[] = embeddings;
  const { output, log_partition } = await client.attend({ query: [[1]], key: [new Float32Array(1)], value: [[1]] });
  const made: [Tensor, Tensor | null] = [output, log_partition];
  for await (const { name, data } of client.events<{ at: number }>("/v1/any")) void [name, data.at];
  const called: { access: string } = await client.call<{ access: string }>("GET", "/v1/collections");
  // @ts-expect-error: a list of texts is wanted
  await client.encode("cats");
  // @ts-expect-error: another service is another client
  client.withOptions({ url: "http://elsewhere" });
  void [shaped, token_counts, vectors, made, called];
}
