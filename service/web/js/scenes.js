/** The scenes an instructor walks through, as data. Their words are in words/: scene.<name>.title, .lede, .try. */

import { SETS } from "./sets.js";

const SHARED = [
  { id: "tea", key: "how to brew green tea", value: "Water at 80 °C, two minutes." },
  { id: "coffee", key: "how to brew filter coffee", value: "60 g to the litre, four minutes." },
  { id: "bike", key: "how to patch a bicycle tube", value: "Roughen, glue, wait, press." },
  { id: "knot", key: "how to tie a bowline", value: "Up the hole, round the tree, back down." },
  { id: "stars", key: "how to find the north star", value: "Follow the edge of the Plough." },
];

/** Points of a curve with a bump, for kernel regression. */
export const POINTS = [
  [0.4, 1.1], [0.9, 1.6], [1.5, 1.5], [2.1, 2.3], [2.6, 3.4], [3.0, 4.4], [3.5, 4.9], [4.0, 4.6],
  [4.7, 3.2], [5.2, 2.6], [5.9, 1.7], [6.5, 1.9], [7.1, 1.4], [7.8, 2.2], [8.4, 2.0], [9.2, 3.1], [9.7, 3.3],
];

/**
 * In the order an instructor shows them. `view` is the module that draws the scene; `about` names what its title and its
 * story speak of; `again` covers it at every new question.
 */
export const SCENES = [
  { name: "library", view: "lookup", about: ["query", "source", "rows"], state: { source: "library", query: "books about felines" } },
  { name: "videos", view: "lookup", about: ["source", "rows"], state: { source: "videos", query: "my plants look sad" } },
  { name: "python", view: "lookup", about: ["source", "rows"], state: { source: "python", query: "make a temporary directory" } },
  { name: "unicode", view: "lookup", about: ["source", "rows"], state: { source: "unicode", query: "smiling cat" } },
  { name: "nothing", view: "lookup", about: ["query", "source", "rows"], state: { source: "library", query: "quarterly tax return" } },
  { name: "share", view: "lookup", about: ["query", "source", "rows"], state: { source: "library", query: "machine learning" } },
  { name: "values", view: "lookup", about: ["query", "rows"], state: { source: "scratch", ...SETS.colour } },
  { name: "filter", view: "lookup", about: ["query", "source", "rows", "filter"], state: { source: "library", query: "books about felines",
    filter: { field: "metadata.shelf", operator: "==", value: "fiction" } } },
  { name: "guess", view: "lookup", state: { source: "library", query: "animals that talk" }, again: true },
  { name: "rows", view: "lookup", state: { source: "scratch", query: "I would like a hot drink", rows: SHARED, t: 0.1 } },
  { name: "steps", view: "steps", state: { t: 1 } },
  { name: "encoder", view: "encoder", state: {} },
  { name: "hopfield", view: "hopfield", state: { t: 8 } },
  { name: "regression", view: "regression", state: { t: 0.25 } },
  { name: "lowrank", view: "lowrank", state: {} },
];

/** A scene by name; the opening scene where there is none of that name. */
export function sceneNamed(name) {
  return SCENES.find((scene) => scene.name === name) ?? SCENES[0];
}
