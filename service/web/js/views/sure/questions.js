/** Ten questions to the library. What is right is for the learner to say: none of them has its label here. */

export const QUESTIONS = [
  "how to fall asleep",
  "horse riding lessons",
  "someone trapped on an island",
  "the French Revolution",
  "a creature sewn together from dead bodies",
  "fishing for beginners",
  "a big brother who watches you",
  "life in a Japanese office",
  "writing good code",
  "wizards at school",
];
/** The one that the scene's own question tells of; it is not labelled. */
export const EXAMPLE = "books about felines";
export const [RIGHT, WRONG] = ["r", "w"];

/** The questions of a state: the ten, and the learner's own. @param {Page.State} state @returns {string[]} */
export function questionsOf({ own }) {
  return [...QUESTIONS, ...(own ?? [])];
}

/** The labels of a state, a letter for each question from the first on. @param {Page.State} state @returns {string[]} */
export function labelsOf(state) {
  const letters = /^[rw]*/.exec(state.labels)?.[0] ?? "";
  return [...letters].slice(0, questionsOf(state).length);
}
