/** Rows whose values can be seen: a palette, a price list, a map. Each with a question and a temperature. */

const rows = (pairs) => Object.entries(pairs).map(([key, value], i) => ({ id: `row-${i + 1}`, key, value }));

/** By the kind of their values. */
export const SETS = {
  colour: { query: "a colour for a calm sea", t: 0.05, rows: rows({
    "a ripe lemon": "#f7d51d", "a clear summer sky": "#5aa9e6", "the deep ocean": "#0b4f7a", "quiet water in a lagoon": "#2ab7b0",
    "fresh grass in spring": "#6abe45", "glowing embers of a fire": "#d9480f", "a field of lavender": "#9a7fd1", "wet stone in the rain": "#4a4f57",
  }) },
  number: { query: "what does a hot drink cost?", t: 0.05, rows: rows({
    "a cup of hot coffee": "€ 3.20", "a pot of hot tea": "€ 2.80", "a mug of hot chocolate": "€ 3.90", "a scoop of ice cream": "€ 1.80",
    "a sandwich with cheese": "€ 5.60", "a ticket for the train": "€ 12.00", "a haircut": "€ 24.00",
  }) },
  place: { query: "where does pizza come from?", t: 0.1, rows: rows({
    "pizza Margherita": "40.85, 14.27", "pasta with pesto": "44.41, 8.93", "croissants": "48.86, 2.35", "paella with saffron": "39.47, -0.38",
    "fish and chips": "51.51, -0.13", "moussaka": "37.98, 23.73", "goulash": "47.50, 19.04", "kebab": "41.01, 28.98",
  }) },
};
