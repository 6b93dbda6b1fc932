// The sentences of the story, for states on standard input: what each says, and the weights that its picture draws.

import { readFileSync } from "node:fs";
import { weigh } from "../../../../service/softkv_service/web/shared/formula.js";
import { Tail } from "../../../../service/softkv_service/web/shared/tail.js";
import { reader } from "../../../../service/softkv_service/web/shared/words.js";
import * as ofPictures from "../../../../service/softkv_service/web/shared/sentences.js";
import * as ofStory from "../../../softkv_workshop/web/story/sentences.js";

const sentences = { ...ofPictures, ...ofStory };
const { states, characters } = JSON.parse(readFileSync(0, "utf8"));
const { rows, similarities: nearest, documents, temperatures } = characters;
const tail = new Tail({ documents, matches: rows, temperatures });

/** @param {any} state */
function tell({ sentence, words, language, T, similarities, keys, query, level, masked, isBlurred, ...more }) {
  const say = reader(words, language);
  const temperature = T === "inf" ? Infinity : T;
  if (sentence === "amongThousands") {
    const answer = weigh(nearest, { temperature, tail });
    const text = sentences.amongThousands(say, { keys: rows.map(({ key }) => key), documents, temperature, answer });
    return { text, weights: [...answer.weights], rest: answer.restWeight };
  }
  if (sentence === "rowToWord") {
    const rows = (/** @type {number[][]} */ heads) => heads.map((one) => Float32Array.from(one));
    return { text: sentences.rowToWord(say, { ...more, level, words: more.tokens, temperature, attention: more.attention.map(rows) }) };
  }
  if (!similarities) return { text: sentences[sentence](say, { temperature, ...more }) };
  const none = level === undefined ? null : { similarity: level, count: 1 };
  const mask = masked === undefined ? null : similarities.map((_, i) => i >= masked);
  const answer = weigh(similarities, { temperature, none, mask });
  const { weights, nullWeight } = answer;
  const shown = { ...more, query, keys: masked === undefined ? keys : keys.length, temperature, answer, weights, similarities, level, masked, isBlurred };
  return { text: sentences[sentence](say, shown), weights: [...weights], none: nullWeight };
}

console.log(JSON.stringify(states.map(tell)));
