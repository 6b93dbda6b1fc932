/** The scenes an instructor walks through, as data. Their words are in words/: scene.<name>.title, .lede, .try. */

const SHARED = [
  { id: "tea", key: "how to brew green tea", value: "Water at 80 °C, two minutes." },
  { id: "coffee", key: "how to brew filter coffee", value: "60 g to the litre, four minutes." },
  { id: "bike", key: "how to patch a bicycle tube", value: "Roughen, glue, wait, press." },
  { id: "knot", key: "how to tie a bowline", value: "Up the hole, round the tree, back down." },
  { id: "stars", key: "how to find the north star", value: "Follow the edge of the Plough." },
];

/** The same rows in Chinese, for an encoder that reads it: `chinese.js` asks. */
export const CHINESE = {
  query: "我想喝点热的",
  rows: [
    { id: "tea", key: "怎么泡绿茶", value: "水温 80 °C，泡两分钟。" },
    { id: "coffee", key: "怎么做滤泡咖啡", value: "每升水 60 克，四分钟。" },
    { id: "bike", key: "怎么补自行车内胎", value: "打毛，涂胶，等一等，压紧。" },
    { id: "knot", key: "怎么打单套结", value: "穿上洞，绕过树，再穿回去。" },
    { id: "stars", key: "怎么找到北极星", value: "沿着北斗斗口的两颗星看过去。" },
  ],
};

/** Points of a curve with a bump, for kernel regression. */
export const POINTS = [
  [0.4, 1.1],
  [0.9, 1.6],
  [1.5, 1.5],
  [2.1, 2.3],
  [2.6, 3.4],
  [3.0, 4.4],
  [3.5, 4.9],
  [4.0, 4.6],
  [4.7, 3.2],
  [5.2, 2.6],
  [5.9, 1.7],
  [6.5, 1.9],
  [7.1, 1.4],
  [7.8, 2.2],
  [8.4, 2.0],
  [9.2, 3.1],
  [9.7, 3.3],
];

const rows = (/** @type {Record<string, string>} */ pairs) => Object.entries(pairs).map(([key, value], i) => ({ id: `row-${i + 1}`, key, value }));

/** Rows whose values can be seen, each with a question and a temperature, by the kind of their values. */
export const SETS = {
  colour: {
    query: "a colour for a calm sea",
    t: 0.05,
    rows: rows({
      "a ripe lemon": "#f7d51d",
      "a clear summer sky": "#5aa9e6",
      "the deep ocean": "#0b4f7a",
      "quiet water in a lagoon": "#2ab7b0",
      "fresh grass in spring": "#6abe45",
      "glowing embers of a fire": "#d9480f",
      "a field of lavender": "#9a7fd1",
      "wet stone in the rain": "#4a4f57",
    }),
  },
  number: {
    query: "what does a hot drink cost?",
    t: 0.05,
    rows: rows({
      "a cup of hot coffee": "€ 3.20",
      "a pot of hot tea": "€ 2.80",
      "a mug of hot chocolate": "€ 3.90",
      "a scoop of ice cream": "€ 1.80",
      "a sandwich with cheese": "€ 5.60",
      "a ticket for the train": "€ 12.00",
      "a haircut": "€ 24.00",
    }),
  },
  place: {
    query: "where does pizza come from?",
    t: 0.1,
    rows: rows({
      "pizza Margherita": "40.85, 14.27",
      "pasta with pesto": "44.41, 8.93",
      croissants: "48.86, 2.35",
      "paella with saffron": "39.47, -0.38",
      "fish and chips": "51.51, -0.13",
      moussaka: "37.98, 23.73",
      goulash: "47.50, 19.04",
      kebab: "41.01, 28.98",
    }),
  },
};

/**
 * In the order an instructor shows them. `view` is the module that draws the scene; `about` names what its title and its
 * story speak of; `again` covers it at every new question; `pictured` where the picture is what there is to see, and comes
 * before the four answers; `styles` the sheet that comes with it; `served` where it needs a service;
 * `addends` where words can be weighed too.
 */
export const SCENES = /** @type {Page.Scene[]} */ ([
  {
    name: "library",
    addends: true,
    view: "lookup",
    about: ["query", "source", "rows"],
    state: { source: "library", query: "books about felines", none: false },
  },
  { name: "videos", view: "lookup", about: ["source", "rows"], state: { source: "videos", query: "my plants look sad", none: false } },
  { name: "python", view: "lookup", about: ["source", "rows"], state: { source: "python", query: "make a temporary directory", none: false } },
  { name: "unicode", view: "lookup", about: ["source", "rows"], state: { source: "unicode", query: "smiling cat", none: false } },
  { name: "nothing", view: "lookup", about: ["query", "source", "rows"], state: { source: "library", query: "quarterly tax return" } },
  { name: "share", view: "lookup", about: ["query", "source", "rows"], state: { source: "library", query: "machine learning" } },
  { name: "values", view: "lookup", pictured: true, about: ["query", "rows"], state: { source: "scratch", ...SETS.colour } },
  {
    name: "filter",
    view: "lookup",
    pictured: true,
    about: ["query", "source", "rows", "filter"],
    state: { source: "library", query: "books about felines", filter: { field: "metadata.shelf", operator: "==", value: "fiction" } },
  },
  { name: "guess", view: "lookup", pictured: true, state: { source: "library", query: "animals that talk" }, again: true },
  { name: "rows", view: "lookup", pictured: true, state: { source: "scratch", query: "I would like a hot drink", rows: SHARED } },
  { name: "sure", view: "sure", styles: "sure", state: { source: "library" } },
  { name: "steps", view: "steps", styles: "layer", state: { t: 1 } },
  { name: "scores", view: "scores", styles: "scores", state: { t: 1 } },
  { name: "encoder", view: "encoder", styles: "heads", state: {} },
  { name: "hopfield", view: "hopfield", state: { t: 8 } },
  { name: "regression", view: "regression", state: { t: 0.25 } },
  { name: "space", view: "space", state: { source: "library", query: "books about felines" } },
  { name: "million", served: true, view: "million", state: { source: "", query: "smiling cat" } },
  { name: "photo", view: "photo", state: { t: 0.1 } },
  { name: "lowrank", view: "lowrank", state: {} },
  { name: "pairs", view: "pairs", styles: "lab", state: {} },
  { name: "learning", view: "learning", styles: "lab", state: { text: "March 14, 2015" } },
  { name: "vision", view: "vision", styles: "lab", state: { layer: 0, head: -1, word: 0 } },
]);

/** A scene by name; the opening scene where there is none of that name. @param {string} name */
export function sceneNamed(name) {
  return SCENES.find((scene) => scene.name === name) ?? SCENES[0];
}
