/** A hundred thousand documents from a generator: memory stays flat. It takes half a minute. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { DocumentInput } from "../src/index.ts";
import { collection } from "./service.ts";

const ROWS = 100_000;
const WIDTH = 32;
const MOST_MEGABYTES = 8;
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Megabytes that are in use. */
function inUse(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 1e6;
}

async function* numbered(): AsyncGenerator<DocumentInput> {
  for (let at = 0; at < ROWS; at++) {
    const key_vector = Float32Array.from({ length: WIDTH }, (_, place) => Math.sin(at * WIDTH + place));
    yield { id: `d${at}`, key_vector, value: `the value of row ${at}`, metadata: { at } };
  }
}

test("memory stays flat while a hundred thousand documents are sent", async (t) => {
  const own = await collection(t, { encoder: null, dimension: WIDTH });
  const began = Date.now();
  const megabytes: number[] = [];
  const report = await own.upsert(numbered(), {
    onProgress: ({ acknowledged }) => {
      if (acknowledged % 10_000 === 0) megabytes.push(inUse());
    },
  });
  const seconds = (Date.now() - began) / 1000;
  const shown = megabytes.map((each) => each.toFixed(1)).join(" ");
  t.diagnostic(`${ROWS} documents in ${seconds.toFixed(1)} s; megabytes in use after each 10,000: ${shown}`);
  assert.deepEqual([report.upserted, report.refused.length, await own.count()], [ROWS, 0, ROWS]);
  assert.equal(megabytes.length, 10);
  const grown = Math.max(...megabytes) - (megabytes[0] ?? 0);
  assert.ok(grown < MOST_MEGABYTES, `it grew by ${grown.toFixed(1)} MB: ${shown}`);
});
