// The geometry of threads, for pictures on standard input: the places of each, and the attributes of its paths.

import { readFileSync } from "node:fs";
import { keyBox, placed, strands, valueBox } from "../service/softkv_service/web/shared/thread-geometry.js";

/** @param {any} picture */
function drawn({ layout, weights, others = 0 }) {
  const places = placed(layout);
  const { clamp, rows } = places;
  return {
    ...places,
    keys: rows.map((row) => keyBox(places, row)),
    values: rows.map((row) => valueBox(places, row)),
    strands: strands(places, { weights, count: rows.length - (others ? 1 : 0), others, half: (clamp.least + clamp.most) / 2 }),
  };
}

console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(drawn)));
