/** Why a row won: the question's words, each as large as the similarity that goes with it when it is left out. */

import { fill, h } from "../../../../service/softkv_service/web/shared/element.js";
import { fixed } from "../../../../service/softkv_service/web/shared/numbers.js";
import { clipped } from "../../../../service/softkv_service/web/shared/words.js";
import { say } from "./words.js";

/** @typedef {{text: string, start: number, end: number, similarity: ?number}} Word */
/** @typedef {{number: number, row: string, similarity: number, words: Word[]}} Words what the service says of a row */

const LONGEST = 60;
/** A word that moves the similarity by less has not moved it. */
const LEAST = 0.01;
/** The second word is named if it moved the row by at least this share of the first. */
const SECOND = 0.2;
/** Words that join others and name nothing: what goes with them says little about the row. */
const FUNCTION_WORDS = new Set(
  (
    "a an the of to in into on at for with by from about and or but if as than so then that this these those there here it its is are was were be been am " +
    "do does did has have had i me my you your we us our they them their he him his she her what which who whom whose when where why how can could shall " +
    "should will would may might must not no any some something anything"
  ).split(" "),
);
/** In rem, of a word that has moved nothing, and of the one that has moved most. */
const SIZES = { least: 1, most: 2.25 };

/**
 * A button "Why?", and an element for what the service says when it is pressed.
 *
 * @param {(row: string) => Promise<?Words>} ask answers null if the service refused
 */
export function why(ask) {
  /** @type {{id: string, key: string}[]} */
  let rows = [];
  let asked = "";
  const choice = h("select", { id: "why-row", onchange: () => tell(choice.value) });
  const which = h("p.which", { hidden: true }, h("label", { for: "why-row" }, say("why.row")), " ", choice);
  const button = h("button.strong", { type: "button", id: "why", hidden: true, onclick: () => tell(rows[0]?.id) }, say("why.ask"));
  const told = h("div.told", { id: "why-told", role: "status" });
  const element = h("section.why", { hidden: true }, told, which);

  /** @param {string | undefined} id */
  async function tell(id) {
    if (id === undefined) return;
    asked = id;
    button.disabled = true;
    const words = await ask(id);
    button.disabled = false;
    if (asked !== id || !words) return;
    const key = clipped(rows.find((row) => row.id === id)?.key ?? "…", LONGEST);
    button.hidden = true;
    which.hidden = rows.length < 2;
    choice.value = id;
    fill(told, h("h2", {}, say("why.title", { key })), h("p.because", {}, because(words, key)), wordsOf(words));
    told.dataset.row = id;
    element.hidden = false;
    element.scrollIntoView({ block: "nearest" });
  }

  return {
    button,
    element,
    /** The rows that can be asked about, the first at once. @param {{id: string, key: string}[]} some */
    show(some) {
      if (JSON.stringify(some) === JSON.stringify(rows)) return;
      rows = some;
      element.hidden = true;
      button.hidden = !rows.length;
      which.hidden = true;
      asked = "";
      fill(told);
      delete told.dataset.row;
      fill(
        choice,
        rows.map(({ id, key }) => h("option", { value: id }, clipped(key, LONGEST))),
      );
    },
  };
}

/**
 * By how much a word has moved the similarity up; 0 for one without which nothing is left.
 * @param {Words} words
 * @param {Word} word
 */
function moved({ similarity }, word) {
  return word.similarity === null ? 0 : similarity - word.similarity;
}

/**
 * One sentence, or two.
 * @param {Words} words
 * @param {string} key
 */
function because(words, key) {
  const read = words.words.filter((word) => word.similarity !== null).sort((one, other) => moved(words, other) - moved(words, one));
  if (!read.length) return say("why.single", { key, whole: fixed(words.similarity) });
  const [first, second] = read.filter((word) => !isFunctionWord(word));
  if (!first || moved(words, first) < LEAST) return say("why.whole", { key, whole: fixed(words.similarity) });
  const most = say(first === read[0] ? "why.most" : "why.most.meaning", {
    word: first.text,
    key,
    whole: fixed(words.similarity),
    rest: fixed(first.similarity),
  });
  if (!second || moved(words, second) < Math.max(LEAST, SECOND * moved(words, first))) return most;
  return `${most} ${say("why.less", { word: second.text, rest: fixed(second.similarity) })}`;
}

/** @param {Word} word */
function isFunctionWord({ text }) {
  return FUNCTION_WORDS.has(text.toLowerCase().replace(/[^\p{L}]/gu, ""));
}

/** @param {Words} words */
function wordsOf(words) {
  const most = Math.max(LEAST, ...words.words.map((word) => Math.abs(moved(words, word))));
  return h(
    "ol.moved",
    { "aria-label": say("why.words") },
    words.words.map((word) => {
      const by = moved(words, word);
      const kind = by >= LEAST ? "up" : by <= -LEAST ? "down" : "still";
      const size = SIZES.least + (SIZES.most - SIZES.least) * Math.max(0, by / most);
      return h(
        `li.${kind}`,
        { "data-moved": by },
        h("span.word", { dir: "auto", style: { "font-size": `${size.toFixed(2)}rem` } }, word.text),
        h("span.number", {}, word.similarity === null ? "–" : signed(by)),
      );
    }),
  );
}

/** @param {number} number */
function signed(number) {
  const text = fixed(number);
  return text.startsWith("−") || Number(text) === 0 ? text : `+${text}`;
}
