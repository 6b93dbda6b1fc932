/** Whether the service's encoder reads Chinese: asked once, with texts whose translations are known. */

import { SoftkvError, vectorOf } from "../../../../service/web/shared/api.js";

/** Texts, and their translations. */
const PAIRS = [
  ["怎么泡绿茶", "how to brew green tea"],
  ["怎么做滤泡咖啡", "how to brew filter coffee"],
  ["怎么补自行车内胎", "how to patch a bicycle tube"],
  ["怎么打单套结", "how to tie a bowline"],
  ["怎么找到北极星", "how to find the north star"],
];

/** @type {WeakMap<Page.API, Promise<boolean>>} */
const asked = new WeakMap();

/** @param {Page.API} api @returns {Promise<boolean>} false where the service cannot tell, too */
export function readsChinese(api) {
  const answer = asked.get(api) ?? ask(api);
  asked.set(api, answer);
  return answer;
}

/** @param {Page.API} api */
async function ask(api) {
  const texts = [0, 1].flatMap((side) => PAIRS.map((pair) => pair[side]));
  try {
    return knowsBoth(await api.post("/v1/encode", { texts, purpose: "document" }), PAIRS.length);
  } catch (failure) {
    if (!(failure instanceof SoftkvError)) throw failure;
    asked.delete(api);
    return false;
  }
}

/**
 * Whether an encoder puts each text nearest to its translation. One that splits Chinese into bytes knows each token, and
 * no word: so unknown tokens alone do not tell.
 *
 * @param {{embeddings: (number[]|{base64: string})[], unknown_tokens: number[]|null}} encoded `count` texts, then their translations
 * @param {number} count
 */
export function knowsBoth({ embeddings, unknown_tokens: unknown }, count) {
  const vectors = embeddings.map((given) => unit(vectorOf(given)));
  const [texts, translations] = [vectors.slice(0, count), vectors.slice(count)];
  const nearest = (/** @type {Float64Array} */ vector) => {
    const similarities = translations.map((other) => vector.reduce((sum, number, i) => sum + number * other[i], 0));
    return similarities.indexOf(Math.max(...similarities));
  };
  const knowsTokens = (unknown ?? []).slice(0, count).every((number) => number === 0); // null: the encoder does not tell
  return knowsTokens && texts.every((vector, i) => nearest(vector) === i);
}

/** @param {Float64Array} vector */
function unit(vector) {
  const length = Math.hypot(...vector) || 1;
  return vector.map((number) => number / length);
}
