/** A trace of a Transformer: the picture of all its heads. */

import { h } from "../shared/element.js";
import { Heads } from "../shared/heads.js";
import { speaker } from "../shared/speaker.js";

/**
 * @param {import("./index.js").Model} model
 * @param {import("../shared/words.js").Language} language
 * @returns {import("./index.js").View}
 */
export function heads(model, language) {
  const { tokens, layers, heads: numbers } = model.get("_trace");
  const say = speaker(language);
  /** @param {Record<string, number>} state */
  const set = (state) => {
    for (const [name, value] of Object.entries(state)) model.set(name, value);
    model.save_changes();
    show();
  };
  const picture = new Heads(say, layers.length, numbers.length, {
    head: (layer, head) => set({ layer, head }),
    word: (word) => set({ word }),
    name: (layer, head) => ({ layer: layers[layer] + 1, head: numbers[head] + 1 }),
  });
  const n = tokens.length;
  const { buffer, byteOffset, byteLength } = /** @type {DataView<ArrayBuffer>} */ (model.get("_weights"));
  const weights = new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength));
  const one = (/** @type {number} */ at) => weights.subarray(at * n * n, (at + 1) * n * n);
  const attention = layers.map((/** @type {number} */ _, /** @type {number} */ i) =>
    numbers.map((/** @type {number} */ __, /** @type {number} */ j) => one(i * numbers.length + j)),
  );
  const show = () => picture.show(model.get("layer"), model.get("head"), model.get("word"));

  const watcher = new ResizeObserver(([{ contentRect }]) => picture.lines.layout(contentRect.width, contentRect.height));
  watcher.observe(picture.place);
  picture.take({ tokens, attention });
  show();
  return {
    element: h("div.heads", {}, picture.element),
    follow: { layer: show, head: show, word: show },
    leave: () => watcher.disconnect(),
  };
}
