/** The scene of the six similarities: its name, and the question that it opens on. */

export default {
  "scene.scores.name": "Six similarities",
  "scene.scores.title": "Near, by six different rules",
  "scene.scores.lede": "What is “near” is a choice. One [query|query], six [key|keys], and every similarity that the service has: each gives its scores to the same softmax, and another [key|key] may win. Choose a panel to see its α.",
  "predict.scores.ask": "One query, six keys, six similarities. How many different keys win, each with the largest weight of some similarity?",
  "predict.scores.one": "One: the nearest key is the nearest",
  "predict.scores.two": "Two",
  "predict.scores.several": "Three to five",
  "predict.scores.six": "Six: each similarity has its own",
  "predict.scores.because": "by the dot product “{dot}” wins, by the cosine “{cosine}”, by distance “{gaussian}”, by the bilinear form “{bilinear}”, by the additive network “{additive}”; scaling the dot product changes no order.",
};
