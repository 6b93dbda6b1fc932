// Calls by openapi-fetch with the types of openapi-typescript: a URL comes in, what the calls answer goes out.
import { argv, stdout } from "node:process";
import createClient from "openapi-fetch";
import type { paths } from "./api";

const client = createClient<paths, "application/json" | "application/problem+json">({ baseUrl: argv[2] as string });
const path = { name: "generated" };
const made = await client.PUT("/v1/collections/{name}", {
  params: { path },
  body: { encoder: null, dimension: 2, similarity: "dot", temperature: 1, null: false },
});
const documents = [
  { id: "a/b?", key_vector: [1, 0], metadata: { year: 2001 } },
  { id: "c", key_vector: { base64: "AAAAAAAAgD8=" }, metadata: { year: 2003 } },
  { id: "d", key_vector: [-1, -2], metadata: { year: 1999 } },
];
const written = await client.POST("/v1/collections/{name}/documents", { params: { path }, body: { documents } });
const stored = await client.GET("/v1/collections/{name}/documents/{id}", { params: { path: { ...path, id: "a/b?" } } });
const one = await client.POST("/v1/collections/{name}/attend", {
  params: { path },
  body: { query: [1, 0], filter: { field: "metadata.year", operator: ">=", value: 2000 } },
});
if (!one.data || !("matches" in one.data)) throw one.error;
const many = await client.POST("/v1/collections/{name}/attend", {
  params: { path },
  body: { queries: [[2, -1], { base64: "AAAAAAAAgD8=" }, [{ id: "d", weight: -1 }]], top_k: 1 },
});
if (!many.data || !("results" in many.data)) throw many.error;
// @ts-expect-error: one query or several, not both.
const both = await client.POST("/v1/collections/{name}/attend", { params: { path }, body: { query: [1, 0], queries: [[1, 0]] } });
const attended = await client.POST("/v1/attend", {
  body: { query: [[1, 0]], key: [[1, 0], [0, 1]], value: [[10], [20]], similarity: "dot", temperature: 0.5 },
});
const encoded = await client.POST("/v1/encode", { body: { texts: ["cats"] } });
const table = await client.POST("/v1/tables", {
  params: { query: { file: "cats.csv" } },
  headers: { "content-type": "application/octet-stream" },
  body: "id,key\ncat,a cat asleep\n",
  bodySerializer: (file) => file,
  parseAs: "text",
});
const lines = (table.data as unknown as string).trim().split("\n");
const refused = await client.POST("/v1/collections/{name}/attend", { params: { path }, body: { query: [1] } });
const removed = await client.POST("/v1/collections/{name}/documents/delete", { params: { path }, body: { ids: ["c", "unknown"] } });
const gone = await client.DELETE("/v1/collections/{name}/documents/{id}", { params: { path: { ...path, id: "a/b?" } } });
const dropped = await client.DELETE("/v1/collections/{name}", { params: { path } });
const missing = await client.GET("/v1/collections/{name}", { params: { path } });
if (both.error?.status !== 422) throw new Error("two forms at once were answered");

stdout.write(
  JSON.stringify({
    dimension: made.data?.dimension,
    upserted: written.data?.upserted,
    document: [stored.data?.id, stored.data?.metadata?.year],
    weights: one.data.matches.map((match) => [match.id, match.weight]),
    best: many.data.results.map((answer) => answer.matches[0]?.id),
    output: attended.data?.output,
    embeddings: encoded.data?.embeddings,
    rows: JSON.parse(lines.at(-1) as string).rows,
    refused: [refused.error?.status, refused.error?.code, refused.error?.errors?.[0]?.pointer],
    deleted: removed.data?.deleted,
    statuses: [gone.response.status, dropped.response.status],
    missing: missing.error?.code,
  }),
);
