/** Reads {arrays, searches} from standard input; writes what workshop/softkv_workshop/web/exported/ answers to each, as JSON. */

import { readFileSync } from "node:fs";
import { attendArrays } from "../../../workshop/softkv_workshop/web/exported/arrays.js";
import { equal, fullText } from "../../../workshop/softkv_workshop/web/exported/database.js";
import { Rows } from "../../../workshop/softkv_workshop/web/exported/rows.js";

const { arrays, searches, backgrounds } = JSON.parse(readFileSync(0, "utf8"));
const answers = {
  arrays: arrays.map(attendArrays),
  searches: searches.map(({ rows, query, filter, limit }) => ({ sql: equal(rows, query, filter, limit), full_text: fullText(rows, query, filter, limit) })),
  backgrounds: backgrounds.map(({ rows, vectors, query, vector, choice, filter, encoder }) => new Rows(null, rows, vectors.map((vector) => Float32Array.from(vector))).background(choice, query, vector, filter, encoder)),
};
console.log(JSON.stringify(answers));
