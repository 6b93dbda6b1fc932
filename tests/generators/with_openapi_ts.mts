// Calls by the client of hey-api's openapi-ts: the URL of a service comes in, what the calls answer goes out.
import { argv, stdout } from "node:process";
import * as api from "./softkv";
import { client } from "./softkv/client.gen";

client.setConfig({ baseUrl: argv[2] as string });
const path = { name: "generated" };
const made = await api.putCollection({
  path,
  body: { encoder: null, dimension: 2, similarity: "dot", temperature: 1, null: false },
});
const documents = [
  { id: "a/b?", key_vector: [1, 0], metadata: { year: 2001 } },
  { id: "c", key_vector: { base64: "AAAAAAAAgD8=" }, metadata: { year: 2003 } },
  { id: "d", key_vector: [-1, -2], metadata: { year: 1999 } },
];
const written = await api.postDocuments({ path, body: { documents } });
if (!written.data || !("upserted" in written.data)) throw written.error;
const stored = await api.getDocument({ path: { ...path, id: "a/b?" } });
const one = await api.attend({
  path,
  body: { query: [1, 0], filter: { field: "metadata.year", operator: ">=", value: 2000 } },
});
if (typeof one.data !== "object" || !("matches" in one.data)) throw one.error;
const many = await api.attend({
  path,
  body: { queries: [[2, -1], { base64: "AAAAAAAAgD8=" }, [{ id: "d", weight: -1 }]], top_k: 1 },
});
if (typeof many.data !== "object" || !("results" in many.data)) throw many.error;
// @ts-expect-error: one query or several, not both.
const both = await api.attend({ path, body: { query: [1, 0], queries: [[1, 0]] } });
if (both.response?.status !== 422) throw new Error("two forms at once were answered");
const attended = await api.attendArrays({
  body: { query: [[1, 0]], key: [[1, 0], [0, 1]], value: [[10], [20]], similarity: "dot", temperature: 0.5 },
});
const encoded = await api.encode({ body: { texts: ["cats"] } });
if (!encoded.data || !("embeddings" in encoded.data)) throw encoded.error;
const table = await api.readTable({ query: { file: "cats.csv" }, body: new Blob(["id,key\ncat,a cat asleep\n"]) });
if (!table.data) throw table.error;
const lines = (await table.data.text()).trim().split("\n");
const refused = await api.attend({ path, body: { query: [1] } });
const removed = await api.deleteDocuments({ path, body: { ids: ["c", "unknown"] } });
const gone = await api.deleteDocument({ path: { ...path, id: "a/b?" } });
const dropped = await api.deleteCollection({ path });
const missing = await api.getCollection({ path });

stdout.write(
  JSON.stringify({
    dimension: made.data?.dimension,
    upserted: written.data.upserted,
    document: [stored.data?.id, stored.data?.metadata?.year],
    weights: one.data.matches.map((match) => [match.id, match.weight]),
    best: many.data.results.map((answer) => answer.matches[0]?.id),
    output: attended.data?.output,
    embeddings: encoded.data.embeddings,
    rows: JSON.parse(lines.at(-1) as string).rows,
    refused: [refused.error?.status, refused.error?.code, refused.error?.errors?.[0]?.pointer],
    deleted: removed.data?.deleted,
    statuses: [gone.response?.status, dropped.response?.status],
    missing: missing.error?.code,
  }),
);
