/** Reads {exported, rows, bodies} from standard input: stores the rows in a collection of the page, asks, and writes the answers. */

import { readFileSync } from "node:fs";
import { Answers } from "../../../workshop/softkv_workshop/web/exported/answers.js";
import { hash } from "../../../workshop/softkv_workshop/web/exported/hash.js";
import { Shelf } from "../../../workshop/softkv_workshop/web/exported/shelf.js";

const { exported, rows, bodies, hashed } = JSON.parse(readFileSync(0, "utf8"));
const answers = new Answers(exported, new Shelf().answer);
const [collection, results] = ["/v1/collections/own", []];
await answers.answer("PUT", collection, {});
const { text } = await answers.answer("POST", `${collection}/documents`, rows.map((row) => JSON.stringify(row)).join("\n"));
for (const body of bodies) results.push(await answers.answer("POST", `${collection}/attend`, body));
await answers.answer("DELETE", collection, {});
const { collections } = await answers.answer("GET", "/v1/collections?limit=100", {});
const lines = text.trim().split("\n").map((line) => JSON.parse(line));
console.log(JSON.stringify({ lines, results, left: collections, hashes: hashed.map((one) => String(hash(one))) }));
