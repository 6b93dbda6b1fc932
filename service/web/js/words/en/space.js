/** The map of keys. */

export default {
  "scene.space.title": "A map of the keys",
  "scene.space.lede": "Each [key|key] is a point in a space of many directions; here it falls on the plane in which all keys differ most. Drag the [query|query]: the vector at that spot of the plane is what the service is asked with, and a dot is as large as its [weight|weight].",
  "space.question": "query: a text falls where its vector does",
  "space.axis": "direction {i}",
  "space.label": "Map of {count} keys. The query is at {a}, {b}. Arrow keys move it.",
  "space.how": "Rings: a key that lay in this plane would weigh a half, a tenth, a hundredth of one at the query itself. The temperature is their size. Drag, or choose the picture and use the arrow keys.",
  "space.words": "The vector at this spot gives “{key}” {weight}, at similarity {similarity}. On the map “{near}” is nearest to it, and has {share}.",
  "space.left": "The plane keeps {share} of the variance; {rest} is in the {dimensions} directions that are not drawn. So near on the map is not near in the space: a small dot within the rings is far away in some other direction. The question’s own vector and its spot on the plane have the cosine {keeps}.",
  "space.ends": "Direction 1 goes from “{left}” to “{right}”, direction 2 from “{low}” to “{high}”: principal components, computed in this browser from the vectors that the service stores.",
  "predict.space.ask": "Each key has hundreds of numbers. A plane has two directions, the best two. How much of what the keys differ by, of their variance, can be seen on it?",
  "predict.space.all": "Nearly all of it",
  "predict.space.half": "About half",
  "predict.space.part": "Between a thirtieth and a third",
  "predict.space.hardly": "Less than a thirtieth",
  "predict.space.because": "the first two of {dimensions} directions keep {share} of the variance of these {keys} keys.",
};
