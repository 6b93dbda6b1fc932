/**
 * The picture of attention: a question, its keys and values, and the output, joined by threads as thick as the weights.
 *
 * The threads leave the question as one bundle. Weights sum to one, so the bundle is always equally thick: what a row
 * gains the others lose. A clamp holds its beginning, and that is the knob of the temperature: pinched to nothing
 * all of the bundle runs to the nearest key (T = 0); pulled wide open it has a thread for every row (T = ∞).
 *
 * `layout` places texts and boxes, on new rows and on a new size; `draw` moves threads, once a frame.
 */

import { count as grouped, fixed, percent, temperatureText } from "./numbers.js";
import { positionOf, STEPS, temperatureAt } from "./scale.js";
import { colourOf, lightOf } from "./colours.js";
import { drawing, HEIGHT, WIDTH } from "./drawings.js";
import { s, set } from "./svg.js";

/**
 * @typedef {object} Row
 * @property {string} key
 * @property {string} value a text; `#rrggbb` is a colour, and so drawn
 * @property {string} [picture] the name of a drawn picture, which is then the value that is shown
 */

/**
 * @typedef {object} Content
 * @property {string} query
 * @property {Row[]} rows
 * @property {number} [small] how many of the last rows are laid out small and without a text
 * @property {number} [others] how many rows there are beside these, which are drawn as a fan
 * @property {boolean} [none] whether "none of these" is one of the keys
 * @property {boolean} [named] whether the parts have their names: query, key, weight, value and temperature
 * @property {boolean} [bars] whether keys show their similarities as bars, on an axis that a level can be dragged along
 */

/**
 * @typedef {object} Frame
 * @property {number} temperature
 * @property {ArrayLike<number>} weights one a row; with the two below they sum to one
 * @property {ArrayLike<number>} similarities one a row: how much its key glows
 * @property {number} [othersWeight]
 * @property {number} [noneWeight]
 * @property {number} [level] where bars are shown: the similarity of "none of these"
 * @property {number} [glow] 0 to 1, how much of the glow is there
 * @property {number} [grown] 0 to 1, how far the threads have grown from the question to the keys
 * @property {number} [poured] 0 to 1, how far the values have run from the rows to the output
 * @property {?Moved} [moved] values on their way to other rows
 * @property {?number} [scanned] 0 to the number of rows: how many keys `=` has been compared with; null without it
 */

/**
 * @typedef {object} Moved
 * @property {number[]} from one a row: the row that its value was at before
 * @property {number} share 0 to 1, how far the values have come
 * @property {?{row: number, x: number, y: number}} [held] the value of a row that is dragged, and how far, in pixels
 */

/** Thickness of the whole bundle at the question, and the space between rows, of a row's height. */
const BUNDLE = 1.7;
const GAP = 0.16;
/** A thread is drawn at least so thick, in pixels, unless its weight is 0. */
const HAIR = 0.75;
/** A thread of a fan is at least so dark. */
const FAINT = 0.12;
/** The maximum height of the box of a fan, in rows. One row is as high as a row; each further one adds the second number. */
const FAN_ROWS = { most: 2.4, more: 0.1 };
/** A stripe of such a box is at most so thick, in pixels. */
const STRIPE = 3;
/** The maximum number of threads that a fan shows. */
const MOST_THREADS = 64;
/** In rem, as the page's type is. */
const TALLEST_ROW = 3.5;
/** The maximum share of the height for small rows together, and the maximum pixels of one. */
const SMALL = { share: 0.35, most: 14 };
/** Below this width in pixels the question is above the rows, and the output below them. */
const NARROW = 640;
const HANDLE = 12;
/** Room for a percentage at the end of a key: of up to three, of four and of more letters in em, and around it in pixels. */
const SHARE = { letters: [2.2, 2.9, 3.8], around: 16 };
/** On a narrow page, texts of values have at most such a share of the width: longer ones are below their keys. */
const VALUES = 0.26;
/** On a narrow page, values run down beside the rows, in a lane of this width. */
const LANE = 26;
/** Shares of a picture's width and height. */
const RATIO = WIDTH / HEIGHT;
/** So near to an end of the knob's way, as a share of it, is the end. */
const SNAP = 0.025;
/** The least size of a text in pixels, and in large type; names of parts have `--name-size` of the style sheet, in rem. */
const LEAST = { usual: 16, large: 22, below: 14 };
const NAME = 1.125;
/** The space between a name and what it names, in pixels. */
const NEAR = 9;
/** Room that a question, its bundle and the clamp need beside the keys, in rem. */
const KNOB = 7.5;
/** Room for the handle of a level, in pixels, and the axis of similarities along which it is dragged. */
const LEVEL = 30;
/** The height of a bar, at the lower edge of its key, in pixels. */
const BAR = 6;
/** The key's share of the height, in a row with its value below the key. */
const UPPER = 0.52;
/** The height of a line of a question, of its type, and the room around all lines in pixels. */
const LINE = { height: 1.3, around: 24 };
/** If all rows together have a smaller weight, the output is empty. */
const NOTHING = 0.05;
const AXIS = { from: -0.1, to: 1 };
const FINE = 4;
const COARSE = 20;

/** @typedef {{x: number, y: number, width: number, height: number}} Box */

export class Threads {
  #say;
  #change;
  /** @type {Content} */
  #content = { query: "", rows: [] };
  /** @type {?Frame} */
  #frame = null;
  #hovered = -1;
  #isChosen = false;
  #size = { width: 0, height: 0, text: LEAST.usual };
  #nameSize = NAME * 16;
  #family = "";
  #pen = document.createElement("canvas").getContext("2d");
  #font = "";
  /** @type {ReturnType<typeof placed>} */
  #places = placed({
    width: 0,
    height: 0,
    rem: 16,
    size: 16,
    name: 0,
    above: 0,
    lines: { count: 1, size: 16 },
    count: 0,
    areColours: false,
    arePictures: false,
  });
  #left = s("g.left");
  #right = s("g.right");
  #rows = s("g.rows");
  #query = s("g.asked");
  #output = s("g.output");
  #marks = s("g.marks");
  #terms = s("g.terms");
  #track = s("line.track");
  #ends = [s("text.end", {}, "∞"), s("text.end", {}, "0")];
  #clamp = s("line.clamp");
  #told = s("text.told", { y: HANDLE + 22, "text-anchor": "middle" });
  #hand = s("text.drag", { x: HANDLE + 8, dy: "0.35em" });
  // The handle's parts move together, by a transform: moving each text would lay it out anew.
  #above = s("g");
  #below = s("g");
  #knob = s("g.knob", { tabindex: 0, role: "slider", "aria-orientation": "vertical", "aria-valuemin": 0, "aria-valuemax": STEPS });
  #level = s("g.level", { tabindex: 0, role: "slider", "aria-orientation": "horizontal", "aria-valuemin": AXIS.from, "aria-valuemax": AXIS.to });
  #levelLine = s("line.level-line");
  #levelGrip = s("line.grip");
  #levelHandle = s("circle.handle", { r: HANDLE });
  #levelText = s("text.told");
  #grown = s("rect");
  #poured = s("rect");
  /** @type {SVGPathElement[]} */
  #threads = [];
  /** @type {SVGPathElement[]} */
  #streams = [];
  /** @type {SVGTextElement[]} */
  #shares = [];
  /** @type {SVGRectElement[]} */
  #glows = [];
  /** @type {SVGElement[]} */
  #blends = [];
  /** The linear light of each value, if all are colours. @type {number[][]} */
  #lights = [];
  /** @type {SVGGElement[]} */
  #values = [];
  /** @type {{label: SVGTextElement, alone: string, beside: string[]}[]} the letters of a key that are shown: alone, and beside percentages as in `SHARE` */
  #labels = [];
  #held = s("g.held");
  #blend = s("g.blend");
  #empty = s("text.empty");
  #rest = s("path.stripes");
  #stripes = s("path.stripes");

  /**
   * @param {import("./words.js").Text} say
   * @param {((temperature: number) => void) | null} change the reader moved the knob; null for a picture without one
   * @param {((level: number) => void) | null} [changeLevel] the reader moved the level of "none of these"
   */
  constructor(say, change, changeLevel = null) {
    this.#say = say;
    this.#change = change;
    const [grown, poured] = [nameOf("grown"), nameOf("poured")];
    this.element = s(
      "svg.threads",
      { role: "group" },
      s("clipPath", { id: grown }, this.#grown),
      s("clipPath", { id: poured }, this.#poured),
      this.#query,
      this.#left,
      this.#right,
      this.#levelLine,
      this.#rows,
      this.#held,
      this.#output,
      this.#marks,
      this.#terms,
      this.#level,
      this.#knob,
    );
    this.#left.setAttribute("clip-path", `url(#${grown})`);
    this.#right.setAttribute("clip-path", `url(#${poured})`);
    this.#above.append(s("circle.handle", { r: HANDLE }), this.#hand);
    this.#below.append(s("circle.handle", { r: HANDLE }), this.#told);
    this.#knob.append(this.#track, ...this.#ends, this.#clamp, this.#above, this.#below);
    this.#knob.setAttribute("aria-label", say("temperature"));
    if (change) this.#listen();
    else this.#knob.remove();
    this.#level.append(this.#levelGrip, this.#levelHandle, this.#levelText);
    this.#level.setAttribute("aria-label", say("none"));
    if (changeLevel) this.#listenToLevel(changeLevel);
    else for (const part of [this.#level, this.#levelLine]) part.remove();
    this.element.addEventListener("pointermove", (event) => this.#hover(event.target));
    this.element.addEventListener("pointerleave", () => this.#hover(null));
  }

  /** The box of the question's card, for an input above it, and the size of its text. @returns {Box & {size: number}} */
  get queryBox() {
    return this.#places.query;
  }

  /** The boxes of the rows' values, for dragging. @returns {Box[]} */
  get valueBoxes() {
    return this.#places.rows.slice(0, this.#content.rows.length).map((row) => this.#valueBox(row));
  }

  /** The boxes of the rows' keys, for choosing. @returns {Box[]} */
  get keyBoxes() {
    return this.#places.rows.slice(0, this.#content.rows.length).map((row) => this.#keyBox(row));
  }

  /** The end of the name over the column of keys, on its line. @returns {{x: number, y: number}} */
  get keysName() {
    const { rows, namesY } = this.#places;
    return { x: (rows[0]?.x ?? 0) + this.#widthOf(this.#say("term.key"), 600, this.#nameSize), y: namesY };
  }

  /** @param {Box} row @returns {Box} */
  #keyBox({ x, y, width, height }) {
    const { isStacked, valueX } = this.#places;
    return isStacked ? { x, y, width, height: height * UPPER } : { x, y, width: valueX - x - 8, height };
  }

  /** @param {Box} row @returns {Box} */
  #valueBox({ x, y, width, height }) {
    const { isStacked, valueX, valueWidth } = this.#places;
    return isStacked ? { x, y: y + height * UPPER, width, height: height * (1 - UPPER) } : { x: valueX, y, width: valueWidth, height };
  }

  /** The box of the rest: with few others it is lower than the place it has. @param {number} others @returns {Box} */
  #restBox(others) {
    const box = this.#places.rows[this.#content.rows.length];
    return { ...box, height: Math.min(box.height, this.#places.height * (1 + (others - 1) * FAN_ROWS.more)) };
  }

  /** Another number of rows beside those that are drawn, in a picture that has some. @param {number} others */
  count(others) {
    const { rows } = this.#content;
    this.#content = { ...this.#content, others };
    if (!this.#places.rows[rows.length]) return;
    const box = this.#restBox(others);
    const key = this.#keyBox(box);
    const middle = key.y + key.height / 2;
    const text = this.#say("others", { count: grouped(others) });
    this.#labels[rows.length] = { ...this.#labels[rows.length], alone: text, beside: [text, text, text] };
    set(this.#stripes, striped(this.#valueBox(box), Math.min(others, MOST_THREADS)));
    for (const part of this.#rows.children[rows.length].children)
      if (part instanceof SVGRectElement) set(part, asRect({ ...key, height: box.height }));
      else if (part instanceof SVGTextElement) set(part, { y: middle });
  }

  /** Show the weight of a row, as if the pointer were over it. @param {number} row −1: of none */
  point(row) {
    if (row === this.#hovered) return;
    this.#hovered = row;
    if (this.#frame) this.draw(this.#frame);
  }

  /** Show a hand at the knob that says "drag"; or take it away. @param {boolean} isShown */
  beckon(isShown) {
    this.#hand.textContent = isShown ? this.#say("drag") : "";
  }

  /** Call this with the number of a row that is clicked, or chosen by key. @param {(row: number) => void} chosen */
  onRow(chosen) {
    this.#isChosen = true;
    const rowOf = (/** @type {Event} */ event) => (event.target instanceof Element ? event.target.closest("[role=checkbox]") : null);
    const choose = (/** @type {?Element} */ row) => row && chosen(Number(row.getAttribute("data-row")));
    this.#rows.addEventListener("click", (event) => choose(rowOf(event)));
    this.#rows.addEventListener("keydown", (event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      choose(rowOf(event));
    });
  }

  /** Show which rows may not be attended to. @param {boolean[]} masked one a row */
  mask(masked) {
    for (const [i, row] of Array.from(this.#rows.children).entries()) {
      row.classList.toggle("masked", masked[i] ?? false);
      if (row.hasAttribute("role")) row.setAttribute("aria-checked", String(!masked[i]));
    }
  }

  /**
   * Take other rows, or another question. Until the next moment is drawn, only other values keep their threads.
   *
   * @param {Content} content
   */
  take(content) {
    const { query, rows } = this.#content;
    const isSame = content.query === query && content.rows.length === rows.length && content.rows.every(({ key }, i) => key === rows[i].key);
    if (!isSame) this.#frame = null; // its weights are of other rows
    this.#content = content;
    this.layout(this.#size.width, this.#size.height);
  }

  /**
   * Place everything in a box of pixels.
   *
   * @param {number} width
   * @param {number} height
   */
  layout(width, height) {
    Object.assign(this.#size, { width, height });
    if (!width || !height) return;
    const { rows, small = 0, others = 0, none = false, query } = this.#content;
    set(this.element, { viewBox: `0 0 ${width} ${height}`, width, height });
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    this.#family = getComputedStyle(this.element).fontFamily;
    this.#nameSize = NAME * rem;
    const isLarge = document.documentElement.dataset.projector === "on" && window.innerWidth >= NARROW;
    const least = isLarge ? LEAST.large : LEAST.usual;
    const areColours = rows.every(({ value }) => isColour(value));
    const arePictures = rows.some(({ picture }) => picture);
    const widest = (/** @type {string[]} */ texts) => Math.max(0, ...texts.map((text) => this.#widthOf(text, 400, 1)));
    const measures = {
      width,
      height,
      rem,
      size: least,
      name: this.#content.named ? this.#nameSize * 1.3 : 0,
      above: this.#content.bars ? LEVEL : 0,
      lines: { count: 1, size: least },
      count: rows.length + (others ? 1 : 0) + (none ? 1 : 0),
      areColours,
      arePictures,
      small: { from: rows.length - small, count: small },
      rest: others ? rows.length : -1,
      longest: widest(rows.slice(0, rows.length - small).map(({ key }) => key)),
      longestName: widest([...(others ? [this.#say("others", { count: grouped(others) })] : []), ...(none ? [this.#say("none")] : [])]),
      longestValue: areColours || arePictures ? 0 : widest(rows.flatMap(({ value }) => (isColour(value) ? [] : [value]))),
    };
    const { query: box } = placed(measures);
    const places = placed({ ...measures, lines: this.#linesOf(query, box, rem, height) });
    this.#places = places;
    this.#size.text = places.text;
    this.element.style.setProperty("--row-size", `${places.text}px`);
    this.element.style.setProperty("--name-size", `${this.#nameSize}px`);
    this.element.classList.toggle("with-bars", this.#content.bars ?? false);

    this.#query.replaceChildren(s("rect.card", { ...asRect(places.query), rx: 8 }), ...this.#wrapped(query, places.query));
    this.#glows = [];
    this.#shares = [];
    this.#values = [];
    this.#labels = [];
    this.#held.replaceChildren();
    this.#rows.replaceChildren(...places.rows.map((box, i) => this.#row(box, i)));
    this.#threads = places.rows.map(() => s("path.thread"));
    this.#streams = places.rows.map((_, i) => {
      const path = s("path.stream");
      if (i < rows.length && isColour(rows[i].value)) path.style.setProperty("fill", rows[i].value);
      return path;
    });
    this.#left.replaceChildren(...this.#threads);
    this.#right.replaceChildren(...this.#streams);
    this.#layoutOutput();
    this.#layoutKnob();
    this.#layoutTerms();
    this.#marks.replaceChildren();
    if (this.#frame) this.draw(this.#frame);
  }

  /** @param {Box} place @param {number} i */
  #row(place, i) {
    const { rows, small = 0, others = 0 } = this.#content;
    const isRow = i < rows.length;
    const isSmall = isRow && i >= rows.length - small;
    const isOthers = !isRow && others > 0 && i === rows.length;
    const box = isOthers ? this.#restBox(others) : place;
    const key = isRow ? this.#keyBox(box) : { ...this.#keyBox(box), height: box.height };
    const middle = key.y + (isOthers ? this.#keyBox(box) : key).height / 2;
    const rx = isSmall ? 2 : 6;
    const group = s(isRow ? "g.row" : isOthers ? "g.row.others" : "g.row.none", {
      "data-row": i,
      ...(isRow && this.#isChosen ? { role: "checkbox", tabindex: 0, "aria-checked": "true", "aria-label": rows[i].key } : {}),
    });
    const bar = this.#content.bars ? { ...key, y: key.y + key.height - BAR, height: BAR } : key;
    const glow = s("rect.glow", { ...asRect(bar), rx: this.#content.bars ? 1 : rx, opacity: 0 });
    const share = s("text.share", { x: key.x + key.width - 10, y: middle, "text-anchor": "end", dy: "0.35em" });
    this.#glows.push(glow);
    this.#shares.push(share);
    group.append(s("rect.key", { ...asRect(key), rx }), glow);
    const text = isRow ? rows[i].key : isOthers ? this.#say("others", { count: grouped(others) }) : this.#say("none");
    const label = s("text.key-text", { x: key.x + 12, y: middle, dy: "0.35em" });
    const em = this.#size.text;
    this.#labels.push({
      label,
      alone: this.#clipped(text, key.width - 20),
      beside: SHARE.letters.map((letters) => this.#clipped(text, key.width - 12 - SHARE.around - letters * em)),
    });
    group.append(label);
    if (isRow) {
      const value = s("g.shown", {}, ...this.#value(rows[i], this.#valueBox(box)));
      this.#values.push(value);
      group.append(value);
    } else if (isOthers) {
      set(this.#stripes, striped(this.#valueBox(box), Math.min(others, MOST_THREADS)));
      group.append(this.#stripes);
    }
    if (isSmall) {
      for (const words of group.querySelectorAll(".key-text, .value-text")) words.remove();
      group.append(s("title", {}, text));
    }
    group.append(share);
    return group;
  }

  /** @param {Row} row @param {Box} box */
  #value({ value, picture }, box) {
    if (picture) return [drawing(picture, asRect(box)), s("rect.frame", asRect(box))];
    if (isColour(value)) return [s("rect.swatch", { ...asRect(box), rx: 6, fill: value })];
    const padding = this.#places.isStacked ? 12 : this.#places.isNarrow ? 6 : 10;
    return [
      s("rect.value", { ...asRect(box), rx: 6 }),
      s("text.value-text", { x: box.x + padding, y: box.y + box.height / 2, dy: "0.35em" }, this.#clipped(value, box.width - 2 * padding)),
    ];
  }

  /** A value in an output of pictures; a text is on a card. @param {Row} row @param {Box} box */
  #card({ value, picture }, box) {
    if (picture) return [drawing(picture, asRect(box))];
    const text = s("text.value-text", { x: box.x + box.width / 2, y: box.y + box.height / 2, dy: "0.35em", "text-anchor": "middle" });
    text.textContent = this.#clipped(value, box.width - 16);
    return [s("rect.value", asRect(box)), text];
  }

  #layoutOutput() {
    const { output } = this.#places;
    const { rows } = this.#content;
    this.#lights = rows.every(({ value }) => isColour(value)) ? rows.map(({ value }) => lightOf(value)) : [];
    const card = s("rect.card", { ...asRect(output), rx: 10 });
    if (rows.length && rows.every(({ value }) => isColour(value))) {
      const swatch = s("rect.swatch", { ...asRect(output), rx: 10 });
      this.#blends = [swatch];
    } else if (rows.some(({ picture }) => picture)) {
      this.#blends = rows.map((_, i) => s("g.added", { opacity: 0 }, ...this.#card(rows[i], output)));
    } else {
      this.#blends = rows.map(({ value }) => {
        const band = s("rect.band");
        if (isColour(value)) band.style.setProperty("fill", value);
        return s("g", {}, band, s("text.band-text"));
      });
    }
    this.#empty = s("text.empty", { x: output.x + output.width / 2, y: output.y + output.height / 2, dy: "0.35em", "text-anchor": "middle" });
    const name = s("text.name", { x: output.x + output.width / 2, y: output.y - 10, "text-anchor": "middle" }, this.#say("output"));
    this.#blend.replaceChildren(...this.#blends);
    set(this.#blend, { opacity: null });
    this.#output.replaceChildren(
      card,
      this.#blend,
      this.#rest,
      s("rect.frame", { ...asRect(output), rx: rows.some(({ picture }) => picture) ? 0 : 10 }),
      this.#empty,
      name,
    );
  }

  #layoutKnob() {
    const { clamp } = this.#places;
    set(this.#track, { x1: clamp.x, x2: clamp.x, y1: clamp.y - clamp.most, y2: clamp.y + clamp.most });
    set(this.#ends[0], { x: clamp.x, y: clamp.y - clamp.most - HANDLE - 8, "text-anchor": "middle" });
    set(this.#ends[1], { x: clamp.x + HANDLE + 8, y: clamp.y + clamp.most + 6, "text-anchor": "start", display: "none" });
    set(this.#told, { y: HANDLE + 6 + this.#size.text });
  }

  /** The names of the parts: over their columns, and of the question and the knob beside them. */
  #layoutTerms() {
    const { query, clamp, rows, valueX, valueWidth, isNarrow, isStacked, namesY } = this.#places;
    const name = (/** @type {string} */ part, /** @type {number} */ x, /** @type {number} */ y, /** @type {string} */ anchor) =>
      s(`text.term.${part}`, { x, y, "text-anchor": anchor }, this.#say(`term.${part}`));
    const end = valueX + valueWidth;
    const knob = { x: isNarrow ? 0 : clamp.x, y: isNarrow ? clamp.y + clamp.most + HANDLE + 6 + this.#size.text + this.#nameSize * 1.2 : namesY };
    this.#terms.replaceChildren(
      ...(this.#content.named && rows.length
        ? [
            isNarrow ? name("query", 2, query.y - 6, "start") : name("query", query.x + query.width / 2, query.y - NEAR, "middle"),
            name("key", rows[0].x, namesY, "start"),
            name("weight", (isStacked ? end : valueX - 8) - 10, namesY, "end"),
            name("value", isStacked ? (rows[0].x + end) / 2 : valueX + valueWidth / 2, namesY, "middle"),
            ...(this.#change ? [name("temperature", knob.x, knob.y, isNarrow ? "start" : "middle")] : []),
          ]
        : []),
    );
  }

  /** A name is there once its part acts. @param {number} grown @param {number} poured */
  #naming(grown, poured) {
    for (const [part, opacity] of Object.entries({ weight: grown, temperature: grown, value: poured }))
      for (const term of this.#terms.querySelectorAll(`.${part}`)) set(/** @type {SVGElement} */ (term), { opacity: Math.min(1, opacity * 2) });
  }

  /**
   * Draw one moment.
   *
   * @param {Frame} frame
   */
  draw(frame) {
    this.#frame = frame;
    const { width, height } = this.#size;
    if (!width || !height) return;
    const { rows, others = 0 } = this.#content;
    const places = this.#places;
    const { grown = 1, poured = 1, glow = 1, othersWeight = 0, noneWeight = 0 } = frame;
    const open = positionOf(frame.temperature) / STEPS;
    const half = places.clamp.least + (places.clamp.most - places.clamp.least) * open;
    const weights = [
      ...Array.from({ length: rows.length }, (_, i) => frame.weights[i]),
      ...(others ? [othersWeight] : []),
      ...(this.#content.none ? [noneWeight] : []),
    ];
    const bundle = places.height * BUNDLE;
    const drawn = weights.filter((weight) => weight > 0).length;
    const spread = drawn > 1 ? Math.max(bundle, 2 * half * 0.94) : bundle;
    const gap = drawn ? (spread - bundle) / drawn : 0;

    set(this.#grown, { x: 0, y: 0, height, width: (places.isNarrow ? 0 : places.start.x) + (places.rows[0]?.x ?? 0) * grown });
    set(
      this.#poured,
      places.isNarrow
        ? { x: places.isStacked ? width - LANE : places.valueX, y: 0, width, height: height * poured }
        : { x: places.valueX, y: 0, height, width: (width - places.valueX) * poured },
    );

    let atStart = -bundle / 2;
    let atClamp = places.clamp.y - spread / 2;
    let atEnd = -bundle / 2;
    for (let i = 0; i < weights.length; i++) {
      const weight = weights[i];
      const thick = weight * bundle;
      const isOthers = i === rows.length && others > 0;
      const box = isOthers ? this.#restBox(others) : places.rows[i];
      const y = box.y + box.height / 2;
      if (weight > 0) {
        const from = atStart + thick / 2;
        const through = { x: places.clamp.x, y: atClamp + gap / 2 + thick / 2 };
        const to = { x: box.x, y: this.#keyBox(box).y + this.#keyBox(box).height / 2 };
        if (isOthers) to.y = y;
        const end = weight * (isOthers ? box.height : this.#keyBox(box).height);
        const path = isOthers
          ? fan(places, from, through, to, thick, gap, box.height, others)
          : ribbon(places, from, through, to, Math.max(HAIR, thick), Math.max(HAIR, end));
        const strand = thick / Math.min(others, MOST_THREADS);
        // Thinner than a hair is fainter.
        set(this.#threads[i], {
          d: path,
          "data-weight": weight,
          "stroke-width": isOthers ? Math.max(HAIR, strand) : null,
          opacity: isOthers ? Math.max(FAINT, Math.min(1, strand / HAIR)).toFixed(3) : null,
          class: isOthers ? "thread fan" : "thread",
        });
        const isValue = i < rows.length || isOthers;
        const value = this.#valueBox(box);
        const out = { x: value.x + value.width, y: isOthers ? y : value.y + value.height / 2 };
        const d = isOthers
          ? streams(out, places, atEnd + thick / 2, thick, box.height, others)
          : stream(out, places, atEnd + thick / 2, Math.max(HAIR, end), Math.max(HAIR, thick));
        const opacity = isOthers ? Math.max(FAINT, Math.min(1, strand / HAIR)).toFixed(3) : null;
        set(this.#streams[i], {
          d: isValue ? d : null,
          opacity,
          "stroke-width": isOthers ? Math.max(HAIR, strand) : null,
          class: isOthers ? "stream fan" : "stream",
        });
        atStart += thick;
        atClamp += thick + gap;
        atEnd += thick;
      } else {
        set(this.#threads[i], { d: null, "data-weight": 0 });
        set(this.#streams[i], { d: null });
      }
    }
    this.#glowing(frame, glow);
    this.#sharing(weights, grown);
    this.#moving(frame.moved ?? null);
    this.#blending(weights, poured, frame.moved ?? null);
    this.#scanning(frame.scanned ?? null);
    this.#naming(grown, poured);
    if (this.#change) this.#knobAt(frame.temperature, half, grown);
  }

  /** The place of a similarity on the axis of the bars. @param {number} similarity */
  #along(similarity) {
    const { x, width } = this.#keyBox(this.#places.rows[0] ?? { x: 0, y: 0, width: 0, height: 0 });
    return x + ((Math.min(AXIS.to, Math.max(AXIS.from, similarity)) - AXIS.from) / (AXIS.to - AXIS.from)) * width;
  }

  /** @param {Frame} frame @param {number} glow */
  #glowing({ similarities, level = 0 }, glow) {
    const numbers = Array.from(similarities);
    if (this.#content.bars) {
      for (let i = 0; i < numbers.length; i++) set(this.#glows[i], { opacity: glow, width: px(Math.max(0, this.#along(numbers[i]) - this.#places.rows[i].x)) });
      const [first, last] = [this.#places.rows[0], this.#places.rows[numbers.length - 1]];
      const x = px(this.#along(level));
      const line = { x1: x, x2: x, y1: first.y - 16, y2: last.y + last.height + 4 };
      const isLeft = x > this.#size.width - 6 * this.#size.text;
      set(this.#levelLine, line);
      set(this.#levelGrip, line);
      set(this.#levelHandle, { cx: x, cy: first.y - 16 });
      set(this.#levelText, { x: x + (isLeft ? -1 : 1) * (HANDLE + 6), y: first.y - 16, dy: "0.35em", "text-anchor": isLeft ? "end" : "start" });
      const text = `s₀ = ${fixed(level)}`;
      if (this.#levelText.textContent !== text) this.#levelText.textContent = text;
      set(this.#level, { "aria-valuenow": Math.min(AXIS.to, level), "aria-valuetext": text });
      return;
    }
    const [least, most] = [Math.min(...numbers), Math.max(...numbers)];
    for (let i = 0; i < numbers.length; i++) set(this.#glows[i], { opacity: (glow * (most > least ? (numbers[i] - least) / (most - least) : 1)).toFixed(3) });
  }

  /** @param {number[]} weights @param {number} grown */
  #sharing(weights, grown) {
    const [first, second] = [...weights].sort((a, b) => b - a);
    const areAlike = weights.every((weight) => Math.abs(weight - first) < 1e-9);
    for (let i = 0; i < weights.length; i++) {
      const isTold = grown === 1 && weights[i] > 0 && (i === this.#hovered || areAlike || (weights[i] >= second && weights[i] > 0.005));
      const text = isTold ? percent(weights[i]) : "";
      if (this.#shares[i].textContent !== text) this.#shares[i].textContent = text;
      const { label, alone, beside } = this.#labels[i];
      const key = text ? beside[Math.min(2, Math.max(0, text.length - 3))] : alone;
      if (label.textContent !== key) label.textContent = key;
    }
  }

  /** Values are on their way to other rows. @param {?Moved} moved */
  #moving(moved) {
    const { rows } = this.#places;
    for (const [i, value] of this.#values.entries()) {
      const { x, y } = moved?.held?.row === i ? moved.held : { x: 0, y: moved ? (rows[moved.from[i]].y - rows[i].y) * (1 - moved.share) : 0 };
      set(value, { transform: x || y ? `translate(${px(x)} ${px(y)})` : null });
      const isOnItsWay = moved !== null && (moved.held?.row === i || (moved.from[i] !== i && moved.share < 1));
      const holder = isOnItsWay ? this.#held : this.#rows.children[i];
      if (value.parentNode !== holder) holder.append(value);
    }
  }

  /**
   * The output of the values together. A value that moves to another row goes over to that row's weight.
   *
   * @param {number[]} weights
   * @param {number} poured
   * @param {?Moved} moved
   */
  #blending(weights, poured, moved) {
    const { rows } = this.#content;
    const { output } = this.#places;
    const shown = poured < 0.75 ? 0 : (poured - 0.75) * 4;
    const answered = rows.reduce((sum, _, i) => sum + weights[i], 0);
    const none = shown === 1 && answered + (this.#content.others ? weights[rows.length] : 0) < NOTHING ? "–" : "";
    if (this.#empty.textContent !== none) this.#empty.textContent = none;
    if (this.#lights.length) {
      const light = [0, 1, 2].map((j) => this.#lights.reduce((sum, one, i) => sum + (weights[i] * one[j]) / (answered || 1), 0));
      set(this.#blends[0], { fill: colourOf(light), opacity: (shown * answered).toFixed(3) });
    } else if (rows.some(({ picture }) => picture)) {
      // Laid over one another, the sum of weight × picture: each covers what is below it by its share of the weight so far.
      let sum = 0;
      for (const [i, picture] of this.#blends.entries()) {
        const weight = moved ? weights[moved.from[i]] * (1 - moved.share) + weights[i] * moved.share : weights[i];
        sum += weight;
        set(picture, { opacity: sum > 0 ? (weight / sum).toFixed(5) : 0 });
      }
      set(this.#blend, { opacity: (shown * answered).toFixed(4) });
    } else {
      let y = output.y;
      for (const [i, group] of this.#blends.entries()) {
        const height = weights[i] * output.height;
        const [band, text] = group.children;
        set(/** @type {SVGElement} */ (band), {
          x: output.x,
          y,
          width: output.width,
          height: Math.max(0, height * shown),
          opacity: isColour(rows[i].value) ? 1 : 0.25 + 0.75 * (i % 2),
        });
        set(/** @type {SVGElement} */ (text), { x: output.x + 10, y: y + height / 2, dy: "0.35em" });
        const value = height * shown > 1.35 * this.#size.text && !isColour(rows[i].value) ? this.#clipped(rows[i].value, output.width - 20) : "";
        if (text.textContent !== value) text.textContent = value;
        y += height;
      }
      const height = this.#content.others ? weights[rows.length] * output.height * shown : 0;
      set(this.#rest, height > 1 ? striped({ ...output, y, height }, Math.ceil(height / (2 * STRIPE))) : { d: null });
    }
  }

  /** `=` goes along the keys, and mostly finds none. @param {?number} scanned */
  #scanning(scanned) {
    const { rows, query } = this.#content;
    if (scanned === null) {
      if (this.#marks.childNodes.length) this.#marks.replaceChildren();
      return;
    }
    const { rows: boxes } = this.#places;
    const done = Math.min(rows.length, Math.floor(scanned));
    /** @type {SVGElement[]} */
    const marks = boxes.slice(0, done).map((box, i) => {
      const isEqual = rows[i].key === query;
      return s(isEqual ? "text.equal" : "text.unequal", { x: box.x - 10, y: box.y + box.height / 2, dy: "0.35em", "text-anchor": "end" }, isEqual ? "=" : "≠");
    });
    if (done < rows.length) {
      const box = boxes[done];
      const [from, turn] = [this.#places.start, (this.#places.start.x + box.x) / 2];
      const y = box.y + box.height / 2;
      marks.push(s("path.probe", { d: `M${px(from.x)} ${px(from.y)}C${px(turn)} ${px(from.y)} ${px(turn)} ${px(y)} ${px(box.x - 26)} ${px(y)}` }));
      marks.push(
        s("text.equal", { x: box.x - 10, y: box.y + box.height / 2, dy: "0.35em", "text-anchor": "end" }, "=?"),
        s("rect.reading", { ...asRect(this.#keyBox(box)), rx: 6 }),
      );
    } else {
      const { query: card } = this.#places;
      marks.push(
        s(
          "text.found",
          { x: card.x + card.width / 2, y: card.y + card.height + (this.#places.isNarrow ? 22 : 34), "text-anchor": "middle" },
          `=  ${this.#say("rows", { count: rows.filter(({ key }) => key === query).length })}`,
        ),
      );
    }
    this.#marks.replaceChildren(...marks);
  }

  /** @param {number} temperature @param {number} half @param {number} grown */
  #knobAt(temperature, half, grown) {
    const { clamp } = this.#places;
    set(this.#knob, { opacity: Math.min(1, grown * 2) });
    set(this.#above, { transform: `translate(${px(clamp.x)} ${px(clamp.y - half)})` });
    set(this.#below, { transform: `translate(${px(clamp.x)} ${px(clamp.y + half)})` });
    set(this.#clamp, { x1: clamp.x, x2: clamp.x, y1: clamp.y - half, y2: clamp.y + half });
    const text = `T = ${temperatureText(temperature)}`;
    if (this.#told.textContent !== text) this.#told.textContent = text;
    set(this.#knob, { "aria-valuenow": positionOf(temperature), "aria-valuetext": text });
  }

  /** @param {?EventTarget} target */
  #hover(target) {
    const row = target instanceof Element ? target.closest("[data-row]") : null;
    this.point(row ? Number(row.getAttribute("data-row")) : -1);
  }

  #listen() {
    const change = /** @type {(temperature: number) => void} */ (this.#change);
    let frame = new DOMRect();
    let temperature = 0;
    let waiting = 0;
    const dragged = (/** @type {PointerEvent} */ event) => {
      const { clamp } = this.#places;
      const y = ((event.clientY - frame.top) / frame.height) * this.#size.height;
      const share = (Math.abs(y - clamp.y) - clamp.least) / (clamp.most - clamp.least);
      temperature = share < SNAP ? 0 : share > 1 - SNAP ? Infinity : temperatureAt(Math.round(share * STEPS));
      waiting ||= requestAnimationFrame(settle);
    };
    // A pointer may move several times before a frame is drawn: only the last place counts.
    const settle = () => {
      cancelAnimationFrame(waiting);
      waiting = 0;
      change(temperature);
    };
    this.#knob.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      frame = this.element.getBoundingClientRect(); // once a drag: to ask at each move lays the page out each time
      this.#knob.focus();
      this.#knob.setPointerCapture(event.pointerId);
      this.#knob.classList.add("held");
      dragged(event);
    });
    this.#knob.addEventListener("pointermove", (event) => this.#knob.hasPointerCapture(event.pointerId) && dragged(event));
    this.#knob.addEventListener("pointerup", () => {
      if (waiting) settle();
      this.#knob.classList.remove("held");
    });
    this.#knob.addEventListener("pointercancel", () => this.#knob.classList.remove("held"));
    this.#knob.addEventListener("keydown", (event) => {
      const at = positionOf(this.#frame?.temperature ?? 0);
      const to = {
        ArrowUp: at + FINE,
        ArrowRight: at + FINE,
        ArrowDown: at - FINE,
        ArrowLeft: at - FINE,
        PageUp: at + COARSE,
        PageDown: at - COARSE,
        Home: 0,
        End: STEPS,
      }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      change(temperatureAt(Math.min(STEPS, Math.max(0, to))));
    });
  }

  /** @param {(level: number) => void} change */
  #listenToLevel(change) {
    let frame = new DOMRect();
    const bounded = (/** @type {number} */ level) => Math.round(Math.min(AXIS.to, Math.max(AXIS.from, level)) * 100) / 100;
    const dragged = (/** @type {PointerEvent} */ event) => {
      const { left, width } = frame;
      const [from, to] = [this.#along(AXIS.from), this.#along(AXIS.to)];
      const x = ((event.clientX - left) / width) * this.#size.width;
      change(bounded(AXIS.from + ((x - from) / (to - from)) * (AXIS.to - AXIS.from)));
    };
    this.#level.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      frame = this.element.getBoundingClientRect();
      this.#level.focus();
      this.#level.setPointerCapture(event.pointerId);
      dragged(event);
    });
    this.#level.addEventListener("pointermove", (event) => this.#level.hasPointerCapture(event.pointerId) && dragged(event));
    this.#level.addEventListener("keydown", (event) => {
      const by = { ArrowUp: 0.01, ArrowRight: 0.01, ArrowDown: -0.01, ArrowLeft: -0.01, PageUp: 0.1, PageDown: -0.1, Home: -2, End: 2 }[event.key];
      if (by === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      change(bounded((this.#frame?.level ?? 0) + by));
    });
  }

  /** The number of lines of a question and their size: smaller where they would not fit. @param {string} text @param {Box} box @param {number} rem @param {number} height */
  #linesOf(text, box, rem, height) {
    const sizes = this.#size.width < NARROW ? [rem] : [1.25 * rem, Math.max(LEAST.usual, 1.1 * rem)];
    const all = sizes.map((size) => ({ count: this.#lines(text, box.width - LINE.around, size).length, size }));
    return all.find(({ count, size }) => count * size * LINE.height + LINE.around < height * 0.9) ?? all[all.length - 1];
  }

  /** @param {string} text @param {number} width @param {number} size */
  #lines(text, width, size) {
    /** @type {string[]} */
    const lines = [];
    for (const word of text.split(/(?<=\s)|(?<=[\u3400-\u9fff])/u)) {
      const last = lines.at(-1);
      if (last !== undefined && this.#widthOf(last + word, 600, size) <= width) lines[lines.length - 1] = last + word;
      else lines.push(word);
    }
    return lines;
  }

  /** A text on lines of a card, in its middle. @param {string} text @param {Box & {size: number}} box */
  #wrapped(text, box) {
    const lines = this.#lines(text, box.width - LINE.around, box.size);
    const height = box.size * LINE.height;
    const most = Math.max(1, Math.floor((box.height - 8) / height));
    const shown = lines.length > most ? [...lines.slice(0, most - 1), `${lines[most - 1].trimEnd()}…`] : lines;
    const top = box.y + box.height / 2 - ((shown.length - 1) * height) / 2;
    const where = { x: box.x + box.width / 2, dy: "0.35em", "text-anchor": "middle" };
    this.element.style.setProperty("--query-size", `${px(box.size)}px`);
    return shown.map((line, i) => s("text.query-text", { ...where, y: top + i * height }, line.trim()));
  }

  /** @param {string} text @param {number} width */
  #clipped(text, width) {
    if (this.#widthOf(text) <= width) return text;
    const letters = Array.from(text);
    while (letters.length > 1 && this.#widthOf(`${letters.join("")}…`) > width) letters.pop();
    return `${letters.join("").trimEnd()}…`;
  }

  /** @param {string} text @param {number} [weight] @param {number} [size] of the type, in pixels */
  #widthOf(text, weight = 400, size = this.#size.text) {
    if (!this.#pen) return 0;
    const font = `${weight} 20px ${this.#family}`;
    if (this.#font !== font) {
      this.#font = font;
      this.#pen.font = font;
    }
    return (this.#pen.measureText(text).width * size) / 20;
  }
}

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
 * @param {boolean} of.areColours
 * @param {boolean} of.arePictures
 * @param {{from: number, count: number}} [of.small] the rows that are laid out small
 * @param {number} [of.rest] which box is that of the rest; −1 without it
 * @param {number} [of.longest] width of a key's text in em; so of a value's
 * @param {number} [of.longestName] of the rest and of "none of these", which are whole beside any percentage if there is room
 * @param {number} [of.longestValue]
 */
function placed({
  width,
  height,
  rem,
  size,
  name,
  above,
  lines,
  count,
  areColours,
  arePictures,
  small = { from: 0, count: 0 },
  rest = -1,
  longest = 0,
  longestName = 0,
  longestValue = 0,
}) {
  const isNarrow = width < NARROW;
  const areTexts = !areColours && !arePictures;
  const isStacked = isNarrow && areTexts && longestValue * size + 12 > width * VALUES;
  const queryHeight = Math.max(isNarrow ? 48 : 6 * rem, lines.count * lines.size * LINE.height + LINE.around);
  const top = (isNarrow ? name + queryHeight + (name ? 8 : 32) : 8) + name + above;
  const outputWidth = arePictures ? (isNarrow ? 94 * RATIO : Math.min(16 * rem, width * 0.2)) : isNarrow ? width : Math.min(12 * rem, width * 0.16);
  const outputHeight = arePictures ? outputWidth / RATIO : isNarrow ? 62 : outputWidth;
  const below = isNarrow ? outputHeight + 34 : 8;
  const room = height - top - below;
  const tiny = small.count ? Math.min(SMALL.most, (room * SMALL.share) / small.count) : 0;
  const fanRows = isNarrow ? 1.6 : FAN_ROWS.most;
  const large = count - small.count + (rest < 0 ? 0 : fanRows - 1);
  const pitch = Math.min(TALLEST_ROW * rem * (1 + GAP), (room - tiny * small.count) / Math.max(1, large));
  const total = pitch * large + tiny * small.count;
  const rowHeight = pitch * (1 - GAP);
  let text = isStacked ? Math.max(LEAST.below, Math.min(size, rowHeight * 0.4)) : Math.max(size, Math.min(1.25 * rem, rowHeight * 0.42));
  const first = top + Math.max(0, (room - total) / 2);
  const middle = first + total / 2;
  const namesY = first - NEAR - above;
  const queryWidth = Math.max(150, Math.min(18 * rem, width * 0.19));

  let rowX = isNarrow ? 100 : Math.round(width * 0.41);
  const narrowWidth = Math.round(Math.min(width * VALUES, longestValue * size * 1.25 + 14));
  const valueWidth = arePictures ? rowHeight * RATIO : areColours ? (isNarrow ? 40 : 5.25 * rem) : isNarrow ? narrowWidth : Math.round(width * 0.16);
  let valueX = isNarrow ? width - valueWidth - LANE : Math.round(width * (areTexts ? 0.62 : 0.65));
  if (!isNarrow) {
    // Keys that need more room take it from the threads on both sides.
    const around = 12 + SHARE.around;
    const need = around + Math.max((longest + SHARE.letters[0]) * size, (longestName + SHARE.letters[2]) * text);
    const lacking = (/** @type {number} */ free) => Math.max(0, Math.min(free, need - (valueX - 8 - rowX)));
    rowX -= lacking(rowX - queryWidth - KNOB * rem);
    valueX += lacking(width - outputWidth - 3 * rem - (valueX + valueWidth));
    text = Math.max(size, Math.min(text, (valueX - 8 - rowX - around) / (longestName + SHARE.letters[2])));
  }
  const y = isNarrow ? name : Math.max(name, middle - queryHeight / 2);
  const query = { x: 0, y, width: isNarrow ? width : queryWidth, height: Math.min(queryHeight, height - y), size: lines.size };
  const start = isNarrow ? { x: 26, y: y + query.height } : { x: query.width, y: middle };
  const output = { x: width - outputWidth, y: isNarrow ? height - outputHeight : middle - outputHeight / 2, width: outputWidth, height: outputHeight };
  const least = (rowHeight * BUNDLE) / 2 + 8;
  const over = name ? middle - namesY - HANDLE - 8 - 0.75 * text - 0.25 * name : middle - top - 34;
  const under = (isNarrow ? output.y - name : height) - middle - HANDLE - 6 - 1.3 * text;
  const clamp = {
    x: isNarrow ? 58 : start.x + (rowX - start.x) * 0.36,
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

/** On a narrow page the bundle falls from the question's box, so wide as is free beside the keys, in pixels. */
const FALL = 36;

/**
 * The way of an edge from the question to the clamp: the beginning of a path.
 *
 * @param {ReturnType<typeof placed>} places
 * @param {number} from the middle of the bundle, at the question
 * @param {{x: number, y: number}} to
 */
function beginning({ start, isNarrow, height }, from, to) {
  if (isNarrow) {
    const x = start.x - (from * FALL) / (height * BUNDLE);
    return `M${px(x)} ${px(start.y)}C${px(x)} ${px(start.y + (to.y - start.y) * 0.7)} ${px(x)} ${px(to.y)} ${px(to.x)} ${px(to.y)}`;
  }
  const [y, bend] = [start.y + from, (start.x + to.x) / 2];
  return `M${px(start.x)} ${px(y)}C${px(bend)} ${px(y)} ${px(bend)} ${px(to.y)} ${px(to.x)} ${px(to.y)}`;
}

/**
 * The way of an edge back from the clamp to the question: the end of an outline.
 *
 * @param {ReturnType<typeof placed>} places
 * @param {number} to from the middle of the bundle, at the question
 * @param {{x: number, y: number}} from
 */
function ending({ start, isNarrow, height }, to, from) {
  if (isNarrow) {
    const x = start.x - (to * FALL) / (height * BUNDLE);
    return `C${px(x)} ${px(from.y)} ${px(x)} ${px(start.y + (from.y - start.y) * 0.7)} ${px(x)} ${px(start.y)}Z`;
  }
  const [y, bend] = [start.y + to, (start.x + from.x) / 2];
  return `C${px(bend)} ${px(from.y)} ${px(bend)} ${px(y)} ${px(start.x)} ${px(y)}Z`;
}

/**
 * A thread from the question through the clamp to a key, as the outline of a ribbon.
 *
 * @param {ReturnType<typeof placed>} places
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
 * @param {ReturnType<typeof placed>} places
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
 * @param {ReturnType<typeof placed>} places
 * @param {number} at where it ends, from the middle of the output
 * @param {number} thick at the value
 * @param {number} end at the output
 */
function stream(from, places, at, thick, end) {
  const { output, isNarrow } = places;
  if (isNarrow) {
    // Down a lane beside the rows, which is as wide as the bundle would be.
    const lane = (LANE - 4) / (places.height * BUNDLE);
    const middle = output.x + output.width - LANE / 2;
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
 * @param {ReturnType<typeof placed>} places
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
      const x = output.x + output.width - LANE / 2 - (end * (LANE - 4)) / (rowHeight * BUNDLE);
      path += `M${px(from.x)} ${px(y)}Q${px(x)} ${px(y)} ${px(x)} ${px(y + 14)}V${px(output.y)}`;
    } else {
      const to = output.y + output.height / 2 + end;
      path += `M${px(from.x)} ${px(y)}C${px(turn)} ${px(y)} ${px(turn)} ${px(to)} ${px(output.x)} ${px(to)}`;
    }
  }
  return path;
}

/** So many stripes of a box, as attributes of a path. @param {Box} box @param {number} count */
function striped(box, count) {
  const lines = Array.from({ length: count }, (_, i) => {
    const y = box.y + (box.height * (i + 0.5)) / count;
    return `M${px(box.x)} ${px(y)}H${px(box.x + box.width)}`;
  });
  return { d: lines.join(""), "stroke-width": Math.min(STRIPE, Math.max(0.4, (box.height / count) * 0.5)) };
}

/** Whether a value is drawn as a colour. @param {string} value */
export function isColour(value) {
  return /^#[0-9a-f]{6}$/i.test(value);
}

/** @param {Box} box */
function asRect({ x, y, width, height }) {
  return { x: px(x), y: px(y), width: px(width), height: px(height) };
}

/** @param {number} number */
function px(number) {
  return Math.round(number * 10) / 10;
}

let named = 0;
/** A name that no other picture has. @param {string} what */
function nameOf(what) {
  return `${what}-${++named}`;
}
