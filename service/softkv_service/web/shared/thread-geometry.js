/**
 * The places of words and the outlines of threads in the picture of attention: numbers and texts of paths, without an
 * element of the page.
 */

import { HEIGHT, WIDTH } from "./drawings.js";

/** @typedef {{x: number, y: number, width: number, height: number}} Box */
/** @typedef {ReturnType<typeof placed>} Places */

/** Thickness of the whole bundle at the question, and the space between rows, of a row's height. */
const BUNDLE = 1.7;
const GAP = 0.16;
/** A thread is drawn at least so thick, in pixels, unless its weight is 0. */
const HAIR_PX = 0.75;
/** A thread of a fan is at least so dark. */
const FAINT = 0.12;
/** The maximum height of the box of a fan, in rows. One row is as high as a row; each further one adds the second number. */
const FAN_ROWS = { most: 2.4, more: 0.1 };
/** A stripe of such a box is at most so thick, in pixels. */
const STRIPE_PX = 3;
/** The maximum number of threads that a fan shows. */
const MOST_THREADS = 64;
/** In rem, as the page's type is. */
const TALLEST_ROW_REM = 3.5;
/** The maximum share of the height for small rows together, and the maximum pixels of one. */
const SMALL = { share: 0.35, most: 14 };
/** Below this width in pixels the question is above the rows, and the output below them; also below the second, if a picture is upright. */
export const [NARROW_PX, UPRIGHT_PX] = [640, 900];
/** A wider one that is lower than this, in rem and for each row, has no room for that. */
const [LEAST_PX_BESIDE, LOW_REM, LOW_ROW_REM] = [540, 12, 1.75];
export const HANDLE_PX = 12;
/** Room for a percentage at the end of a key: of up to three, of four and of more letters in em, and around it in pixels. */
export const SHARE = { letters: [2.2, 2.9, 3.8], around: 16 };
/** On a narrow page, texts of values have at most such a share of the width: longer ones are below their keys. */
const VALUES = 0.26;
/** On a narrow page, values run down beside the rows, in a lane of this width. */
const LANE_PX = 26;
/** Shares of a picture's width and height. */
const RATIO = WIDTH / HEIGHT;
/** The least size of a text in pixels, and in large type; names of parts have `--name-size` of the style sheet, in rem. */
export const LEAST_PX = { usual: 16, large: 22, below: 14 };
/** The space between a name and what it names, in pixels. */
export const NEAR_PX = 9;
/** Room that a question, its bundle and the clamp need beside the keys, in rem. */
const KNOB_REM = 6.25;
/** The least width of a question's box and of a colour, in rem: of those in a window that is small for its keys. */
const [LEAST_QUERY_REM, LEAST_COLOUR_REM] = [7.25, 3.5];
/** The key's share of the height, in a row with its value below the key. */
const UPPER = 0.52;
/** The height of a line of a question, of its type, and the room around all lines in pixels. */
export const LINE = { height: 1.3, around: 24 };
/** On a narrow page the bundle falls from the question's box, so wide as is free beside the keys, in pixels. */
const FALL_PX = 36;

/**
 * The places of everything in a picture of a size.
 *
 * @param {object} of
 * @param {number} of.width
 * @param {number} of.height
 * @param {number} of.rem pixels
 * @param {number} of.size of the texts of rows, in pixels: the least where a key has its value beside it
 * @param {number} of.name the height of a line of names; 0 without names
 * @param {number} of.above room over the rows, for the handle of a level
 * @param {{count: number, size: number}} of.lines of the question
 * @param {number} of.count of rows
 * @param {boolean} [of.areColours]
 * @param {boolean} [of.arePictures]
 * @param {{from: number, count: number}} [of.small] the rows that are laid out small
 * @param {number} [of.rest] which box is that of the rest; −1 without it
 * @param {number} [of.longest] width of a key's text in em; so of a value's
 * @param {number} [of.longestName] of the rest and of "none of these", which are whole beside any percentage if there is room
 * @param {number} [of.longestValue]
 */
export function placed({
  width,
  height,
  rem,
  size,
  name,
  above,
  lines,
  count,
  areColours = false,
  arePictures = false,
  small = { from: 0, count: 0 },
  rest = -1,
  longest = 0,
  longestName = 0,
  longestValue = 0,
}) {
  const isLow = width >= LEAST_PX_BESIDE && height < (LOW_REM + LOW_ROW_REM * count) * rem;
  const isNarrow = (width < NARROW_PX && !isLow) || (width < UPRIGHT_PX && height > width);
  const areTexts = !areColours && !arePictures;
  const isStacked = isNarrow && areTexts && longestValue * size + 12 > width * VALUES;
  const queryHeight = Math.max(isNarrow ? 48 : 6 * rem, lines.count * lines.size * LINE.height + LINE.around);
  const top = (isNarrow ? name + queryHeight + (name ? 8 : 32) : 8) + name + above;
  const outputWidth = arePictures
    ? isNarrow
      ? 94 * RATIO
      : Math.min(16 * rem, Math.max(6 * rem, width * 0.25 - 4 * rem))
    : isNarrow
      ? width
      : Math.min(12 * rem, width * 0.16);
  const outputHeight = arePictures ? outputWidth / RATIO : isNarrow ? 62 : outputWidth;
  const below = isNarrow ? outputHeight + 34 : 8;
  const room = height - top - below;
  const tiny = small.count ? Math.min(SMALL.most, (room * SMALL.share) / small.count) : 0;
  const fanRows = isNarrow ? 1.6 : FAN_ROWS.most;
  const large = count - small.count + (rest < 0 ? 0 : fanRows - 1);
  const pitch = Math.min(TALLEST_ROW_REM * rem * (1 + GAP), (room - tiny * small.count) / Math.max(1, large));
  const total = pitch * large + tiny * small.count;
  const rowHeight = pitch * (1 - GAP);
  let text = isStacked ? Math.max(LEAST_PX.below, Math.min(size, rowHeight * 0.4)) : Math.max(size, Math.min(1.25 * rem, rowHeight * 0.42));
  const first = top + Math.max(0, (room - total) / 2);
  const middle = first + total / 2;
  const namesY = first - NEAR_PX - above;
  let queryWidth = Math.max(150, Math.min(18 * rem, width * 0.19));

  let rowX = isNarrow ? 92 : Math.round(width * 0.41);
  const narrowWidth = Math.round(Math.min(width * VALUES, longestValue * size * 1.25 + 14));
  let valueWidth = arePictures ? rowHeight * RATIO : areColours ? (isNarrow ? 40 : 5.25 * rem) : isNarrow ? narrowWidth : Math.round(width * 0.16);
  let valueX = isNarrow ? width - valueWidth - LANE_PX : Math.round(width * (areTexts ? 0.62 : 0.65));
  if (!isNarrow) {
    // Keys that need more room take it from the threads before them, texts of values from those behind; then from colours and the question.
    const around = 12 + SHARE.around;
    const need = around + Math.max((longest + SHARE.letters[2]) * size, (longestName + SHARE.letters[2]) * text);
    const lacking = (/** @type {number} */ free) => Math.max(0, Math.min(free, need - (valueX - 8 - rowX)));
    rowX -= lacking(rowX - queryWidth - KNOB_REM * rem);
    const free = width - outputWidth - 2 * rem - (valueX + valueWidth);
    const wider = areTexts ? Math.max(0, Math.min(free, longestValue * size + 20 - valueWidth)) : 0;
    valueWidth += wider;
    valueX += lacking(free - wider);
    if (!arePictures) {
      const narrower = lacking(valueWidth - (areColours ? LEAST_COLOUR_REM * rem : longestValue * size + 20));
      [valueX, valueWidth] = [valueX + narrower, valueWidth - narrower];
    }
    const taken = lacking(queryWidth - LEAST_QUERY_REM * rem);
    [queryWidth, rowX] = [queryWidth - taken, rowX - taken];
    text = Math.max(size, Math.min(text, (valueX - 8 - rowX - around) / (longestName + SHARE.letters[2])));
    text = Math.min(text, Math.max(LEAST_PX.below, rowHeight * 0.8)); // no text is higher than its row
  }
  const y = isNarrow ? name : Math.max(name, middle - queryHeight / 2);
  const query = { x: 0, y, width: isNarrow ? width : queryWidth, height: Math.min(queryHeight, height - y), size: lines.size };
  const start = isNarrow ? { x: 26, y: y + query.height } : { x: query.width, y: middle };
  const output = { x: width - outputWidth, y: isNarrow ? height - outputHeight : middle - outputHeight / 2, width: outputWidth, height: outputHeight };
  const least = (rowHeight * BUNDLE) / 2 + 8;
  const over = name ? middle - namesY - HANDLE_PX - 8 - 0.75 * text - 0.25 * name : middle - top - 34;
  const under = (isNarrow ? output.y - name : height) - middle - HANDLE_PX - 6 - 1.3 * text;
  const clamp = {
    x: isNarrow ? 54 : start.x + (rowX - start.x) * 0.36,
    y: middle,
    least,
    most: Math.max(least + 12, Math.min(over, under, total / 2 - 4)),
  };
  let at = first;
  const rows = Array.from({ length: count }, (_, i) => {
    const own = i === rest ? pitch * fanRows : i >= small.from && i < small.from + small.count ? tiny : pitch;
    const gap = Math.min(own, pitch) * GAP;
    at += own;
    return { x: rowX, y: at - own + gap / 2, width: valueX + valueWidth - rowX, height: own - gap };
  });
  return { isNarrow, isStacked, text, height: rowHeight, query, start, clamp, rows, valueX, valueWidth, output, namesY };
}

/**
 * The box of a row's key.
 * @param {Places} places
 * @param {Box} row
 * @returns {Box}
 */
export function keyBox({ isStacked, valueX }, { x, y, width, height }) {
  return isStacked ? { x, y, width, height: height * UPPER } : { x, y, width: valueX - x - 8, height };
}

/**
 * The box of a row's value.
 * @param {Places} places
 * @param {Box} row
 * @returns {Box}
 */
export function valueBox({ isStacked, valueX, valueWidth }, { x, y, width, height }) {
  return isStacked ? { x, y: y + height * UPPER, width, height: height * (1 - UPPER) } : { x: valueX, y, width: valueWidth, height };
}

/**
 * The box of the rest: with few others it is lower than the place it has.
 * @param {Places} places
 * @param {number} row
 * @param {number} others
 * @returns {Box}
 */
export function restBox({ rows, height }, row, others) {
  return { ...rows[row], height: Math.min(rows[row].height, height * (1 + (others - 1) * FAN_ROWS.more)) };
}

/**
 * The outlines of all threads and streams, as attributes of their paths. Threads leave the question as one bundle.
 *
 * @param {Places} places
 * @param {object} of
 * @param {ArrayLike<number>} of.weights of the rows, the rest and "none of these", which sum to one
 * @param {number} of.count of the rows
 * @param {number} of.others rows of the rest; 0 without it
 * @param {number} of.half how far the clamp is open, from its middle
 * @returns {{thread: Record<string, string | number | null>, stream: Record<string, string | number | null>}[]} one a weight
 */
export function strands(places, { weights, count, others, half }) {
  const bundle = places.height * BUNDLE;
  const drawn = Array.from(weights).filter((weight) => weight > 0).length;
  const spread = drawn > 1 ? Math.max(bundle, 2 * half * 0.94) : bundle;
  const gap = drawn ? (spread - bundle) / drawn : 0;
  let atStart = -bundle / 2;
  let atClamp = places.clamp.y - spread / 2;
  return Array.from(weights, (weight, i) => {
    if (!(weight > 0)) return { thread: { d: null, "data-weight": 0 }, stream: { d: null } };
    const isOthers = i === count && others > 0;
    const box = isOthers ? restBox(places, i, others) : places.rows[i];
    const [key, value] = [keyBox(places, box), valueBox(places, box)];
    const thick = weight * bundle;
    const middle = atStart + thick / 2;
    const through = { x: places.clamp.x, y: atClamp + gap / 2 + thick / 2 };
    const to = { x: box.x, y: isOthers ? box.y + box.height / 2 : key.y + key.height / 2 };
    const out = { x: value.x + value.width, y: isOthers ? to.y : value.y + value.height / 2 };
    atStart += thick;
    atClamp += thick + gap;
    if (isOthers) {
      const strand = thick / Math.min(others, MOST_THREADS);
      // Thinner than a hair is fainter.
      const drawing = { opacity: Math.max(FAINT, Math.min(1, strand / HAIR_PX)).toFixed(3), "stroke-width": Math.max(HAIR_PX, strand) };
      return {
        thread: { d: fan(places, middle, through, to, thick, gap, box.height, others), "data-weight": weight, ...drawing, class: "thread fan" },
        stream: { d: streams(out, places, middle, thick, box.height, others), ...drawing, class: "stream fan" },
      };
    }
    const drawing = { opacity: null, "stroke-width": null };
    const [wide, end] = [Math.max(HAIR_PX, thick), Math.max(HAIR_PX, weight * key.height)];
    return {
      thread: { d: ribbon(places, middle, through, to, wide, end), "data-weight": weight, ...drawing, class: "thread" },
      stream: { d: i < count ? stream(out, places, middle, end, wide) : null, ...drawing, class: "stream" },
    };
  });
}

/**
 * The way of an edge from the question to the clamp: the beginning of a path.
 *
 * @param {Places} places
 * @param {number} from the middle of the bundle, at the question
 * @param {{x: number, y: number}} to
 */
function beginning({ start, isNarrow, height }, from, to) {
  if (isNarrow) {
    const x = start.x - (from * FALL_PX) / (height * BUNDLE);
    return `M${px(x)} ${px(start.y)}C${px(x)} ${px(start.y + (to.y - start.y) * 0.7)} ${px(x)} ${px(to.y)} ${px(to.x)} ${px(to.y)}`;
  }
  const [y, bend] = [start.y + from, (start.x + to.x) / 2];
  return `M${px(start.x)} ${px(y)}C${px(bend)} ${px(y)} ${px(bend)} ${px(to.y)} ${px(to.x)} ${px(to.y)}`;
}

/**
 * The way of an edge back from the clamp to the question: the end of an outline.
 *
 * @param {Places} places
 * @param {number} to from the middle of the bundle, at the question
 * @param {{x: number, y: number}} from
 */
function ending({ start, isNarrow, height }, to, from) {
  if (isNarrow) {
    const x = start.x - (to * FALL_PX) / (height * BUNDLE);
    return `C${px(x)} ${px(from.y)} ${px(x)} ${px(start.y + (from.y - start.y) * 0.7)} ${px(x)} ${px(start.y)}Z`;
  }
  const [y, bend] = [start.y + to, (start.x + from.x) / 2];
  return `C${px(bend)} ${px(from.y)} ${px(bend)} ${px(y)} ${px(start.x)} ${px(y)}Z`;
}

/**
 * A thread from the question through the clamp to a key, as the outline of a ribbon.
 *
 * @param {Places} places
 * @param {number} from its middle, from that of the bundle
 * @param {{x: number, y: number}} through
 * @param {{x: number, y: number}} to
 * @param {number} thick at the question
 * @param {number} end at the key
 */
function ribbon(places, from, through, to, thick, end) {
  const [top, bottom] = [through.y - thick / 2, through.y + thick / 2];
  const [upper, lower] = [to.y - end / 2, to.y + end / 2];
  const turn = (through.x + to.x) / 2;
  return (
    beginning(places, from - thick / 2, { x: through.x, y: top }) +
    `C${px(turn)} ${px(top)} ${px(turn)} ${px(upper)} ${px(to.x)} ${px(upper)}L${px(to.x)} ${px(lower)}` +
    `C${px(turn)} ${px(lower)} ${px(turn)} ${px(bottom)} ${px(through.x)} ${px(bottom)}` +
    ending(places, from + thick / 2, { x: through.x, y: bottom })
  );
}

/**
 * The rest of a collection: a thread for every row, or as many as can be distinguished, never one rope.
 *
 * @param {Places} places
 * @param {number} from the middle of all of them, from that of the bundle
 * @param {{x: number, y: number}} through
 * @param {{x: number, y: number}} to
 * @param {number} thick of all of them
 * @param {number} gap that the clamp leaves for them
 * @param {number} height of the box where they end
 * @param {number} others
 */
function fan(places, from, through, to, thick, gap, height, others) {
  const count = Math.min(others, MOST_THREADS);
  const turn = (through.x + to.x) / 2;
  let path = "";
  for (let i = 0; i < count; i++) {
    const share = (i + 0.5) / count - 0.5;
    const [b, c] = [through.y + share * (thick + gap * 0.8), to.y + share * height * 0.96];
    path += `${beginning(places, from + share * thick, { x: through.x, y: b })}C${px(turn)} ${px(b)} ${px(turn)} ${px(c)} ${px(to.x)} ${px(c)}`;
  }
  return path;
}

/**
 * A value on its way to the output, as the outline of a ribbon.
 *
 * @param {{x: number, y: number}} from
 * @param {Places} places
 * @param {number} at where it ends, from the middle of the output
 * @param {number} thick at the value
 * @param {number} end at the output
 */
function stream(from, places, at, thick, end) {
  const { output, isNarrow } = places;
  if (isNarrow) {
    // Down a lane beside the rows, which is as wide as the bundle would be.
    const lane = (LANE_PX - 4) / (places.height * BUNDLE);
    const middle = output.x + output.width - LANE_PX / 2;
    const [right, left] = [middle - (at - end / 2) * lane, middle - (at + end / 2) * lane];
    const [a, b, down] = [from.y - thick / 2, from.y + thick / 2, from.y + thick / 2 + 14];
    return `M${px(from.x)} ${px(a)}Q${px(right)} ${px(a)} ${px(right)} ${px(down)}V${px(output.y)}H${px(left)}V${px(down)}Q${px(left)} ${px(b)} ${px(from.x)} ${px(b)}Z`;
  }
  const to = { x: output.x, y: output.y + output.height / 2 + at };
  const turn = (from.x + to.x) / 2;
  const [a, b, c, d] = [from.y - thick / 2, from.y + thick / 2, to.y - end / 2, to.y + end / 2];
  return `M${px(from.x)} ${px(a)}C${px(turn)} ${px(a)} ${px(turn)} ${px(c)} ${px(to.x)} ${px(c)}L${px(to.x)} ${px(d)}C${px(turn)} ${px(d)} ${px(turn)} ${px(b)} ${px(from.x)} ${px(b)}Z`;
}

/**
 * The values of the rest on their way to the output: a stream for every row, or as many as can be distinguished.
 *
 * @param {{x: number, y: number}} from
 * @param {Places} places
 * @param {number} at where they end, from the middle of the output
 * @param {number} thick of all of them
 * @param {number} height of the box where they begin
 * @param {number} others
 */
function streams(from, { output, isNarrow, height: rowHeight }, at, thick, height, others) {
  const count = Math.min(others, MOST_THREADS);
  const turn = (from.x + output.x) / 2;
  let path = "";
  for (let i = 0; i < count; i++) {
    const share = (i + 0.5) / count - 0.5;
    const y = from.y + share * height * 0.96;
    const end = at + share * thick;
    if (isNarrow) {
      const x = output.x + output.width - LANE_PX / 2 - (end * (LANE_PX - 4)) / (rowHeight * BUNDLE);
      path += `M${px(from.x)} ${px(y)}Q${px(x)} ${px(y)} ${px(x)} ${px(y + 14)}V${px(output.y)}`;
    } else {
      const to = output.y + output.height / 2 + end;
      path += `M${px(from.x)} ${px(y)}C${px(turn)} ${px(y)} ${px(turn)} ${px(to)} ${px(output.x)} ${px(to)}`;
    }
  }
  return path;
}

/**
 * So many stripes of a box, or as many as can be distinguished, as attributes of a path.
 * @param {Box} box
 * @param {number} [wanted]
 */
export function striped(box, wanted = Math.ceil(box.height / (2 * STRIPE_PX))) {
  const count = Math.min(wanted, MOST_THREADS);
  const lines = Array.from({ length: count }, (_, i) => {
    const y = box.y + (box.height * (i + 0.5)) / count;
    return `M${px(box.x)} ${px(y)}H${px(box.x + box.width)}`;
  });
  return { d: lines.join(""), "stroke-width": Math.min(STRIPE_PX, Math.max(0.4, (box.height / count) * 0.5)) };
}

/** @param {Box} box */
export function asRect({ x, y, width, height }) {
  return { x: px(x), y: px(y), width: px(width), height: px(height) };
}

/** @param {number} number */
export function px(number) {
  return Math.round(number * 10) / 10;
}
