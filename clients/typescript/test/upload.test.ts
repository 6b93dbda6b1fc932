/** Rows of any number: what becomes of them, of those that are wrong, and of an upload that breaks off. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, Invalid, Report, SoftkvError } from "../src/index.ts";
import type { DocumentInput } from "../src/index.ts";
import { client, collection, pass, refuse, server } from "./service.ts";

const VECTORS = { encoder: null, dimension: 2 } as const;

/** So many rows, of which each has its number in its vector. */
function* numbered(many: number): Generator<DocumentInput<number>> {
  for (let at = 0; at < many; at++) yield { id: `d${at}`, key_vector: new Float32Array([at + 1, 1]), value: at };
}

test("rows of every kind of iterable", async (t) => {
  const own = await collection<number>(t, VECTORS);
  const heard: number[] = [];
  const report = await own.upsert(numbered(2500), { onProgress: ({ acknowledged }) => heard.push(acknowledged) });
  assert.deepEqual([report.rows, report.acknowledged, report.upserted, report.refused], [2500, 2500, 2500, []]);
  assert.deepEqual(heard, [1000, 2000, 2500]);
  assert.equal(report.throwForRefused(), report);
  const later = async function* () {
    yield* numbered(3);
    yield { id: "more", key_vector: [1, 2], value: -1 };
  };
  assert.equal((await own.upsert(later())).upserted, 4);
  assert.equal((await own.upsert([...numbered(2)])).upserted, 2);
  assert.equal((await own.upsert([])).rows, 0);
  assert.equal(await own.count(), 2501);
  assert.equal((await own.get("d2499")).value, 2499);
});

test("rows that are wrong keep none back", async (t) => {
  const own = await collection(t, VECTORS);
  const rows = [
    { id: "good", key_vector: [1, 2] },
    { id: "narrow", key_vector: [1] },
    { id: "endless", key_vector: [1, Infinity] },
    { id: "circle", key_vector: [1, 2], value: 1n },
    { key_vector: [1, 2] } as never,
    { id: "good", key_vector: [3, 4] },
    { id: "last", key_vector: [1, 2] },
  ];
  for (const onConflict of ["replace", "skip"] as const) {
    const report = await own.upsert(rows, { onConflict });
    const skipped = onConflict === "skip" ? ["good", "last"] : [];
    assert.deepEqual([report.upserted, report.skipped], [2 - skipped.length, skipped], onConflict);
    assert.deepEqual(
      report.refused.map(({ row, id }) => [row, id]),
      [
        [1, "narrow"],
        [2, "endless"],
        [3, "circle"],
        [4, undefined],
        [5, "good"],
      ],
    );
    assert.match(report.refused[0]?.detail ?? "", /key_vector has width 1/);
    assert.deepEqual(report.refused[1]?.errors[0]?.pointer, "/key_vector");
    assert.match(report.refused[3]?.detail ?? "", /id/);
    assert.throws(
      () => report.throwForRefused(),
      (error: Invalid) => {
        assert.match(error.message, /^\/1: key_vector has width 1/);
        assert.deepEqual(
          error.errors.map((flaw) => flaw.pointer),
          ["/1", "/2", "/3", "/4", "/5"],
        );
        return error instanceof Invalid;
      },
    );
  }
  assert.deepEqual((await own.get("good", { include: ["key_vector"] })).key_vector, new Float32Array([1, 2]));
});

test("rows that had expired before they were sent are counted", async (t) => {
  const rows = [
    { id: "microseconds as nanoseconds", expires: 1_767_225 },
    { id: "text", expires: "2026-01-01T00:00:00Z" },
    { id: "date", expires: new Date(0) },
    { id: "ahead", expires: new Date(Date.now() + 86_400_000) },
    { id: "from now on", expires: "30d" },
    { id: "never", expires: null },
    { id: "refused", expires: "soon" },
    { id: "there", expires: 0 },
  ];
  for (const [onConflict, expired] of [["replace", 4], ["skip", 3]] as const) {
    const own = await collection(t, { encoder: null, dimension: 2 }, [{ id: "there" }]);
    const report = await own.upsert(rows, { onConflict });
    assert.equal(report.expired, expired);
    assert.equal(await own.count(), report.upserted - expired + report.skipped.length);
  }
});

test("what is there already is skipped, or ends the upload", async (t) => {
  const own = await collection<number>(t, VECTORS, [{ id: "d1500", key_vector: [9, 9], value: -1 }]);
  const report = await own.upsert(numbered(2000), { onConflict: "skip" });
  assert.deepEqual([report.upserted, report.skipped], [1999, ["d1500"]]);
  assert.equal((await own.get("d1500")).value, -1);
  const other = await collection<number>(t, VECTORS, [{ id: "d1500", key_vector: [9, 9], value: -1 }]);
  const error = await other.upsert(numbered(4000), { onConflict: "fail" }).catch((failure: unknown) => failure);
  assert.ok(error instanceof SoftkvError);
  assert.deepEqual(
    [error.name, error.code, error.report?.acknowledged, error.report?.upserted],
    ["Conflict", "documents_exist", 1000, 1000],
  );
  assert.equal(await other.count(), 1001);
});

test("an upload that broke off goes on", async (t) => {
  const own = await collection<number>(t, VECTORS);
  let left = 2;
  const url = await server(t, (asked, answered) => {
    if (asked.method === "POST" && left-- <= 0) refuse(answered, 507, "disk_full");
    else pass(asked, answered);
  });
  for (const onConflict of ["replace", "skip"] as const) {
    left = 2;
    const report = new Report();
    const broken = new Client({ url })
      .collection<number>(own.name)
      .upsert(numbered(3500), { onConflict, resume: report });
    await assert.rejects(broken, { name: "StorageFull", report });
    assert.deepEqual([report.acknowledged, report.upserted], [2000, 2000]);
    const kept = Object.assign(new Report(), JSON.parse(JSON.stringify(report)) as Report);
    const done = await own.upsert(numbered(3500), { onConflict, resume: kept });
    assert.equal(done, kept);
    assert.deepEqual([done.rows, done.acknowledged, done.upserted, await own.count()], [3500, 3500, 3500, 3500]);
    await own.delete({ filter: { field: "id", operator: "!=", value: "" } });
  }
  const report = Object.assign(new Report(), { acknowledged: 10 });
  await assert.rejects(own.upsert(numbered(3), { resume: report }), /3 rows came and 10 are acknowledged/);
});

test("an answer that is lost is asked for again, and each row is written once", async (t) => {
  const own = await collection<number>(t, VECTORS);
  let posts = 0;
  const url = await server(t, (asked, answered) => {
    if (asked.method !== "POST" || ++posts % 2 === 0) return pass(asked, answered);
    pass(asked, Object.assign(answered, { writeHead: () => answered.destroy() }));
  });
  const report = await new Client({ url }).collection<number>(own.name).upsert(numbered(1500), { onConflict: "fail" });
  assert.deepEqual([report.upserted, posts, await own.count()], [1500, 4, 1500]);
});

test("what no upload can begin with, and a signal that ends one", async (t) => {
  const own = await collection(t, VECTORS);
  await assert.rejects(own.upsert([], { onConflict: "no" as never }), /onConflict: wanted 'replace', 'skip' or 'fail'/);
  await assert.rejects(own.upsert(["text"] as never), /\/0: wanted an object with a document's fields, got string/);
  await assert.rejects(client.collection("typescript-not-there").upsert([{ id: "a", key: "b" }]), {
    name: "NotFound",
    code: "collection_not_found",
  });
  const controller = new AbortController();
  const reason = new Error("enough");
  let closed = false;
  const rows = async function* () {
    try {
      for (const each of numbered(5000)) {
        if (each.id === "d2000") controller.abort(reason);
        yield each;
      }
    } finally {
      closed = true;
    }
  };
  const report = new Report();
  await assert.rejects(own.upsert(rows(), { resume: report }, { signal: controller.signal }), reason);
  assert.deepEqual([closed, report.acknowledged], [true, 1000]);
  await assert.rejects(
    own.upsert(
      (function* (): Generator<DocumentInput> {
        yield { id: "a", key_vector: [1, 1] };
        throw new RangeError("the rows' own");
      })(),
    ),
    RangeError,
  );
});

test("rows that are longer than the service takes", async (t) => {
  const { body_bytes } = (await client.info()).limits;
  const own = await collection<string>(t, VECTORS);
  const long = "ü".repeat(body_bytes / 2);
  const rows = [
    { id: "a", key_vector: [1, 1] },
    { id: "long", key_vector: [1, 1], value: long },
    { id: "b", key_vector: [1, 1] },
  ];
  for (const onConflict of ["replace", "skip"] as const) {
    const report = await own.upsert(rows, { onConflict });
    assert.deepEqual(
      report.refused.map(({ row, id }) => [row, id]),
      [[1, "long"]],
      onConflict,
    );
    assert.equal(report.acknowledged, 3);
  }
  assert.equal(await own.count(), 2);
});

test("no request brings more than the service says that it takes", async (t) => {
  const own = await collection<number>(t, VECTORS);
  const { limits, ...others } = await client.info();
  let [documents, body_bytes] = [3, 1_000_000];
  const sent: number[] = [];
  const url = await server(t, (asked, answered) => {
    if (asked.url === "/v1")
      return void answered.end(JSON.stringify({ ...others, limits: { ...limits, documents, body_bytes } }));
    sent.push(Number(asked.headers["content-length"]));
    pass(asked, answered);
  });
  const upsert = () => new Client({ url }).collection<number>(own.name).upsert(numbered(10), { onConflict: "skip" });
  assert.equal((await upsert()).upserted, 10);
  assert.equal(sent.length, 4);
  [documents, body_bytes] = [1000, 400];
  sent.length = 0;
  assert.deepEqual((await upsert()).skipped.length, 10);
  assert.ok(sent.length > 2 && Math.max(...sent) <= body_bytes, `${sent}`);
});
