/** Reads {folder, texts, traced} from standard input; writes what workshop/softkv_workshop/web/encoder/ makes of the texts, as JSON. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runInThisContext } from "node:vm";
import { loadEncoder } from "../../../workshop/softkv_workshop/web/encoder/index.js";

globalThis.self = globalThis;
const { folder, texts, encoded, traced } = JSON.parse(readFileSync(0, "utf8"));
const shares = [];
const encoder = await loadEncoder((share) => shares.push(share), async (name) => {
  runInThisContext(readFileSync(join(folder, `${name}.js`), "utf8"));
  return globalThis.softkvRecorded[name];
});
const vectors = await encoder.encode(encoded);
const traces = [];
for (const { text, pair, causal: isCausal } of traced) {
  const { spans, layers } = await encoder.trace(text, { pair, isCausal });
  const [first] = layers;
  const inside = { written: encoder.network.written(first, 0, 3), neurons: encoder.network.neurons(first, 0, 8) };
  traces.push({ spans, layers: layers.map(({ scores: _, outputs: __, ...layer }) => layer), ...inside });
}
const tokens = texts.map((text) => encoder.tokeniser.read(text).map(({ id, start, end }) => ({ id, text: text.slice(start, end) })));
const numbers = (_, value) => (ArrayBuffer.isView(value) ? Array.from(value, (number) => (Number.isFinite(number) ? number : null)) : value);
const without = await encoder.withoutHeads(traced[0].text);
console.log(JSON.stringify({ without, shares, tokens, counts: texts.map((text) => encoder.count(text)), vectors, traces }, numbers));
