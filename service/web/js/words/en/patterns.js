/** Points and patterns: kernel regression, and a memory of patterns. */

export default {
  "scene.hopfield.title": "Attend, and attend again: a memory that repairs",
  "scene.hopfield.lede": "[key|Keys] and [value|values] are the same stored pictures. Feed the [value|output] back as the next [query|query], and a noisy picture falls to the nearest stored one. Click cells to add noise.",
  "scene.regression.title": "Attention on points is kernel regression",
  "scene.regression.lede": "[key|Keys] are x, [value|values] are y, similarity is −distance²/2. The output at any [query|query] is a weighted mean of the points: Nadaraya and Watson, 1964. The temperature is the bandwidth squared.",
  "predict.hopfield.ask": "A noisy picture, five stored ones. Attend, and feed the output back: after how many steps are all cells right?",
  "predict.hopfield.one": "One",
  "predict.hopfield.few": "Two to four",
  "predict.hopfield.cells": "One for each wrong cell",
  "predict.hopfield.never": "Never: all five get mixed",
  "predict.hopfield.because": "at the first look “{name}” has {weight} of the weight; a mixture of whole pictures is repaired everywhere at once. Steps until every cell has the right sign: {steps}.",
  "predict.regression.ask": "Seventeen points, a curve through them. What becomes of the curve at T → ∞?",
  "predict.regression.through": "It goes through every point",
  "predict.regression.slope": "The straight line that fits best",
  "predict.regression.flat": "A flat line",
  "predict.regression.zero": "It falls to 0",
  "predict.regression.because": "at T → ∞ every point weighs the same wherever you ask, so the output is the mean of all, {mean}, everywhere.",
};
