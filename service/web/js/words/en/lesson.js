/** The lesson plan: 45 minutes, what to show, what to ask, what to answer. */

export default {
  title: "Attention is a soft lookup: a lesson of 45 minutes",
  lede: "For learners who have written one SELECT and heard the word “transformer”. Everyone needs a browser; nobody needs an account. The page stores nothing that learners type.",
  back: "To the scenes",
  before: {
    title: "Before the lesson",
    points: [
      "Start the service with its demo rows, and open the first scene on the projector; the button A+ makes the type large.",
      "Give the learners the address of the service. Each browser keeps its own rows; nobody sees another’s.",
      "Every picture has a “Copy as curl” button: what was seen in class can be repeated over HTTP at home.",
    ],
  },
  parts: [
    {
      minutes: "0–8", title: "Four answers to one question", scenes: ["library", "videos"],
      show: [
        "Read the question aloud: books about felines. Walk through the four columns from left to right. SQL compares letters, full text compares words, top-k and attention compare meanings.",
        "Type cats instead. Now SQL finds its row too, and all four agree. Go back to felines: only the two on the right still do.",
      ],
      questions: [
        ["Why does full text find Fahrenheit 451?", "Its key is “firemen who burn books”: it shares the word books with the question. A shared word is not a shared meaning."],
        ["Top-k shows three rows. How many of them are answers?", "One, perhaps two. Top-k cannot say: it always gives k, near or not."],
        ["What does attention say that top-k does not?", "How much each row counts, how many rows the answer rests on, and how much says “none of these”. All shares together are one whole."],
      ],
    },
    {
      minutes: "8–16", title: "The slider: one function from lookup to average", scenes: ["library", "share"],
      show: [
        "Drag the temperature to 0, slowly: the lines run together into one. Drag it to ∞: they spread until all rows are equal. Then press the three buttons under “One function, three limits” and read each line of proof aloud.",
        "In the second scene two keys are almost tied. Ask for a guess of T at which one of them holds nine tenths, then find it.",
      ],
      questions: [
        ["What must be true of the null’s level s₀ so that attention at T → 0 is SQL’s =?", "Just below the similarity of a key with itself. Then only an equal key is nearer than “none of these”."],
        ["Does it hold for “Cats” with a capital letter?", "The encoder reads both alike, SQL does not: try it, and the page shows a cross. “Equal” is what the similarity says it is."],
        ["At T → ∞, which rows does the query choose?", "None: the query no longer matters. All rows weigh alike, and “none of these” weighs as much as all of them: at this heat nobody can tell a related row from an unrelated one."],
      ],
    },
    {
      minutes: "16–24", title: "Everyone writes a memory", scenes: ["rows", "nothing", "filter"],
      show: [
        "Learners edit the five rows: first a key, then a value, and say what moved. Then they paste ten rows of their own and ask questions that share no word with them.",
        "Meanwhile, on the projector: a question nothing answers, and a filter. Mask a row by hand with the round button in it.",
      ],
      questions: [
        ["You changed a key. What moved, and what stayed?", "All weights moved, because they share one whole. The values stayed."],
        ["You changed a value. What moved?", "Only the output. Where attention looks is decided by query and keys alone."],
        ["Is a weight of 0 the same as a deleted row?", "For the answer, yes: a logit of −∞ gives exactly 0, and the others share the whole as if the row were not there."],
        ["When does the page say “answered”?", "When the rows together outweigh “none of these”, which weighs what as many unrelated documents would weigh together. It is a convention, no probability that the answer is right: a wrong row of the same subject can outweigh it too, and when it is hot it says little."],
        ["Ask in Chinese. What does the page say, and why?", "That this model does not know the characters: it reads them all as one unknown token, so any match would be chance."],
      ],
    },
    {
      minutes: "24–28", title: "Predict, then look", scenes: ["guess"],
      show: ["Everyone chooses before the weights are shown. Count hands for each key, then reveal. Let learners put their own question to the library and have a neighbour guess."],
      questions: [["What made most of us guess wrong?", "Usually that we looked for one answer. At this temperature several keys share, and the similarity of short keys is higher than one expects."]],
    },
    {
      minutes: "28–37", title: "The same with numbers", scenes: ["steps"],
      show: [
        "Go forward with the arrow keys, one step a minute. At each step point at one number and have the class compute it before you read it out.",
        "At the mask, switch the causal mask on and go back one step and forward again. At the last step, change the temperature and watch the output.",
      ],
      questions: [
        ["Why divide by √d_k?", "The dot product of wide vectors is large by width alone. Without the division softmax would be cold from the start: one weight near 1, the rest near 0."],
        ["Where in this formula is the database?", "K and V are the two columns of the table, Q is the WHERE clause, softmax is the comparison, and the product with V is the SELECT."],
        ["Which of the matrices are learned?", "W_Q, W_K and W_V (and the embeddings). Softmax and the products have nothing to learn."],
      ],
    },
    {
      minutes: "37–42", title: "The same inside a language model", scenes: ["encoder", "hopfield", "regression", "lowrank"],
      show: [
        "Show the sentence with the word chased chosen: in layer 6, head 12, it looks at the cat and the dog, who chases and who is chased. Then layer 1, head 3: there every word looks at the one before it. Then one of the other three scenes, to the taste of the class: a memory that repairs pictures, a curve through points, or the parameter count of a value map.",
      ],
      questions: [
        ["Our rows came from an encoder. What is inside it?", "Six layers of this very function, twelve heads each. The lookup outside and the attention inside are the same code."],
        ["What is the temperature of the regression?", "The square of the bandwidth. The one function is a lookup, a smoother and a memory; only the similarity and the temperature differ."],
      ],
    },
    {
      minutes: "42–45", title: "In one sentence", scenes: ["library"],
      show: ["Everyone finishes the sentence in writing: “Attention is a lookup that …”. Read three aloud."],
      questions: [["A sentence to compare with", "Attention is a lookup in which every row answers, each as much as its key resembles the question, and the temperature decides how much that matters."]],
    },
  ],
  after: {
    title: "After the lesson",
    points: [
      "Homework: copy the curl command of a picture, change the temperature in it, and explain the two answers.",
      "Common errors: weights taken for probabilities that an answer is right (they are shares, and “answered” is a convention too); keys taken for values; “attention chooses” (it never does, above T = 0).",
    ],
  },
};
