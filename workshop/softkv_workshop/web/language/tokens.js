/** Texts as whole words: a token is a word, so that each row and column of a picture has one. */

/**
 * @typedef {object} Word a word as it was read, and its span in the text, in UTF-16 units
 * @property {number} id
 * @property {string} text
 * @property {number} start
 * @property {number} end
 * @property {boolean} isKnown
 */

/** Words, the ending of a genitive, numbers, commas and stops; as `split` in workshop/tools/recorded/writing.py. */
const WORD = /[\p{L}\p{Nl}\p{No}]+(?:'(?!s(?![\p{L}\p{N}_]))[\p{L}\p{Nl}\p{No}]+)*|'s(?![\p{L}\p{N}_])|\p{Nd}+|[.,;:!?]/gu;
const UNKNOWN = 0;

/** Splits texts into the words of a vocabulary. */
export class Words {
  /** @param {string[]} words by their ids; the first stands for every word that is not among them */
  constructor(words) {
    this.ids = new Map(words.map((word, id) => [word.toLowerCase(), id]));
  }

  /**
   * Return the words of a text, in order.
   * @param {string} text
   * @returns {Word[]}
   */
  read(text) {
    return Array.from(text.replaceAll("’", "'").matchAll(WORD), ({ 0: word, index }) => {
      const id = this.ids.get(word.toLowerCase()) ?? UNKNOWN;
      return { id, text: word, start: index, end: index + word.length, isKnown: id !== UNKNOWN };
    });
  }
}
