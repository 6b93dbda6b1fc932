/** The words that met: each word of the question, joined by a thread to the word of a key that is most similar to it. */

import { each, h } from "./element.js";
import { fixed } from "./numbers.js";
import { s } from "./svg.js";

/** @typedef {import("./words.js").Say} Say */
/**
 * @typedef {object} Pair as the service explains it; places count code points
 * @property {string} word of the question
 * @property {string} found in the key
 * @property {number} start
 * @property {number} end
 * @property {number} cosine
 * @property {number} share how much the word counts
 */
/** @typedef {{text: string, over?: string, x: number, y: number, width: number}} Placed a text by its left end and baseline, and a number over it */

/** The most threads, those that count most. */
const MOST = 16;
/** A longer text between two found words is left out. */
const LONGEST_GAP = 18;
/** In rem: the type of words and of numbers, a line of each block, and the room for the threads. */
const [TEXT, NUMBER, NUMBERED, LINE, ROOM, SPACE] = [0.9375, 0.75, 2.5, 1.5, 3.25, 0.5];

/**
 * A picture of the pairs that fills its width, and the same as a list for screen readers.
 *
 * @param {Say} say
 * @param {string} key the text of the key
 * @param {Pair[]} pairs
 */
export function wordsMet(say, key, pairs) {
  const some = heaviest(pairs);
  const drawn = h("div.threads-met", { "aria-hidden": "true" });
  const observer = new ResizeObserver(([{ contentRect }]) => draw(contentRect.width));
  observer.observe(drawn);
  void document.fonts.ready.then(() => draw(drawn.clientWidth));

  /** @param {number} width in pixels */
  function draw(width) {
    if (!width) return;
    const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
    const pen = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
    pen.font = `${TEXT * rem}px ${getComputedStyle(drawn).fontFamily}`;
    const measure = (/** @type {string} */ text) => pen.measureText(text).width;
    const asked = placed(
      some.map(({ word, cosine }) => ({ text: word, over: fixed(cosine) })),
      { width, measure, top: 0, line: NUMBERED * rem, space: SPACE * rem },
    );
    const pieces = excerpt(key, some);
    const found = placed(pieces, { width, measure, top: asked.bottom + ROOM * rem, line: LINE * rem, space: 0 });
    const where = new Map(pieces.flatMap(({ start }, i) => (start === undefined ? [] : [[start, found.words[i]]])));
    const threads = some.flatMap((pair, i) => {
      const [from, to] = [asked.words[i], where.get(pair.start)];
      return to ? [thread(from, to, pair, rem)] : [];
    });
    const height = found.bottom + 0.25 * rem;
    drawn.replaceChildren(
      s(
        "svg",
        { width, height, viewBox: `0 0 ${width} ${height}` },
        ...threads,
        ...asked.words.flatMap(({ text, over = "", x, y, width: wide }) => [
          s("text.over", { x: x + wide / 2, y: y - 1.125 * rem, "font-size": NUMBER * rem }, over),
          s("text.query", { x: x + wide / 2, y, "font-size": TEXT * rem }, text),
        ]),
        ...found.words.map(({ text, x, y }, i) => s(pieces[i].start === undefined ? "text.between" : "text.key", { x, y, "font-size": TEXT * rem }, text)),
      ),
    );
  }

  return h(
    "div",
    { id: "words-met" },
    h("p", {}, say("met"), pairs.length > some.length ? ` ${say("met.most", { count: some.length, words: pairs.length })}` : null),
    drawn,
    each("ul.unseen", {}, some, ({ word, found, cosine }) => h("li", {}, say("met.pair", { word, found, cosine: fixed(cosine) }))),
  );
}

/** The pairs that count most, in the order of the question. @param {Pair[]} pairs */
export function heaviest(pairs) {
  if (pairs.length <= MOST) return pairs;
  const least = pairs.map(({ share, cosine }) => share * cosine).sort((one, other) => other - one)[MOST - 1];
  return pairs.filter(({ share, cosine }) => share * cosine >= least).slice(0, MOST);
}

/**
 * The found words of a key in its order, each once, with the texts between them; a long text is an ellipsis.
 *
 * @param {string} key
 * @param {Pick<Pair, "start" | "end">[]} pairs
 * @returns {{text: string, start?: number}[]} `start` is that of a found word
 */
export function excerpt(key, pairs) {
  const points = Array.from(key);
  const ends = new Map(pairs.map(({ start, end }) => [start, end]));
  /** @type {{text: string, start?: number}[]} */
  const pieces = [];
  let last = 0;
  const between = (/** @type {number} */ until) => {
    const gap = points.slice(last, until).join("");
    if (until - last <= LONGEST_GAP) return gap ? [gap] : [];
    return last === 0 ? ["… "] : until === points.length ? [" …"] : [" … "];
  };
  for (const [start, end] of [...ends].sort(([one], [other]) => one - other)) {
    pieces.push(...between(start).map((text) => ({ text })), { text: points.slice(start, end).join(""), start });
    last = end;
  }
  return [...pieces, ...between(points.length).map((text) => ({ text }))];
}

/**
 * Texts one after another in lines of a width. A line begins with no space, and SVG would drop those at the ends of a text.
 *
 * @param {{text: string, over?: string}[]} pieces
 * @param {{width: number, measure: (text: string) => number, top: number, line: number, space: number}} room
 * @returns {{words: Placed[], bottom: number}}
 */
export function placed(pieces, { width, measure, top, line, space }) {
  /** @type {Placed[][]} */
  const lines = [[]];
  let x = 0;
  for (const { text: spaced, over } of pieces) {
    const text = spaced.trim();
    const [lead, wide] = [spaced.startsWith(" ") ? measure(" ") : 0, Math.max(measure(text), over ? measure(over) : 0)];
    if (x > 0 && x + lead + wide > width) {
      lines.push([]);
      x = 0;
    }
    if (x > 0) x += lead;
    const y = top + line * lines.length - line / 4;
    lines[lines.length - 1].push({ text, over, x, y, width: wide });
    x += wide + space + (spaced.endsWith(" ") && text ? measure(" ") : 0);
  }
  return { words: lines.flat(), bottom: top + line * lines.length };
}

/**
 * A thread from below a word to above another: as thick as the word counts, as dark as the two are similar.
 *
 * @param {Placed} from
 * @param {Placed} to
 * @param {Pair} pair
 * @param {number} rem
 */
function thread(from, to, { cosine, share }, rem) {
  const [x, y, toX, toY] = [from.x + from.width / 2, from.y + 0.375 * rem, to.x + to.width / 2, to.y - 0.9375 * rem];
  const half = (y + toY) / 2;
  return s("path.thread", {
    d: `M${x} ${y} C${x} ${half} ${toX} ${half} ${toX} ${toY}`,
    "stroke-width": 1 + 6 * share,
    "stroke-opacity": Math.min(1, Math.max(0.15, cosine)),
  });
}
