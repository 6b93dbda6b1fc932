/** Whether an encoder reads texts of other scripts: it is asked once, with Chinese texts whose translations are known. */

import { SoftkvError, vectorOf } from "./api.js";

/** Texts, and their translations. */
const PAIRS = [
  ["怎么泡绿茶", "how to brew green tea"],
  ["怎么做滤泡咖啡", "how to brew filter coffee"],
  ["怎么补自行车内胎", "how to patch a bicycle tube"],
  ["怎么打单套结", "how to tie a bowline"],
  ["怎么找到北极星", "how to find the north star"],
];

/** A letter of another script than English. */
const FOREIGN = /(?!\p{Script=Latin})\p{L}/u;
/** By the name of an encoder; "" for the service's own. @type {Map<string, Promise<boolean>>} */
const asked = new Map();

/**
 * Whether a text has letters that an encoder does not read, or may not.
 * @param {Page.API} api
 * @param {string} text
 * @param {string} [encoder]
 */
export async function isForeign(api, text, encoder = "") {
  if (!FOREIGN.test(text)) return false;
  const answer = asked.get(encoder) ?? ask(api, encoder);
  asked.set(encoder, answer);
  return !(await answer);
}

/**
 * @param {Page.API} api
 * @param {string} encoder
 */
async function ask(api, encoder) {
  const texts = [0, 1].flatMap((side) => PAIRS.map((pair) => pair[side]));
  try {
    return knowsBoth(await api.post("/v1/encode", { texts, purpose: "document", ...(encoder && { model: encoder }) }), PAIRS.length);
  } catch (failure) {
    if (!(failure instanceof SoftkvError)) throw failure;
    asked.delete(encoder);
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
