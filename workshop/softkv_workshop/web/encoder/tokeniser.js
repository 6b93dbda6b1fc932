/**
 * Texts as the tokens of BERT: the same clean-up, words and pieces as the service's tokeniser. Which characters it drops
 * and which it reads as punctuation comes with the model, since browsers know different versions of Unicode.
 */

/**
 * @typedef {object} Vocabulary what the tokeniser knows, as it comes with the model
 * @property {string} pieces the pieces in the order of their ids, one a line
 * @property {Record<string, number>} special texts that are one token wherever they stand, with their ids
 * @property {string} unknown the piece that stands for a word without pieces
 * @property {string} first the piece before each text
 * @property {string} last the piece after each text
 * @property {string} prefix what a piece within a word begins with
 * @property {number} longest a word of more characters is unknown
 * @property {[number, number][]} dropped ranges of characters that are dropped, first and last
 * @property {[number, number][]} punctuation ranges of characters that are words of their own
 */

/**
 * @typedef {object} Token a token and its span in the text, in UTF-16 units; 0 and 0 if it is not in the text
 * @property {number} id
 * @property {number} start
 * @property {number} end
 */

/**
 * @typedef {object} Letter one character after the clean-up, and its span in the text
 * @property {string} text
 * @property {number} start
 * @property {number} end
 */

/** Blocks of Chinese characters, each of which is a word; as BERT lists them. */
const HAN = [
  [0x4e00, 0x9fff],
  [0x3400, 0x4dbf],
  [0x20000, 0x2a6df],
  [0x2a700, 0x2b73f],
  [0x2b740, 0x2b81f],
  [0x2b920, 0x2ceaf],
  [0xf900, 0xfaff],
  [0x2f800, 0x2fa1f],
];
const SPACE = /\p{White_Space}/u;
const PRIVATE = /\p{Co}/u;
/** Kept as a space although they are control characters. */
const BREAKS = "\t\n\r";

/** BERT's tokeniser: words of lower-case letters without accents, cut into the longest pieces that it knows. */
export class Tokeniser {
  /** @param {Vocabulary} vocabulary */
  constructor(vocabulary) {
    this.vocabulary = vocabulary;
    this.names = vocabulary.pieces.split("\n");
    this.ids = new Map(this.names.map((piece, id) => [piece, id]));
    this.dropped = charactersOf(vocabulary.dropped);
    this.punctuation = charactersOf(vocabulary.punctuation);
    this.han = charactersOf(/** @type {[number, number][]} */ (HAN));
    this.special = new RegExp(`(${Object.keys(vocabulary.special).map(escaped).join("|")})`);
    this.unknown = this.#id(vocabulary.unknown);
  }

  /**
   * Return the tokens of a text, with the ones that BERT puts around it.
   * @param {string} text
   * @returns {Token[]}
   */
  read(text) {
    const { first, last } = this.vocabulary;
    return [this.#around(first), ...this.#inner(text), this.#around(last)];
  }

  /** Return how many tokens of a text the vocabulary lacks. @param {Token[]} tokens as `read` returns them */
  unknownIn(tokens) {
    return tokens.filter(({ id }) => id === this.unknown).length;
  }

  /**
   * @param {string} text
   * @returns {Token[]}
   */
  #inner(text) {
    let start = 0;
    return text.split(this.special).flatMap((part, at) => {
      const from = start;
      start += part.length;
      return at % 2 ? [{ id: this.vocabulary.special[part], start: from, end: start }] : this.words(part, from).flatMap((word) => this.#pieces(word));
    });
  }

  /**
   * Return the words of a text.
   * @param {string} text
   * @param {number} [offset] where the text begins
   * @returns {Letter[][]}
   */
  words(text, offset = 0) {
    /** @type {Letter[][]} */
    const words = [];
    /** @type {Letter[]} */
    let word = [];
    const close = () => {
      if (word.length) words.push(word);
      word = [];
    };
    let start = offset;
    for (const character of text) {
      const end = start + character.length;
      for (const letter of this.#cleaned(character)) {
        if (letter === " ") close();
        else if (this.punctuation.test(letter) || this.han.test(letter)) {
          close();
          words.push([{ text: letter, start, end }]);
        } else word.push({ text: letter, start, end });
      }
      start = end;
    }
    close();
    return words;
  }

  /**
   * Return what is left of a character: its letters in lower case, without accents.
   * @param {string} character
   * @returns {string[]}
   */
  #cleaned(character) {
    if (BREAKS.includes(character)) return [" "];
    if (this.dropped.test(character) || PRIVATE.test(character)) return [];
    if (SPACE.test(character)) return [" "];
    return Array.from(character.normalize("NFD"))
      .filter((letter) => !this.dropped.test(letter))
      .flatMap((letter) => Array.from(letter.toLowerCase()));
  }

  /**
   * Return a word's pieces, the longest first part that is known and so on; one unknown token if there are none.
   * @param {Letter[]} word
   * @returns {Token[]}
   */
  #pieces(word) {
    const whole = { id: this.unknown, start: word[0].start, end: word[word.length - 1].end };
    if (word.length > this.vocabulary.longest) return [whole];
    const pieces = [];
    for (let from = 0; from < word.length; ) {
      let to = word.length;
      let id;
      for (; to > from; to--) {
        id = this.ids.get(
          (from ? this.vocabulary.prefix : "") +
            word
              .slice(from, to)
              .map(({ text }) => text)
              .join(""),
        );
        if (id !== undefined) break;
      }
      if (id === undefined) return [whole];
      pieces.push({ id, start: word[from].start, end: word[to - 1].end });
      from = to;
    }
    return pieces;
  }

  /**
   * @param {string} piece
   * @returns {Token}
   */
  #around(piece) {
    return { id: this.#id(piece), start: 0, end: 0 };
  }

  /**
   * @param {string} piece
   * @returns {number}
   */
  #id(piece) {
    const id = this.ids.get(piece);
    if (id === undefined) throw new RangeError(`Expected ${piece} in the vocabulary, which lacks it.`);
    return id;
  }
}

/** Return an expression for one character of these ranges. @param {[number, number][]} ranges */
function charactersOf(ranges) {
  return new RegExp(`[${ranges.map(([from, to]) => `\\u{${from.toString(16)}}-\\u{${to.toString(16)}}`).join("")}]`, "u");
}

/** @param {string} text */
function escaped(text) {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
