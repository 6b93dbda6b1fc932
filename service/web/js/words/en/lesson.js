/** The lesson plan: an hour, what to show, what to ask, what to answer. */

export default {
  title: "Attention is a soft lookup: a lesson of 60 minutes",
  lede: "For learners who have written one SELECT and heard the word “transformer”. Everyone needs a browser; nobody needs an account. The page stores nothing that learners type.",
  back: "To the scenes",
  sheet: "Worksheet for learners",
  room: "Open a room",
  answer: "Answer",
  tab: "opens beside this plan",
  objectives: {
    title: "What learners can do afterwards",
    points: [
      "say what query, key, value and weight are, in a table and in a layer;",
      "predict what moves when a key, a value, the temperature or the mask changes, and check it;",
      "say in which limits attention is SQL’s “=”, the nearest row, and the average;",
      "compute one row of softmax(QKᵀ / √d_k) · V by hand;",
      "say what a weight does not tell: no probability, and no explanation.",
    ],
  },
  check: {
    title: "Three questions, before and after",
    how: "Two minutes each time, in silence, on the worksheet. Say no answers before the lesson. Count hands afterwards: who changed an answer, and why?",
    questions: [
      { ask: "A table has 100 rows. A query is very near to row 7 and a little near to row 8. What does attention return?", choices: ["row 7", "rows 7 and 8", "a blend of all rows, mostly row 7", "the number 7"], right: 2 },
      { ask: "You change the value of row 7, and no key. What changes?", choices: ["the weights", "the output", "both", "neither"], right: 1 },
      { ask: "Row 7 has the weight 0.76. What does that say?", choices: ["it is right with a probability of 76%", "it makes up 76% of the output", "its similarity is 0.76", "it is 76% of the reason for the answer"], right: 1 },
    ],
  },
  before: {
    title: "Before the lesson",
    points: [
      "Start the service for the class, in one of these ways. The start prints the addresses that others in your network can open, and a QR code: show it on the projector.",
      "Open the first scene and press A+ for large type. Each scene opens covered by its question.",
      "A presenter’s clicker, or Page Down, goes from the question to the answer to the next scene; Page Up goes back. In a field these keys are the field’s: click beside it first.",
      "Each browser keeps its own rows; nobody sees another’s. A room is one memory for all: open it on the projector, learners come in by QR code or four letters, send rows and guess whose row wins. Every picture has “Copy as curl”: what was seen can be repeated over HTTP.",
      "The demo rows are English, and so is the encoder: questions must be English too, in any class.",
      "Print the worksheet, or send its address.",
    ],
    commands: ["SOFTKV_HOST=0.0.0.0 SOFTKV_ALLOW_ANONYMOUS=read make run", "softkv serve --host 0.0.0.0 --allow-anonymous read --demo library,videos"],
    failing: "If the network fails: the page still works on your own machine. Learners call out what to type, guess by show of hands, and use the worksheet. Many guest networks keep machines apart; a telephone’s hot spot does not.",
  },
  minutes: {
    title: "Minutes",
    points: [
      "60 minutes as planned here.",
      "45 minutes: leave out 34–39 and 52–56, and of the nine steps show only three, in 6 minutes: Q · Kᵀ, softmax, the sum.",
      "A second hour: videos, the standard library, characters, the memory that repairs, kernel regression, six similarities, the low-rank map; each opens on its question.",
      "And the lab, 20 minutes: learn which key is meant, then three networks on dates, then a picture in words. Each trains in front of the class in half a minute, one at a time; learners may train too where the service was started with SOFTKV_LAB=readers.",
    ],
  },
  parts: [
    {
      minutes: "0–4", title: "Three questions", scenes: [],
      show: ["The three questions above, on the worksheet. Then say in one sentence where this is going: a database lookup that answers with every row at once."],
      questions: [],
    },
    {
      minutes: "4–13", title: "Four answers to one question", scenes: ["library", "nothing"],
      show: [
        "Let everyone guess before you show it. Then walk through the four columns from left to right: SQL compares letters, full text compares words, top-k and attention compare meanings.",
        "Type cats instead. Now SQL finds its row too, and all four agree. Go back to felines: only the two on the right still do. Then the question that nothing answers.",
      ],
      questions: [
        ["Why does full text find Fahrenheit 451?", "Its key is “firemen who burn books”: it shares the word books with the question. A shared word is not a shared meaning."],
        ["Top-k shows three rows. How many of them are answers?", "One, perhaps two. Top-k cannot say: it always gives k, near or not."],
        ["What does attention say that top-k does not?", "How much each row counts, how many rows the answer rests on, and how much says “none of these”. All shares together are one whole."],
        ["When does the page say “one document stands out”?", "When the heaviest has more than half of all weight. “Nothing here about that” means that “none of these” has half or more, which weighs what as many unrelated documents would weigh together; “several share it” is all else. It is a rule about weights, no probability that the answer is right: a wrong row of the same subject can weigh enough, and when it is hot it says little."],
      ],
    },
    {
      minutes: "13–22", title: "The slider: one function from lookup to average", scenes: ["library", "share"],
      show: [
        "Drag the temperature to 0, slowly: the lines run together into one. Drag it to ∞: they spread until all rows are equal. Then press the three buttons under “One function, three limits” and read each line of proof aloud.",
        "In the second scene two keys are almost tied. Ask for a guess of T at which one of them holds nine tenths, then find it; “Try it” ticks itself.",
      ],
      questions: [
        ["What must be true of the level s₀ of “none of these” so that attention at T → 0 is SQL’s “=”?", "It is just below the similarity of a key with itself. Then only an equal key is nearer than “none of these”."],
        ["Does it hold for “Cats” with a capital letter?", "The encoder reads both alike, SQL does not: try it, and the page shows a cross. “Equal” is what the similarity says it is."],
        ["At T → ∞, which rows does the query choose?", "None: the query no longer matters. All rows weigh alike, and “none of these” weighs as much as all of them."],
        ["Why is T here 0.05?", "Cosine similarities are close together; at T = 1 all rows would weigh nearly alike. 0.05 suits this encoder. A layer has T = 1, since it learns how far apart its products are."],
      ],
    },
    {
      minutes: "22–34", title: "Everyone writes a memory", scenes: ["rows", "filter"],
      show: [
        "Four minutes: learners edit the five rows, first a key, then a value, and write down what moved. Six minutes: they write rows of their own (a row may be pasted as key | value) and try the two exercises of the scene. Two minutes: who won the hot drink, and with which words?",
        "On the projector: the filter. Mask a row by hand with the round button in it.",
      ],
      questions: [
        ["You changed a key. What moved, and what stayed?", "All weights moved, because they share one whole. The values stayed."],
        ["You changed a value. What moved?", "Only the output. Where attention looks is decided by query and keys alone."],
        ["Is a weight of 0 the same as a deleted row?", "For the answer, yes: a logit of −∞ gives exactly 0, and the others share the whole as if the row were not there."],
        ["Ask in Chinese. What does the page say, and why?", "That this model does not know the characters: it was trained on English and reads them all alike, so any match would be chance."],
      ],
    },
    {
      minutes: "34–39", title: "Predict, then look", scenes: ["guess"],
      show: ["Everyone chooses; count hands for each key, then reveal. Then in pairs: one types a question of their own, which covers the answer again, and the neighbour guesses."],
      questions: [["What made most of us guess wrong?", "The winner is the long “bees and the dance they talk with” (similarity 0.50), because of the word talk: the encoder reads the whole question, and half of it is talking. Who thought of animals alone chose cats (0.47). And several keys share: no single one is the answer."]],
    },
    {
      minutes: "39–52", title: "The same with numbers", scenes: ["steps"],
      show: [
        "Go forward with the arrow keys. Queries, keys and values are the same sum three times: two minutes for all three. Take most of the time for Q · Kᵀ, softmax and the last sum: there the class computes one number on the worksheet before you read it out.",
        "At the mask, switch the causal mask on and go back one step and forward again. At the last step, change the temperature and watch the output. The sheet below has the whole layer: ask where X goes besides Q, K and V, and find the residual.",
      ],
      questions: [
        ["Why divide by √d_k?", "The dot product of wide vectors is large by width alone. Without the division softmax would be cold from the start: one weight near 1, the rest near 0."],
        ["Where in this formula is the database?", "K and V are the two columns of the table, and Q is what WHERE looks for. QKᵀ is the comparison, WHERE’s “=”. Softmax turns its results into shares: they stand where TRUE and FALSE stood. The product with V is the SELECT."],
        ["Which of the matrices are learned?", "W_Q, W_K, W_V and W_O, and the embeddings. Softmax and the products have nothing to learn. This scene has one head and sends the identity as W_O, which changes nothing."],
      ],
    },
    {
      minutes: "52–56", title: "The same inside a language model", scenes: ["encoder"],
      show: ["The sentence with the word chased chosen: in layer 6, head 12, it looks at the cat and the dog. Then layer 1, head 3: there every word looks at the one before it. Then the box “Attention is not explanation”: the class guesses in how many of four sentences the fine story holds, and names another verb."],
      questions: [
        ["Our rows came from an encoder. What is inside it?", "Six layers of this very function, twelve heads each. The lookup outside and the attention inside are the same code."],
        ["Does the picture explain why the model answers as it does?", "No. It shows where one head of one layer looks. Most heads look at marks such as [CLS], and many different pictures give the same answer."],
      ],
    },
    {
      minutes: "56–60", title: "In one sentence", scenes: [],
      show: ["The three questions again. Then everyone finishes the sentence in writing: “Attention is a lookup that …”. Read three aloud."],
      questions: [["A sentence to compare with", "Attention is a lookup in which every row answers, each as much as its key resembles the question, and the temperature decides how much that matters."]],
    },
  ],
  after: {
    title: "After the lesson",
    points: [
      "Homework is on the worksheet, and needs no service: one row of attention by hand, at three temperatures.",
      "Common errors: weights taken for probabilities that an answer is right (they are shares, and “one document stands out” is a rule about shares too; in the scene “How sure is it?” the class labels ten answers and sees how far apart the two are); keys taken for values; “attention chooses” (it never does, above T = 0); a picture of weights taken for an explanation.",
    ],
    homework: ["Answers to the homework", "Products 1, 0, 1; divided by √2: 0.71, 0, 0.71. Weights 0.40, 0.20, 0.40; output 24.0. At T → 0 the first and the third tie: 0.5, 0, 0.5; output 25. At T → ∞ each has 1/3; output 23.3. In class: e² = 7.39, e¹ = 2.72, e⁰ = 1, together 11.11; weights 0.67, 0.24, 0.09; output 14.2."],
  },
  worksheet: {
    title: "Attention is a soft lookup: worksheet",
    name: "Name ____________________   Date ____________",
    back: "To the lesson plan",
    sections: [
      { title: "1  Before", check: true },
      { title: "2  Which is which?", lines: ["SELECT value FROM cards WHERE key = 'cats'", "The query is ____________________ , the keys are the column ____________ , the values are the column ____________ .", "In attention “=” becomes ____________________ , and TRUE or FALSE becomes a ____________ between 0 and 1."] },
      { title: "3  The temperature (scene 1)", lines: ["My guess first, then what I saw:"], table: [["T", "0", "0.02", "0.05", "0.2", "1", "∞"], ["largest weight, my guess", "", "", "", "", "", ""], ["largest weight, seen", "", "", "", "", "", ""], ["“none of these”", "", "", "", "", "", ""]] },
      { title: "4  My own rows", lines: ["I changed a key. What moved? ________________________  What stayed? ________________________", "I changed a value. What moved? ________________________  What stayed? ________________________", "A row of mine that won with no word in common with the question: ________________________________________________"] },
      { title: "5  By hand", lines: ["Logits 2, 1, 0; values 10, 20, 30. (e² = 7.39, e¹ = 2.72, e⁰ = 1)", "Sum ________   Weights ________ , ________ , ________   Output ________"] },
      { title: "6  After", check: true },
      { title: "7  In one sentence", lines: ["Attention is a lookup that ________________________________________________________________", "________________________________________________________________________________________"] },
      { title: "Homework", lines: ["Query (1, 0). Keys (1, 0), (0, 1), (1, 1). Values 10, 20, 40. d_k = 2.", "Products ______ , ______ , ______   divided by √d_k ______ , ______ , ______", "Weights at T = 1 ______ , ______ , ______   Output ______", "Weights at T → 0 ______ , ______ , ______   Output ______", "Weights at T → ∞ ______ , ______ , ______   Output ______", "Write the same as a program of ten lines, in a language you like, without any library for it.", "Find a place in your life where a lookup should answer softly, and one where it must not: ______________________________"] },
    ],
  },
};
