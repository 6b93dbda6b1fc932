/** Documents and collections: written, changed, read, found, counted, deleted. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Conflict, F, Invalid, NotFound, type SoftkvError, and, not, or } from "../src/index.ts";
import type { DocumentInput, ReEncoding } from "../src/index.ts";
import { COMPASS, client, collection } from "./service.ts";

const VECTORS = { encoder: null, dimension: 2 } as const;

test("a collection is made, changed, listed and dropped", async (t) => {
  const own = await collection(t, { ...VECTORS, temperature: 0.5 });
  const info = await own.info();
  assert.deepEqual(
    [info.name, info.dimension, info.encoder, info.temperature, info.documents],
    [own.name, 2, null, 0.5, 0],
  );
  await assert.rejects(own.create(VECTORS), Conflict);
  await assert.rejects(own.create({ ...VECTORS, temperature: 0.5 }), /say existOk: true to take it/);
  assert.equal((await own.create({ ...VECTORS, temperature: 0.5, existOk: true })).name, own.name);
  await assert.rejects(own.create({ encoder: null, dimension: 3, existOk: true }), { code: "collection_conflict" });
  assert.equal((await own.change({ temperature: 2 })).temperature, 2);
  const names: string[] = [];
  for await (const each of client.collections({ prefix: own.name, page: 1 })) names.push(each.name);
  assert.deepEqual(names, [own.name]);
  assert.equal(await client.collections({ prefix: "typescript-not-there" }).first(), undefined);
  const brief = client.collection(`${own.name}-brief`);
  await brief.create(VECTORS);
  assert.equal(await brief.drop(), undefined);
  await assert.rejects(brief.info(), NotFound);
});

test("one document", async (t) => {
  const own = await collection<{ text: string; pages?: number | null }>(t, VECTORS);
  const id = "a/b c?d#e%ü";
  const put = await own.put(id, { key: "a key", value: { text: "one" }, metadata: { year: 1 }, key_vector: [1, 0.5] });
  assert.deepEqual(put, { upserted: 1, skipped: [], deleted: 0, truncated: [] });
  assert.deepEqual(await own.get(id), { id, key: "a key", value: { text: "one" }, metadata: { year: 1 } });
  await own.patch(id, { value: { pages: 3 }, metadata: { shelf: "top" }, key_vector: new Float32Array([0, 1]) });
  const changed = await own.get(id, { include: ["value", "metadata", "key_vector"] });
  assert.deepEqual(changed.value, { text: "one", pages: 3 });
  assert.deepEqual(changed.metadata, { year: 1, shelf: "top" });
  assert.deepEqual(changed.key_vector, new Float32Array([0, 1]));
  assert.deepEqual([await own.exists(id), await own.exists("other")], [true, false]);
  await assert.rejects(own.get("other"), { name: "NotFound", code: "document_not_found" });
  await assert.rejects(own.patch("other", { value: null }), NotFound);
  await assert.rejects(client.collection("typescript-not-there").exists("a"), { code: "collection_not_found" });
  assert.equal(await own.remove(id), undefined);
  await assert.rejects(own.remove(id), NotFound);
});

test("ids that are none", async (t) => {
  const own = await collection(t, VECTORS);
  for (const id of ["", ".", "..", "a\nb", "\ud800", 7 as unknown as string]) {
    await assert.rejects(own.get(id), {
      name: "Invalid",
      code: "invalid_content",
      requestId: undefined,
      message: /^path.id: /,
    });
    await assert.rejects(own.put(id, { key_vector: [1, 0] }), Invalid);
  }
  const number = { name: "Invalid", message: 'path.id: wanted a text, got 7: send it as the text "7"' };
  await assert.rejects(own.get(7 as unknown as string), number);
  await assert.rejects(own.get("a".repeat(257)), { name: "Invalid", message: /^path.id: wanted an id of 1 to 256/ });
});

test("several keys, none, and vectors in the form of the wire", async (t) => {
  const own = await collection(t, VECTORS);
  await own.write([
    { id: "none", value: "keyless" },
    { id: "two", key_vectors: [[1, 0], new Float32Array([0, 1])] },
    {
      id: "wire",
      key_vector: { base64: btoa(String.fromCharCode(...new Uint8Array(new Float32Array([1, 2]).buffer))) },
    },
  ]);
  assert.deepEqual(Object.keys(await own.get("two", { include: [] })), ["id"]);
  const [none, two, wire] = await own.getMany(["none", "two", "wire"], { include: ["key_vector"] });
  assert.equal(none?.key_vector, null);
  assert.deepEqual(two?.key_vectors, [new Float32Array([1, 0]), new Float32Array([0, 1])]);
  assert.deepEqual(wire?.key_vector, new Float32Array([1, 2]));
});

test("many documents in the order asked", async (t) => {
  const documents: DocumentInput[] = Array.from({ length: 1200 }, (_, at) => ({
    id: `${at}`,
    key_vector: [at + 1, 1],
  }));
  const own = await collection(t, VECTORS, documents);
  const ids = ["7", "not there", "3", "7", ...documents.map((each) => each.id).reverse()];
  const found = await own.getMany(ids);
  assert.deepEqual(
    found.map((each) => each?.id),
    ["7", undefined, ...ids.slice(2)],
  );
});

test("found documents come page by page", async (t) => {
  const own = await collection<string>(t, VECTORS, COMPASS);
  const ids = async (pages: AsyncIterable<{ id: string }>) => {
    const found: string[] = [];
    for await (const { id } of pages) found.push(id);
    return found;
  };
  assert.deepEqual(await ids(own.find({ page: 1 })), ["east", "north", "south", "west"]);
  assert.deepEqual(await ids(own.find({ ids: ["west", "east", "other"] })), ["east", "west"]);
  const sizes: number[] = [];
  for await (const page of own.find({ page: 3 }).pages()) sizes.push(page.length);
  assert.deepEqual(sizes, [3, 1]);
  assert.equal((await own.find({ filter: F("year", ">", 1900) }).first())?.value, "pole");
  assert.equal(await own.find({ filter: F("year", ">", 2100) }).first(), undefined);
  assert.equal(await own.find({ filter: F("year", ">", 1900), page: 1 }).count(), 2);
  assert.deepEqual(await own.find({ filter: F("year", ">", 1900) }).warnings(), []);
  const [warning] = await own.find({ filter: F("year", ">", "1900") }).warnings();
  assert.match(warning ?? "", /^metadata\.year holds numbers in every document that has it, and is compared with a text/);
  assert.equal(await own.count(), 4);
  const stopped: string[] = [];
  for await (const { id } of own.find({ page: 1 })) {
    stopped.push(id);
    if (id === "north") break;
  }
  assert.deepEqual(stopped, ["east", "north"]);
});

test("every filter means what it says", async (t) => {
  const own = await collection<string>(t, VECTORS, COMPASS);
  const cases: [Parameters<typeof own.count>[0], number][] = [
    [{ filter: F("year", "==", 1900) }, 1],
    [{ filter: F("metadata.year", "!=", 1900) }, 3],
    [{ filter: F("year", "<=", 1950) }, 2],
    [{ filter: F("year", "in", [1900, 2000]) }, 2],
    [{ filter: F("year", "not in", [1900, 2000]) }, 2],
    [{ filter: F("year", "==", null) }, 1],
    [{ filter: F("words", "contains", "sun") }, 1],
    [{ filter: F("words", "contains", "SUN", { ignore_case: true }) }, 1],
    [{ filter: F("id", ">", "north") }, 2],
    [{ filter: and(F("year", ">", 1900), F("year", "<", 2000)) }, 1],
    [{ filter: or(F("id", "==", "west"), not(F("year", "!=", 1900))) }, 2],
    [{ filter: and() }, 4],
    [{}, 4],
  ];
  for (const [options, many] of cases) assert.equal(await own.count(options), many, JSON.stringify(options));
  assert.deepEqual(F("id", "==", "a"), { field: "id", operator: "==", value: "a" });
  assert.deepEqual(F("metadata.id", "==", "a").field, "metadata.id");
  await assert.rejects(own.count({ filter: F("year", ">", [1] as never) }), Invalid);
});

test("many are changed and deleted at once", async (t) => {
  const own = await collection<string>(t, VECTORS, COMPASS);
  assert.equal(await own.update({ filter: F("year", ">", 1900) }, { metadata: { year: null, late: true } }), 2);
  assert.equal(await own.update({ ids: ["west", "other"] }, { value: "dusk" }), 1);
  assert.deepEqual((await own.get("north")).metadata, { words: ["cold"], late: true });
  assert.equal((await own.get("west")).value, "dusk");
  assert.equal(await own.delete({ filter: F("late", "==", true) }), 2);
  assert.equal(await own.delete({ ids: ["west", "other"] }), 1);
  await assert.rejects(own.delete({ filter: and() }), /one that every document passes/);
  assert.equal(await own.count(), 1);
  await assert.rejects(own.delete({} as never), Invalid);
});

test("all in one transaction, or none", async (t) => {
  const own = await collection<string>(t, VECTORS, COMPASS);
  const documents = [
    { id: "east", key_vector: [1, 1], value: "new" },
    { id: "up", key_vector: [1, 1], value: "sky" },
  ];
  await assert.rejects(own.write(documents, { onConflict: "fail" }), { name: "Conflict", code: "documents_exist" });
  assert.deepEqual(await own.write(documents, { onConflict: "skip" }), {
    upserted: 1,
    skipped: ["east"],
    deleted: 0,
    truncated: [],
  });
  const superseding = await own.write([{ id: "up", key_vector: [1, 1], value: "sky" }], { delete: ["east", "nowhere"] });
  assert.deepEqual(superseding, { upserted: 1, skipped: [], deleted: 1, truncated: [] });
  assert.deepEqual(await own.write(new Set(documents)), { upserted: 2, skipped: [], deleted: 0, truncated: [] });
  assert.equal((await own.get("east")).value, "new");
  await assert.rejects(
    own.write([
      { id: "a", key_vector: [1, 1] },
      { id: "b", key_vector: [1, NaN] },
    ]),
    /^Invalid: \/documents\/1\/key_vector/,
  );
  await assert.rejects(
    own.write([
      { id: "a", key_vector: [1, 1] },
      { id: "b", key_vector: [1] },
    ]),
    Invalid,
  );
  assert.equal(await own.exists("a"), false);
});

test("facts on fields", async (t) => {
  const own = await collection<string>(t, VECTORS, COMPASS);
  const fields = await own.fields();
  assert.deepEqual(Object.keys(fields).sort(), ["metadata.words", "metadata.year"]);
  assert.deepEqual(
    [fields["metadata.year"]?.min, fields["metadata.year"]?.max, fields["metadata.year"]?.count],
    [1900, 2000, 3],
  );
  const [only] = Object.entries(await own.fields({ fields: ["words"], values: true, filter: F("year", "<", 1960) }));
  assert.equal(only?.[0], "metadata.words");
  assert.equal(only?.[1].values?.length, 3);
  const values: unknown[] = [];
  for await (const { value, count } of own.values("words")) values.push([value, count]);
  assert.deepEqual(values.sort(), [
    ["cold", 1],
    ["sun", 1],
    ["warm", 1],
  ]);
  assert.equal(await own.values("words", { filter: F("year", "==", 1900) }).count(), 2);
});

test("more fields, and more values of one, than come in one answer", async (t) => {
  const { fields } = (await client.info()).limits;
  const wide = Object.fromEntries(Array.from({ length: fields + 50 }, (_, at) => [`f${at}`, at]));
  const rows = Array.from({ length: 1200 }, (_, at) => ({ id: `${at}`, metadata: at ? { at } : { at, ...wide } }));
  const own = await collection(t, VECTORS, rows);
  assert.equal(Object.keys(await own.fields()).length, fields + 51);
  const values = new Set<unknown>();
  for await (const { value } of own.values("at")) values.add(value);
  assert.deepEqual([values.size, await own.values("at").count()], [1200, 1200]);
});

test("a collection moves to another encoder", async (t) => {
  const { encoder } = await client.info();
  if (encoder === null) return t.skip("this service has no encoder");
  const own = await collection<string>(t, { encoder: null }, [
    { id: "a", key: "cats that purr" },
    { id: "b", key: "relational databases" },
  ]);
  assert.equal((await own.info()).re_encode, null);
  await assert.rejects(own.cancelReEncoding(), { name: "NotFound", code: "re_encoding_not_found" });
  await assert.rejects(own.reEncode("no such encoder"), Invalid);
  const begun = await own.reEncode(encoder, { temperature: 0.1 });
  assert.deepEqual([begun.from, begun.to, begun.documents], [null, encoder, 2]);
  let job: ReEncoding | null = begun;
  while (job?.state === "running" || job?.state === "paused") job = (await own.info()).re_encode;
  assert.deepEqual([job?.state, job?.done, job?.reason], ["done", 2, null]);
  const { encoder: now, temperature, documents } = await own.info();
  assert.deepEqual([now, temperature, documents], [encoder, 0.1, 2]);
  assert.equal((await own.attend("cats that purr")).matches[0]?.id, "a");
  await assert.rejects(own.cancelReEncoding(), { name: "Conflict", code: "re_encoding_over" });
});

test("a projection is stored, read back and removed", async (t) => {
  const own = await collection(t, VECTORS);
  assert.equal(await own.projection(), null);
  const { dimension } = await own.info();
  const down = [Float32Array.from({ length: dimension ?? 0 }, (_, i) => i / 4)];
  const stored = await own.putProjection(down, down);
  assert.deepEqual([stored.rank, stored.drops], [1, []]);
  const read = await own.projection();
  assert.deepEqual([read?.down, read?.up, read?.at], [down, down, stored.at]);
  assert.equal((await own.change({ projection: null })).projection, null);
});

test("a move to another encoder is cancelled", async (t) => {
  const { encoder } = await client.info();
  if (encoder === null) return t.skip("this service has no encoder");
  // So many long texts that it is far from its end.
  const texts = Array.from({ length: 2000 }, (_, i) => ({ id: `${i}`, key: `text ${i} of many words `.repeat(100) }));
  const own = await collection<string>(t, { encoder: null }, texts);
  await own.reEncode(encoder);
  await assert.rejects(own.reEncode(encoder), { name: "Conflict", code: "re_encoding_active" });
  assert.equal((await own.cancelReEncoding()).state, "cancelled");
  assert.equal((await own.info()).encoder, null);
});

test("an invalid date is refused at every door, and never sent as null", async (t) => {
  const own = await collection(t, VECTORS);
  await own.put("d", { expires: "30d", metadata: { at: new Date(0) } });
  const kept = await own.get("d");
  const date = new Date("");
  const message = /wanted a date, got an invalid Date: send null/;
  for (const [call, pointer] of [
    [() => own.put("d", { expires: date }), "/expires"],
    [() => own.patch("d", { expires: date }), "/expires"],
    [() => own.update({ ids: ["d"] }, { expires: date }), "/patch/expires"],
    [() => own.write([{ id: "d", metadata: { a: [1, { b: date }] } }]), "/documents/0/metadata/a/1/b"],
    [() => own.put("d", { value: date }), "/value"],
    [() => own.count({ filter: { field: "metadata.at", operator: "==", value: date as never } }), "/filter/value"],
    [async () => F("at", ">", date), "/value"],
    [async () => F("at", "in", [new Date(), date]), "/value"],
  ] as const) {
    await assert.rejects(call, (error: SoftkvError) => {
      assert.deepEqual([error.name, error.errors[0]?.pointer], ["Invalid", pointer]);
      assert.match(error.message, message);
      return true;
    });
  }
  const report = await own.upsert([{ id: "a" }, { id: "b", expires: date }]);
  assert.deepEqual(report.refused.map(({ id, errors }) => [id, errors[0]?.pointer]), [["b", "/expires"]]);
  assert.deepEqual(await own.get("d"), kept);
  await own.patch("d", { expires: null });
  assert.equal((await own.get("d")).expires, undefined);
});

test("what JSON would change is refused where it stands", async (t) => {
  const own = await collection(t, VECTORS);
  const lost = [
    [2n ** 64n, /^\/metadata\/a~1b\/1: wanted JSON, got the BigInt 18446744073709551616: send it as text/],
    [2 ** 53, /^\/metadata\/a~1b\/1: wanted integers up to 2\^53 - 1, got 9007199254740992, .* send it as text/],
    [() => 1, /^\/metadata\/a~1b\/1: wanted JSON, got a function: leave it out/],
    [new Map([["x", 1]]), /^\/metadata\/a~1b\/1: wanted JSON, got a Map: send Object.fromEntries/],
    [new Set([1]), /^\/metadata\/a~1b\/1: wanted JSON, got a Set: send an array/],
    [Infinity, /^\/metadata\/a~1b\/1: wanted JSON, which has no NaN and no Infinity/],
  ] as const;
  for (const [value, message] of lost) {
    await assert.rejects(own.put("x", { metadata: { "a/b": [1, value] } }), { name: "Invalid", message });
  }
  await assert.rejects(own.count({ filter: F("u", "==", -(2 ** 60)) }), /^Invalid: \/filter\/value: wanted integers/);
  const report = await own.upsert([{ id: "a" }, { id: "b", metadata: { wei: 2n ** 80n } }, { id: "c", value: 2 ** 53 }]);
  assert.deepEqual([report.upserted, report.refused.map(({ id }) => id)], [1, ["b", "c"]]);
  const most = [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 1e21, 0.1];
  const vector = [1, 2n] as unknown as number[];
  await assert.rejects(own.put("x", { key_vector: vector }), { name: "Invalid", message: /^\/key_vector: number 1 is a BigInt/ });
  await assert.rejects(own.attend(new BigInt64Array(2) as never), { name: "Invalid", message: /number 0 is a BigInt/ });
  await own.put("most", { key_vector: [2 ** 60, 1], metadata: { most } });
  const document = await own.get("most", { include: ["metadata", "key_vector"] });
  assert.deepEqual([document.metadata?.["most"], [...document.key_vector!]], [most, [2 ** 60, 1]]);
});
