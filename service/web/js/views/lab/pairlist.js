/** Twenty pairs of a query and its key. Capitals and makers cosine has right; of opposites, to and fro, it takes the word itself. */

export const PAIRS = [
  ["hot", "cold"], ["France", "Paris"], ["cow", "moo"], ["cold", "hot"], ["light", "dark"],
  ["Japan", "Tokyo"], ["up", "down"], ["sheep", "baa"], ["down", "up"], ["Egypt", "Cairo"],
  ["dark", "light"], ["open", "closed"], ["dog", "bark"], ["closed", "open"], ["late", "early"],
  ["early", "late"], ["Peru", "Lima"], ["baker", "bread"], ["potter", "jug"], ["duck", "quack"],
];
