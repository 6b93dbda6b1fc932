// Calls by the client of orval, made for the URL of a service: what the calls answer goes out.
import { stdout } from "node:process";
import * as api from "./softkv";

const made = await api.putCollection("generated", {
  encoder: null,
  dimension: 2,
  similarity: "dot",
  temperature: 1,
  null: false,
});
if (made.status !== 201) throw made.data;
const documents = [
  { id: "a/b?", key_vector: [1, 0], metadata: { year: 2001 } },
  { id: "c", key_vector: { base64: "AAAAAAAAgD8=" }, metadata: { year: 2003 } },
  { id: "d", key_vector: [-1, -2], metadata: { year: 1999 } },
];
const written = await api.postDocuments("generated", { documents });
if (written.status !== 200) throw written.data;
const stored = await api.getDocument("generated", "a/b?");
if (stored.status !== 200) throw stored.data;
const filter = { field: "metadata.year", operator: ">=", value: 2000 } as const;
const one = await api.attend("generated", { query: [1, 0], filter });
if (one.status !== 200 || typeof one.data !== "object" || !("matches" in one.data)) throw one.data;
const queries = [[2, -1], { base64: "AAAAAAAAgD8=" }, [{ id: "d", weight: -1 }]];
const many = await api.attend("generated", { queries, top_k: 1 });
if (many.status !== 200 || typeof many.data !== "object" || !("results" in many.data)) throw many.data;
// @ts-expect-error: one query or several, not both.
const both = await api.attend("generated", { query: [1, 0], queries: [[1, 0]] });
if (both.status !== 422) throw new Error("two forms at once were answered");
const arrays = { query: [[1, 0]], key: [[1, 0], [0, 1]], value: [[10], [20]], temperature: 0.5 };
const attended = await api.attendArrays({ ...arrays, similarity: "dot" });
if (attended.status !== 200) throw attended.data;
const encoded = await api.encode({ texts: ["cats"] });
if (encoded.status !== 200) throw encoded.data;
const table = await api.readTable(new Blob(["id,key\ncat,a cat asleep\n"]), { file: "cats.csv" });
if (table.status !== 200) throw table.data;
const lines = (await table.stream.text()).trim().split("\n");
const refused = await api.attend("generated", { query: [1] });
if (refused.status !== 422) throw refused.data;
const removed = await api.deleteDocuments("generated", { ids: ["c", "unknown"] });
if (removed.status !== 200) throw removed.data;
const gone = await api.deleteDocument("generated", "a/b?");
const dropped = await api.deleteCollection("generated");
const missing = await api.getCollection("generated");
if (missing.status !== 404) throw missing.data;

stdout.write(
  JSON.stringify({
    dimension: made.data.dimension,
    upserted: written.data.upserted,
    document: [stored.data.id, stored.data.metadata?.year],
    weights: one.data.matches.map((match) => [match.id, match.weight]),
    best: many.data.results.map((answer) => answer.matches[0]?.id),
    output: attended.data.output,
    embeddings: encoded.data.embeddings,
    rows: JSON.parse(lines.at(-1) as string).rows,
    refused: [refused.data.status, refused.data.code, refused.data.errors?.[0]?.pointer],
    deleted: removed.data.deleted,
    statuses: [gone.status, dropped.status],
    missing: missing.data.code,
  }),
);
