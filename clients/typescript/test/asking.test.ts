/** Questions: attend, sweep and compare of a real service. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { F, Invalid, NotFound } from "../src/index.ts";
import { COMPASS, client, collection } from "./service.ts";

const VECTORS = { encoder: null, dimension: 2, similarity: "dot", temperature: 0.5 } as const;

test("one question has one answer, whose weights sum to one", async (t) => {
  const compass = await collection<string>(t, VECTORS, COMPASS);
  const answer = await compass.attend([1, 0], { top_k: 2 });
  assert.deepEqual(
    answer.matches.map(({ id, value }) => [id, value]),
    [
      ["east", "sunrise"],
      ["north", "pole"],
    ],
  );
  const weight = answer.matches.reduce((sum, match) => sum + match.weight, 0);
  assert.ok(Math.abs(weight + answer.rest_weight + answer.evidence.null_weight - 1) < 1e-6);
  const whole = Math.exp(2) + 2 + Math.exp(-2);
  assert.ok(Math.abs((answer.matches[0]?.weight ?? 0) - Math.exp(2) / whole) < 1e-6);
  assert.deepEqual(
    [answer.documents, answer.keys, answer.temperature, answer.certificate.method],
    [4, 4, 0.5, "exact"],
  );
  assert.deepEqual(
    [...answer].map((match) => match.id),
    ["east", "north"],
  );
  assert.match(answer.requestId ?? "", /^[0-9a-f]{32}$/);
});

test("what is asked as numbers, float32 and float64 is the same question", async (t) => {
  const compass = await collection<string>(t, VECTORS, COMPASS);
  const answers = await compass.attend([[0.5, 0.25], new Float32Array([0.5, 0.25]), new Float64Array([0.5, 0.25])]);
  const [one, ...others] = answers.map((answer) => answer.matches);
  assert.equal(others.length, 2);
  for (const other of others) assert.deepEqual(other, one);
});

test("vectors come back as float32", async (t) => {
  const settings = { ...VECTORS, value_dimension: 3 };
  const value_vector = new Float32Array([0.1, 2, -3e38]);
  const own = await collection(t, settings, [
    { id: "a", key_vector: [1, 0.3], value_vector, value: { any: ["json"] } },
  ]);
  const answer = await own.attend([1, 0], { include: ["value", "output", "key_vector", "value_vector"], null: false });
  assert.deepEqual(answer.output, value_vector);
  assert.deepEqual(answer.matches[0]?.key_vector, new Float32Array([1, 0.3]));
  assert.deepEqual(answer.matches[0]?.value_vector, value_vector);
  assert.deepEqual(answer.matches[0]?.value, { any: ["json"] });
  assert.equal((await own.attend([1, 0])).output, undefined);
});

test("many questions are answered in their order, of any number", async (t) => {
  const compass = await collection<string>(t, VECTORS, COMPASS);
  const { queries } = (await client.info()).limits;
  const asked = Array.from({ length: queries * 2 + 1 }, (_, at) => (at % 3 ? [0, 1] : [-1, 0]));
  const answers = await compass.attend(asked, { top_k: 1 });
  assert.deepEqual(
    answers.map((answer) => answer.matches[0]?.id),
    asked.map(([x]) => (x ? "west" : "north")),
  );
  assert.deepEqual(await compass.attend([]), []);
  for (const options of [{ top_k: 10_000 }, { top_p: 0.9 }]) {
    const whole = await compass.attend(asked.slice(0, 25), options);
    assert.equal(whole.length, 25, "in parts whose matches an answer holds");
  }
});

test("the matches above none of these", async (t) => {
  const compass = await collection<string>(t, VECTORS, COMPASS);
  const answer = await compass.attend([1, 0], { null: 0.5 });
  assert.deepEqual(
    answer.aboveNull.map((match) => match.id),
    ["east"],
  );
  assert.deepEqual((await compass.attend([1, 0], { null: 9 })).aboveNull, []);
  assert.deepEqual((await compass.attend([1, 0], { null: 1 })).aboveNull, [], "as similar is not more");
  assert.equal((await compass.attend([1, 0], { null: false })).aboveNull.length, 4);
});

test("an answer explains why it was given or not", async (t) => {
  const compass = await collection<string>(t, VECTORS, COMPASS);
  const answer = await compass.attend([1, 0], { null: 0.5, temperature: 0.05 });
  assert.equal(answer.explain(), answer.reason);
  assert.match(answer.explain(), /^“east” stands out: it has .* The best match has similarity 1, above 0\.5, where/);
  const nothing = await compass.attend([1, 0], { filter: F("year", ">", 3000) });
  assert.equal(nothing.explain(), "No document can answer: none with a key passes the filter.");
  const warned = await compass.attend([1, 0], { filter: F("yaer", "==", 1900) });
  assert.match(warned.explain(), /passes the filter\.\n.*yaer/);
});

test("one document stands out, several share the weight, or there is nothing", async (t) => {
  const compass = await collection<string>(t, VECTORS, COMPASS);
  const one = await compass.attend([1, 0], { null: false });
  assert.deepEqual([one.verdict, one.best, one.evidence.verdict_certain], ["one", one.matches[0], true]);
  const several = await compass.attend([1, 0], { null: false, temperature: 100 });
  assert.deepEqual([several.verdict, several.best, several.matches.length], ["several", undefined, 4]);
  assert.equal(several.evidence.alike, false);
  await compass.put("twin", { key_vector: [1, 0] });
  const twins = await compass.attend([1, 0], { null: false, temperature: 0.05, top_k: 1 });
  assert.deepEqual([twins.verdict, twins.evidence.alike], ["several", true]);
  const none = await compass.attend([1, 0], { null: 9 });
  assert.deepEqual([none.verdict, none.best], ["none", undefined]);
  assert.equal((await compass.attend([1, 0], { null: false, top_k: 0 })).best, undefined);
});

test("texts are asked in words", async (t) => {
  const { encoder } = await client.info();
  if (encoder === null) return t.skip("this service has no encoder");
  const own = await collection<string>(t, {}, [
    { id: "a", key: "cats that purr" },
    { id: "b", key: "relational databases" },
  ]);
  const answer = await own.attend("cats that purr", { include: ["value", "key"] });
  assert.deepEqual(
    [answer.matches[0]?.id, answer.matches[0]?.key, answer.matches[0]?.value],
    ["a", "cats that purr", "cats that purr"],
  );
  const [first, second] = await own.attend(["relational databases", "cats that purr"], { top_k: 1 });
  assert.deepEqual([first?.matches[0]?.id, second?.matches[0]?.id], ["b", "a"]);
  const compared = await own.compare("cats that purr", { top_k: 1 });
  assert.equal(compared.sql.rows[0]?.id, "a");
  assert.equal(compared.top_k.matches[0]?.id, "a");
  assert.equal(compared.attention.matches[0]?.value, "cats that purr");
  const rows = await client.compare(
    "purr",
    [
      { id: "a", key: "cats that purr" },
      { id: "b", key: "databases" },
    ],
    { top_k: 1 },
  );
  assert.equal(rows.full_text.rows[0]?.id, "a");
  assert.equal(rows.attention.matches.length, 1);
});

test("feedback is given, listed and deleted", async (t) => {
  const compass = await collection<string>(t, VECTORS, COMPASS);
  const judgements = [
    { query: new Float32Array([0, 1]), id: "north", right: true },
    { query: [1, 0], id: null, right: false },
  ];
  assert.equal(await compass.giveFeedback([...judgements, { query: [1, 0], id: "nowhere", right: true }]), 2);
  const pages = compass.feedback({ page: 1 });
  assert.equal(await pages.count(), 2);
  const numbers = [];
  for await (const { number, id, first } of pages) {
    numbers.push(number);
    assert.equal(first, id ?? "east");
  }
  assert.equal(await compass.deleteFeedback({ numbers: numbers.slice(1) }), 1);
  assert.equal(await compass.deleteFeedback({ all: true }), 1);
  await assert.rejects(compass.giveFeedback([{ query: [1, 0], id: "nowhere", right: true }]), Invalid);
  await assert.rejects(compass.calibrateFrom("feedback"), (error: Invalid) => error.errors[0]?.pointer === "/from");
});

test("labelled questions say how sure an answer may be", async (t) => {
  const compass = await collection<string>(t, VECTORS, COMPASS);
  const labelled = Array.from({ length: 60 }, (_, i) =>
    i % 2 ? { query: [1, i / 200], id: "east" } : { query: new Float32Array([0.1, i / 600]), id: null },
  );
  const found = await compass.calibrate([...labelled, { query: [0, 1], ids: ["north", "gone", "east"] }], { apply: true });
  assert.deepEqual(
    found.left_out.map(({ pointer }) => pointer),
    ["/questions/60/ids/1"],
  );
  assert.deepEqual(found.labels, { present: 31, absent: 30 });
  assert.equal(found.documents, 4);
  assert.ok((found.after.log_loss.error ?? 0) > 0);
  const kept = (await compass.info()).calibration;
  assert.equal(kept?.temperature, found.applied ? found.temperature : undefined);
  if (found.applied) {
    const { matches } = await compass.attend([1, 0], { min_confidence: 0.5 });
    assert.equal(typeof matches[0]?.confidence, "number");
    await assert.rejects(compass.change({ calibration: kept as never }), Invalid);
    assert.deepEqual((await compass.info()).calibration, kept);
  }
  await assert.rejects(compass.calibrate(labelled.slice(0, 9)), Invalid);
});

test("one question at many temperatures", async (t) => {
  const compass = await collection<string>(t, VECTORS, COMPASS);
  const swept = await compass.sweep(new Float32Array([1, 0]), [0, 0.5, 100], {
    top_k: 2,
    include: ["value", "key_vector"],
  });
  assert.deepEqual(
    swept.matches.map((match) => match.id),
    ["east", "north"],
  );
  assert.deepEqual(swept.matches[0]?.key_vector, new Float32Array([1, 0]));
  assert.deepEqual(
    swept.temperatures.map((each) => each.temperature),
    [0, 0.5, 100],
  );
  const [cold, usual] = swept.temperatures;
  assert.equal(cold?.weights[0], 1);
  const answer = await compass.attend([1, 0]);
  assert.ok(Math.abs((usual?.weights[0] ?? 0) - (answer.matches[0]?.weight ?? 1)) < 1e-6);
});

test("filters leave out documents", async (t) => {
  const compass = await collection<string>(t, VECTORS, COMPASS);
  const answer = await compass.attend([1, 0], { filter: F("year", ">", 1900) });
  assert.deepEqual(answer.matches.map((match) => match.id).sort(), ["north", "south"]);
});

test("a wrong question is refused, with where and why", async (t) => {
  const compass = await collection<string>(t, VECTORS, COMPASS);
  await assert.rejects(compass.attend([1, 0], { top_k: -1 }), (error: Invalid) => {
    assert.ok(error instanceof Invalid);
    assert.deepEqual(
      [error.name, error.code, error.status, error.errors[0]?.pointer],
      ["Invalid", "invalid_content", 422, "/top_k"],
    );
    assert.match(error.requestId ?? "", /^[0-9a-f]{32}$/);
    return true;
  });
  await assert.rejects(compass.attend([1, 0, 0]), Invalid);
  await assert.rejects(compass.attend([1, NaN]), {
    code: "invalid_content",
    requestId: undefined,
    message: /number 1 is not finite/,
  });
  await assert.rejects(
    compass.attend([
      [1, 0],
      [1e39, 0],
    ]),
    { message: /^\/queries\/1: number 0 is not finite/ },
  );
  await assert.rejects(compass.attend([1, 0], { temperature: NaN }), { message: /no NaN/ });
  await assert.rejects(compass.attend(null as never), { message: /\/query: wanted a vector/ });
  await assert.rejects(compass.sweep([1, 0], []), Invalid);
  const gone = client.collection("typescript-not-there");
  await assert.rejects(gone.attend("cats"), (error: NotFound) => {
    assert.ok(error instanceof NotFound);
    assert.equal(error.code, "collection_not_found");
    return true;
  });
});
