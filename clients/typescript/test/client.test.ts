/** What a client does without a collection: the service itself, texts, arrays, events. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, Invalid, NotFound, Unreachable, VERSION } from "../src/index.ts";
import type { ServiceEvent } from "../src/index.ts";
import { URL_OF_SERVICE, client, pass, refuse, server } from "./service.ts";

test("what the service is", async () => {
  const info = await client.info();
  assert.ok(info.limits.queries > 1);
  assert.equal(await client.alive(), true);
  assert.equal((await client.waitUntilReady()).status, "ready");
  assert.equal((await client.ready()).status, "ready");
  assert.match(await client.access(), /^(read|write)$/);
  assert.match(await client.metrics(), /^# HELP softkv_/m);
  assert.ok(Array.isArray(await client.slowRequests()));
  const models = await client.models();
  const [first] = models;
  if (first) assert.equal((await client.model(first.id)).id, first.id);
  await assert.rejects(client.model("no/such"), { name: "NotFound", code: "model_not_found" });
});

test("aliases of a collection", async () => {
  const names = ["aliased-1", "aliased-2"] as const;
  for (const name of names) await client.collection(name).create({ encoder: null, similarity: "dot", existOk: true });
  for (const collection of names) {
    await client.collection(collection).put("a", { key_vector: [1, 0], value: collection });
    assert.deepEqual(await client.putAlias("aliased", collection), { alias: "aliased", collection });
    assert.deepEqual(await client.alias("aliased"), { alias: "aliased", collection });
    const aliased = client.collection("aliased");
    assert.equal((await aliased.info()).name, collection);
    const answers = [await aliased.attend([1, 0]), ...(await aliased.attend([[1, 0], [0, 1]]))];
    assert.deepEqual(answers.map((answer) => answer.collection), [collection, collection, collection]);
    assert.equal((await client.collection(collection).attend([1, 0])).collection, undefined);
    assert.equal((await aliased.sweep([1, 0], [1])).collection, collection);
  }
  const listed = [];
  for await (const alias of client.aliases({ prefix: "aliased" })) listed.push(alias);
  assert.deepEqual(listed, [{ alias: "aliased", collection: "aliased-2" }]);
  await assert.rejects(client.putAlias("aliased-1", "aliased-2"), { name: "Conflict", code: "alias_conflict" });
  await assert.rejects(client.putAlias("no name", "aliased-2"), Invalid);
  await client.removeAlias("aliased");
  await assert.rejects(client.alias("aliased"), { name: "NotFound", code: "alias_not_found" });
  for (const name of names) await client.collection(name).drop();
});

test("a service that is not ready", async (t) => {
  let looked = 0;
  const loading = { status: "loading", loading: ["library"], failed: [] };
  const url = await server(t, (asked, answered) => {
    if (++looked > 2) return pass(asked, answered);
    answered.writeHead(503, { "Content-Type": "application/json" }).end(JSON.stringify(loading));
  });
  const own = new Client({ url });
  assert.deepEqual(await own.ready(), loading);
  assert.equal((await own.waitUntilReady()).status, "ready");
  assert.equal(looked, 3);
  looked = -1000;
  await assert.rejects(own.waitUntilReady(50), { name: "TimedOut", message: /still loads library/ });
  const stopping = await server(
    t,
    (_, answered) => void answered.writeHead(503).end(JSON.stringify({ ...loading, status: "draining", loading: [] })),
  );
  await assert.rejects(new Client({ url: stopping }).waitUntilReady(50), { name: "TimedOut", message: /is stopping/ });
  const failed = await server(
    t,
    (_, answered) => void answered.writeHead(503).end(JSON.stringify({ ...loading, failed: ["disk"] })),
  );
  await assert.rejects(new Client({ url: failed }).waitUntilReady(), { name: "Unavailable", message: /disk/ });
});

test("what goes with a request", async (t) => {
  const asked: Record<string, unknown>[] = [];
  const url = await server(t, (request, answered) => {
    asked.push({ method: request.method, path: request.url, ...request.headers });
    answered.end("null");
  });
  const own = new Client({ url: `${url}/below/` });
  assert.equal(
    await own.call(
      "PUT",
      "/v1/any?thing=1",
      { a: undefined, b: [1, new Float32Array([0.5])] },
      { once: true, headers: { "X-Own": "yes" } },
    ),
    null,
  );
  const [sent] = asked;
  assert.deepEqual([sent?.["method"], sent?.["path"], sent?.["x-own"]], ["PUT", "/below/v1/any?thing=1", "yes"]);
  assert.deepEqual([sent?.["content-type"], sent?.["user-agent"]], ["application/json", `softkv-js/${VERSION}`]);
  assert.equal(sent?.["idempotency-key"], sent?.["x-request-id"]);
  await own.call("DELETE", "/v1/any");
  assert.deepEqual(
    [asked[1]?.["content-type"], asked[1]?.["idempotency-key"], asked[1]?.["authorization"]],
    [undefined, undefined, undefined],
  );
});

test("any call", async () => {
  const list = await client.call<{ access: string }>("GET", "/v1/collections?limit=0");
  assert.match(list.access, /read|write/);
  const name = `typescript-call-${process.pid}`;
  await client.call("PUT", `/v1/collections/${name}`, { encoder: null });
  assert.equal(await client.call("DELETE", `/v1/collections/${name}`), null);
  await assert.rejects(client.call("GET", "/v1/nothing"), { name: "NotFound", code: "not_found" });
  const circle: unknown[] = [];
  circle.push(circle);
  await assert.rejects(client.call("POST", "/v1/attend", circle), { name: "Invalid", message: /wanted JSON/ });
  await assert.rejects(client.call("POST", "/v1/attend", { query: 1n }), Invalid);
});

test("texts become vectors, in parts", async (t) => {
  const { encoder, limits } = await client.info();
  if (encoder === null) return t.skip("this service has no encoder");
  const one = await client.encode(["a cat"], { tokens: true });
  assert.deepEqual([one.embeddings.length, one.embeddings[0]?.length, one.truncated], [1, one.dimension, [false]]);
  assert.equal(one.tokens?.[0]?.length, one.token_counts?.[0]);
  assert.ok(Math.abs(Math.hypot(...(one.embeddings[0] ?? [])) - 1) < 1e-3);
  const most = Math.min(1000, limits.encode_texts);
  const texts = Array.from({ length: most + 2 }, (_, at) => `${at % 10}`);
  const many = await client.encode(texts);
  assert.deepEqual([many.embeddings.length, many.token_counts?.length, many.tokens], [most + 2, most + 2, undefined]);
  const near = (one: Float32Array, other: Float32Array) =>
    one.every((number, at) => Math.abs(number - (other[at] ?? 9)) < 1e-4);
  assert.ok(near(many.embeddings[most + 1] as Float32Array, many.embeddings[(most + 1) % 10] as Float32Array));
  const documents = ["a cat asleep", "tax law", "a dog"];
  const scores = await client.score({ text_1: "a cat", text_2: documents });
  assert.deepEqual((await client.rerankers()).map(({ name }) => name), ["marco"]);
  const [best, ...others] = await client.rerank("a cat", documents, { top_n: 2 });
  assert.equal(others.length, 1);
  assert.equal(best?.index, scores.indexOf(Math.max(...scores)));
  const embedded = await client.embed({ input: ["a cat", "a dog"], model: one.model });
  assert.equal(embedded.embeddings.length, 2);
  assert.ok(near(embedded.embeddings[0] as Float32Array, one.embeddings[0] as Float32Array));
  await assert.rejects(client.embed({ input: "a", model: one.model, dimensions: 0 }), (error: Invalid) => {
    assert.deepEqual([error.name, error.status, error.errors[0]?.pointer], ["Invalid", 400, "/dimensions"]);
    return true;
  });
  await assert.rejects(client.encode("one text" as never), { message: /wanted a list of texts/ });
  await assert.rejects(client.encode([7] as never), Invalid);
  await assert.rejects(client.encode(["a"], { model: "none" }), NotFound);
  await assert.rejects(client.embed({ input: "a", model: "none" }), { name: "NotFound", code: "model_not_found" });
});

test("encoders are listed, and leave memory until the next text", async (t) => {
  const { encoder } = await client.info();
  if (encoder === null) return t.skip("this service has no encoder");
  await client.encode(["a cat"]);
  const [listed] = (await client.encoders()).filter(({ name }) => name === encoder);
  assert.deepEqual([listed?.state, listed?.default, listed?.dimension], ["ready", true, 384]);
  const { name, state } = await client.unloadEncoder(encoder);
  assert.deepEqual([name, state], [encoder, "unloaded"]);
  assert.equal((await client.encode(["a cat"])).embeddings.length, 1);
  assert.equal((await client.encoders()).find(({ name }) => name === encoder)?.state, "ready");
  await assert.rejects(client.unloadEncoder("none"), NotFound);
});

test("what heads look at", async (t) => {
  if ((await client.info()).encoder === null) return t.skip("this service has no encoder");
  const trace = await client.trace("the cat sat", { layers: [0], heads: [1, 2], include: ["changes", "logits"] });
  const tokens = trace.tokens.length;
  assert.deepEqual(trace.attention.shape, [1, 2, tokens, tokens]);
  assert.equal(trace.attention.data.length, 2 * tokens * tokens);
  assert.ok(Math.abs(trace.attention.data.slice(0, tokens).reduce((sum, weight) => sum + weight, 0) - 1) < 1e-3);
  assert.deepEqual(trace.logits?.shape, trace.attention.shape);
  assert.deepEqual(trace.changes?.[0]?.attention.shape, [tokens]);
  assert.equal(trace.query, undefined);
});

test("attention on arrays", async () => {
  const found = await client.attend({
    query: [[1, 0]],
    key: [new Float32Array([1, 0]), [0, 1]],
    value: [
      [1, 10],
      [3, 30],
    ],
    similarity: "dot",
    temperature: 1,
    intermediates: true,
  });
  const weight = Math.E / (Math.E + 1);
  assert.deepEqual(
    [found.output.shape, found.weights?.shape],
    [
      [1, 2],
      [1, 2],
    ],
  );
  assert.ok(Math.abs((found.weights?.data[0] ?? 0) - weight) < 1e-6);
  assert.ok(Math.abs((found.output.data[1] ?? 0) - (10 * weight + 30 * (1 - weight))) < 1e-4);
  assert.deepEqual(found.intermediates?.["query"]?.shape, [1, 2]);
  const masked = await client.attend({
    query: [[1, 0]],
    key: [
      [1, 0],
      [0, 1],
    ],
    value: [[1], [2]],
    mask: [[true, false]],
  });
  assert.equal(masked.logits?.data[1], -Infinity);
  await assert.rejects(client.attend({ query: [[1]], key: [[1, 0]], value: [[1]] }), Invalid);
});

test("events", async (t) => {
  let answer: string[] = [];
  const url = await server(t, async (asked, answered) => {
    if (asked.url === "/busy") return refuse(answered, 429, "listeners_full", { "Retry-After": "0" });
    assert.equal(asked.headers.accept, "text/event-stream");
    answered.writeHead(200, { "Content-Type": "text/event-stream" });
    const bytes = Buffer.from(answer.join(""));
    // Parts that end in the midst of a letter are put together.
    for (const byte of bytes) {
      answered.write(Buffer.of(byte));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    if (asked.url === "/broken") answered.destroy();
    else if (asked.url !== "/endless") answered.end();
  });
  const own = new Client({ url });
  const all = async (told: AsyncIterable<ServiceEvent>) => {
    const found: ServiceEvent[] = [];
    for await (const each of told) found.push(each);
    return found;
  };
  answer = [": hello\n\n", 'event: step\ndata: {"a":"ü"}\n\n', "data: 1\n\n", "data: [1,\ndata: 2]\nevent: two\n\n"];
  const told = [
    { name: "step", data: { a: "ü" } },
    { name: "message", data: 1 },
    { name: "two", data: [1, 2] },
  ];
  assert.deepEqual(await all(own.events("/any")), told);
  assert.deepEqual(await all(own.events("/any", { body: {} })), told);
  answer = answer.map((each) => each.replaceAll("\n", "\r\n"));
  assert.deepEqual(await all(own.events("/any")), told, "lines may end in CR LF");
  answer = answer.map((each) => each.replaceAll("\r\n", "\n"));
  let signal: AbortSignal | null | undefined;
  const seen = new Client({ url, fetch: (to, init) => fetch(to, (signal = init.signal, init)) });
  await all(seen.events("/any"));
  assert.equal(signal?.aborted, false, "what was heard to its end is not ended");
  for await (const _ of seen.events("/any")) break;
  assert.equal(signal?.aborted, true);
  await assert.rejects(all(own.events("/busy")), { name: "Busy", code: "listeners_full" });
  await assert.rejects(all(own.events("/broken")), Unreachable);
  await assert.rejects(all(own.events("/endless", { timeout: 50 })), { name: "TimedOut" });
  const controller = new AbortController();
  const reason = new Error("enough");
  const listening = own.events("/endless", { signal: controller.signal });
  assert.deepEqual((await listening.next()).value, told[0]);
  controller.abort(reason);
  await assert.rejects(all(listening), reason);
});

test("the address is the environment's where none is given", async () => {
  assert.equal(process.env["SOFTKV_URL"], URL_OF_SERVICE);
  assert.equal(await new Client().alive(), true);
});

test("the rows of a file", async () => {
  const file = new Blob(["nr;title;sum;note\n7;cats;12345678901234567;x\n8;;1;y\n9;a;b\n"]);
  const lines = [];
  for await (const line of client.table(file, "books.csv", { id: "nr", key: "title", skip: ["note"] })) lines.push(line);
  const [head, first, second, refused, end] = lines;
  assert.deepEqual(head && "columns" in head && head.columns, ["id", "key", "sum"]);
  assert.equal(JSON.stringify(first), '{"line":2,"cells":{"id":"7","key":"cats","sum":12345678901234567}}');
  assert.deepEqual(second, { line: 3, cells: { id: "8", sum: 1 } });
  assert.match(refused && "detail" in refused ? refused.detail : "", /3 cells and the header 4/);
  assert.deepEqual(end, { done: true, rows: 3, refused: 1, keyless: 1, expired: 0 });
  await assert.rejects(client.table(file, "books.csv", { key: "none" }).next(), {
    name: "Invalid",
    message: /no column 'none'.*its columns are nr, title, sum, note/,
  });
});
