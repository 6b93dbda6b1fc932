/** Reads {folder, texts, drawn} from standard input; writes what workshop/softkv_workshop/web/language/ makes of the texts, as JSON. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runInThisContext } from "node:vm";
import { LanguageModel } from "../../softkv_workshop/web/language/index.js";

globalThis.self = globalThis;
const { folder, texts } = JSON.parse(readFileSync(0, "utf8"));
const load = () =>
  LanguageModel.load(async (name) => {
    runInThisContext(readFileSync(join(folder, `${name}.js`), "utf8"));
    return globalThis.softkvRecorded[name];
  });
const model = await load();
const fresh = await load();
const answers = texts.map((text) => {
  const { ids, words, left, unknown } = model.tokens(text);
  let byWord;
  for (let n = 1; n <= ids.length; n++) byWord = fresh.trace(ids.slice(0, n));
  const { logits, layers } = model.trace(ids);
  const candidates = [0, 0.5, 1, Infinity].map((temperature) => model.next(logits, temperature, 5));
  const sums = [0, 0.5, 1, Infinity].map((temperature) => model.probabilities(logits, temperature).reduce((sum, share) => sum + share, 0));
  const drawn = [0, 0.25, 0.5, 0.75, 1].map((share) => model.draw(logits, 1, share));
  const lookedUp = layers.map((layer, i) => model.lookUp(layer, i, 6));
  return { lookedUp, ids, words, left, unknown: unknown.map((word) => word.text), logits, layers, byWord, halves: model.halves(ids), candidates, sums, drawn };
});
const errors = [[], Array(model.shape.positions + 1).fill(1)].map((ids) => {
  try {
    return model.logits(ids);
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
});
console.log(JSON.stringify({ answers, errors }, (_, value) => (ArrayBuffer.isView(value) ? Array.from(value) : value)));
