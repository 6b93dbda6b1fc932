/**
 * The picture of attention: a question, its keys and values, and the output, joined by threads as thick as the weights.
 *
 * The threads leave the question as one bundle. Weights sum to one, so the bundle is always equally thick: what a row
 * gains the others lose. A clamp holds its beginning, and that is the knob of the temperature: pinched to nothing
 * all of the bundle runs to the nearest key (T = 0); pulled wide open it has a thread for every row (T = ∞).
 *
 * `layout` places texts and boxes, on new rows and on a new size; `draw` moves threads, once a frame.
 */

import { count as grouped, fixed, percent, temperatureText, threeDigits } from "./numbers.js";
import { positionOf, STEPS, temperatureAt } from "./scale.js";
import { colourOf, lightOf } from "./colours.js";
import { drawing } from "./drawings.js";
import { NARROW_PX, HANDLE_PX, SHARE, LEAST_PX, NEAR_PX, LINE, asRect, keyBox, placed, px, restBox, strands, striped, valueBox } from "./thread-geometry.js";
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
 * @property {?number} [factor] by which the last change has made all other weights grow, written beside their name; null without one
 * @property {?number} [scanned] 0 to the number of rows: how many keys `=` has been compared with; null without it
 */

/**
 * @typedef {object} Moved
 * @property {number[]} from one a row: the row that its value was at before
 * @property {number} share 0 to 1, how far the values have come
 * @property {?{row: number, x: number, y: number}} [held] the value of a row that is dragged, and how far, in pixels
 */

/** So near to an end of the knob's way, as a share of it, is the end. */
const SNAP = 0.025;
/** The type of the names of parts, which a style sheet has as `--name-size`. */
const NAME_REM = 1.125;
/** Room for the handle of a level, in pixels, and the axis of similarities along which it is dragged. */
const LEVEL_PX = 30;
/** A question's box that is less wide has small type. */
const SMALL_BOX_PX = 128;
/** The maximum height of a bar, at the lower edge of its key, in pixels. */
const BAR_PX = 6;
/** If all rows together have a smaller weight, the output is empty. */
const NOTHING = 0.05;
const AXIS = { from: -0.1, to: 1 };

/** @typedef {import("./thread-geometry.js").Box} Box */
/** @typedef {{text: string, size: number}} Fitted a text for a width, smaller or cut where it would not fit */

export class Threads {
  #say;
  #change;
  /** @type {Content} */
  #content = { query: "", rows: [] };
  /** @type {?Frame} */
  #frame = null;
  #hovered = -1;
  #isChosen = false;
  /** @type {?{told: (row: number) => void, areFocused: boolean}} */
  #pointed = null;
  #size = { width: 0, height: 0, text: LEAST_PX.usual };
  #nameSize = NAME_REM * 16;
  #family = "";
  #pen = document.createElement("canvas").getContext("2d");
  #font = "";
  /** @type {import("./thread-geometry.js").Places} */
  #places = placed({ width: 0, height: 0, rem: 16, size: 16, name: 0, above: 0, lines: { count: 1, size: 16 }, count: 0 });
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
  #told = s("text.told", { y: HANDLE_PX + 22, "text-anchor": "middle" });
  #hand = s("text.drag", { x: HANDLE_PX + 8, dy: "0.35em" });
  // The handle's parts move together, by a transform: moving each text would lay it out anew.
  #above = s("g");
  #below = s("g");
  #knob = s("g.knob", { tabindex: 0, role: "slider", "aria-orientation": "vertical", "aria-valuemin": 0, "aria-valuemax": STEPS, "aria-valuenow": 0 });
  #level = s("g.level", {
    tabindex: 0,
    role: "slider",
    "aria-orientation": "horizontal",
    "aria-valuemin": AXIS.from,
    "aria-valuemax": AXIS.to,
    "aria-valuenow": 0,
  });
  #levelLine = s("line.level-line");
  #levelGrip = s("line.grip");
  #levelHandle = s("circle.handle", { r: HANDLE_PX });
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
  /** @type {{label: SVGTextElement, alone: Fitted, beside: Fitted[]}[]} the letters of a key that are shown: alone, and beside percentages as in `SHARE` */
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
    this.#above.append(s("circle.handle", { r: HANDLE_PX }), this.#hand);
    this.#below.append(s("circle.handle", { r: HANDLE_PX }), this.#told);
    this.#knob.append(this.#track, ...this.#ends, this.#clamp, this.#above, this.#below);
    this.#knob.setAttribute("aria-label", say("temperature"));
    if (change) this.#listen();
    else this.#knob.remove();
    this.#level.append(this.#levelGrip, this.#levelHandle, this.#levelText);
    this.#level.setAttribute("aria-label", say("none"));
    if (changeLevel) this.#listenToLevel(changeLevel);
    else for (const part of [this.#level, this.#levelLine]) part.remove();
    this.element.addEventListener("pointermove", (event) => this.#hover(event.target));
    this.element.addEventListener("pointerleave", ({ pointerType }) => pointerType !== "touch" && this.#hover(null));
    for (const kind of ["pointerdown", "focusin"]) this.element.addEventListener(kind, (event) => this.#hover(event.target));
    this.element.addEventListener("focusout", () => this.#hover(null));
  }

  /** The box of the question's card, for an input above it, and the size of its text. @returns {Box & {size: number}} */
  get queryBox() {
    return this.#places.query;
  }

  /** The boxes of the rows' values, for dragging. @returns {Box[]} */
  get valueBoxes() {
    return this.#places.rows.slice(0, this.#content.rows.length).map((row) => valueBox(this.#places, row));
  }

  /** The boxes of the rows' keys, for choosing. @returns {Box[]} */
  get keyBoxes() {
    return this.#places.rows.slice(0, this.#content.rows.length).map((row) => keyBox(this.#places, row));
  }

  /** The end of the name over the column of keys, on its line. @returns {{x: number, y: number}} */
  get keysName() {
    const { rows, namesY } = this.#places;
    return { x: (rows[0]?.x ?? 0) + this.#widthOf(this.#say("term.key"), 600, this.#nameSize), y: namesY };
  }

  /** Another number of rows beside those that are drawn, in a picture that has some. @param {number} others */
  count(others) {
    const { rows } = this.#content;
    this.#content = { ...this.#content, others };
    if (!this.#places.rows[rows.length]) return;
    const box = restBox(this.#places, this.#content.rows.length, others);
    const key = keyBox(this.#places, box);
    const middle = key.y + key.height / 2;
    const text = { text: this.#say("others", { count: grouped(others) }), size: this.#size.text };
    this.#labels[rows.length] = { ...this.#labels[rows.length], alone: text, beside: [text, text, text] };
    set(this.#stripes, striped(valueBox(this.#places, box), others));
    for (const part of this.#rows.children[rows.length].children)
      if (part instanceof SVGRectElement) set(part, asRect({ ...key, height: box.height }));
      else if (part instanceof SVGTextElement) set(part, { y: middle });
  }

  /** Show the weight of a row, as if the pointer were over it. @param {number} row −1: of none */
  point(row) {
    if (row === this.#hovered) return;
    this.#hovered = row;
    if (this.#frame) this.draw(this.#frame);
    this.#pointed?.told(row);
  }

  /**
   * Call this with the row that is pointed at, or −1.
   * @param {(row: number) => void} told
   * @param {boolean} areFocused whether keys of the keyboard reach rows
   */
  onPoint(told, areFocused) {
    this.#pointed = { told, areFocused };
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

  /** Take other rows, or another question. Until the next moment is drawn, only other values keep their threads. @param {Content} content */
  take(content) {
    const { query, rows } = this.#content;
    const isSame = content.query === query && content.rows.length === rows.length && content.rows.every(({ key }, i) => key === rows[i].key);
    if (!isSame) this.#frame = null; // its weights are of other rows
    this.#content = content;
    this.layout(this.#size.width, this.#size.height);
  }

  /**
   * Place everything in a box of pixels.
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
    this.#nameSize = NAME_REM * rem;
    const isLarge = document.documentElement.dataset.projector === "on" && window.innerWidth >= NARROW_PX;
    const least = isLarge ? LEAST_PX.large : LEAST_PX.usual;
    const areColours = rows.every(({ value }) => isColour(value));
    const arePictures = rows.some(({ picture }) => picture);
    const widest = (/** @type {string[]} */ texts) => Math.max(0, ...texts.map((text) => this.#widthOf(text, 400, 1)));
    const measures = {
      width,
      height,
      rem,
      size: least,
      name: this.#content.named ? this.#nameSize * 1.3 : 0,
      above: this.#content.bars ? LEVEL_PX : 0,
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
    this.element.classList.toggle("stacked", places.isStacked);
    this.element.classList.toggle("with-bars", this.#content.bars ?? false);

    this.#query.replaceChildren(s("rect.card", { ...asRect(places.query), rx: 8 }), ...this.#wrapped(query, places.query));
    this.#glows = [];
    this.#shares = [];
    this.#values = [];
    this.#labels = [];
    this.#held.replaceChildren();
    this.#rows.replaceChildren(...places.rows.map((box, i) => this.#row(box, i)));
    this.#threads = places.rows.map((_, i) => s("path.thread", { "data-of": i }));
    this.#streams = places.rows.map((_, i) => {
      const path = s("path.stream", { "data-of": i });
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

  /**
   * @param {Box} place
   * @param {number} i
   */
  #row(place, i) {
    const { rows, small = 0, others = 0 } = this.#content;
    const isRow = i < rows.length;
    const isSmall = isRow && i >= rows.length - small;
    const isOthers = !isRow && others > 0 && i === rows.length;
    const box = isOthers ? restBox(this.#places, this.#content.rows.length, others) : place;
    const beside = keyBox(this.#places, box);
    // On a narrow page the name of "none of these", which has no value, has the room of one.
    const isWide = !isRow && !isOthers && this.#places.isNarrow;
    const key = isRow ? beside : { ...beside, height: box.height, width: isWide ? box.width : beside.width };
    const middle = key.y + (isOthers ? beside : key).height / 2;
    const rx = isSmall ? 2 : 6;
    const group = s(isRow ? "g.row" : isOthers ? "g.row.others" : "g.row.none", {
      "data-row": i,
      ...(isRow && this.#isChosen ? { role: "checkbox", tabindex: 0, "aria-checked": "true" } : {}),
      ...(!isOthers && !this.#isChosen && this.#pointed?.areFocused
        ? { role: "img", tabindex: i ? -1 : 0, "aria-label": isRow ? rows[i].key : this.#say("none") }
        : {}),
    });
    const bar = this.#content.bars ? Math.max(2, Math.min(BAR_PX, key.height / 2 - 0.6 * this.#size.text)) : key.height; // under the text of a low key
    const glow = s("rect.glow", { ...asRect({ ...key, y: key.y + key.height - bar, height: bar }), rx: this.#content.bars ? 1 : rx, opacity: 0 });
    const share = s("text.share", { x: key.x + key.width - 10, y: middle, "text-anchor": "end", dy: "0.35em" });
    this.#glows.push(glow);
    this.#shares.push(share);
    group.append(s("rect.key", { ...asRect(key), rx }), glow);
    const text = isRow ? rows[i].key : isOthers ? this.#say("others", { count: grouped(others) }) : this.#say("none");
    const padding = this.#places.isNarrow ? 8 : 12;
    const label = s("text.key-text", { x: key.x + padding, y: middle - (this.#content.bars && isRow ? bar / 2 : 0), dy: "0.35em" });
    const em = this.#size.text;
    this.#labels.push({
      label,
      alone: this.#fitted(text, key.width - padding - 8),
      beside: SHARE.letters.map((letters) => this.#fitted(text, key.width - padding - SHARE.around - letters * em)),
    });
    group.append(label);
    if (isRow) {
      const value = s("g.shown", {}, ...this.#value(rows[i], valueBox(this.#places, box)));
      this.#values.push(value);
      group.append(value);
    } else if (isOthers) {
      set(this.#stripes, striped(valueBox(this.#places, box), others));
      group.append(this.#stripes);
    }
    if (isSmall) {
      for (const words of group.querySelectorAll(".key-text, .value-text")) words.remove();
      group.append(s("title", {}, text));
    }
    group.append(share);
    return group;
  }

  /**
   * @param {Row} row
   * @param {Box} box
   */
  #value({ value, picture }, box) {
    if (picture) return [drawing(picture, asRect(box)), s("rect.frame", asRect(box))];
    if (isColour(value)) return [s("rect.swatch", { ...asRect(box), rx: 6, fill: value })];
    const padding = this.#places.isStacked ? 12 : this.#places.isNarrow ? 6 : 10;
    const width = box.width - 2 * padding;
    const one = this.#fitted(value, width);
    const sizes = [Math.min(this.#size.text, box.height / 2.3), LEAST_PX.below];
    const two = sizes[0] < LEAST_PX.below ? 0 : (sizes.find((size) => this.#lines(value, width, size).length < 3) ?? LEAST_PX.below);
    const lines = !two || (one.text === value && one.size >= two) ? [one.text] : this.#within(value, width, two, 2);
    const at = (/** @type {number} */ j) => ({ x: box.x + padding, dy: `${j ? 1.15 : lines[1] ? -0.225 : 0.35}em` });
    const text = s("text.value-text", { y: box.y + box.height / 2 }, ...lines.map((line, j) => s("tspan", at(j), line)));
    text.style.setProperty("--row-size", `${lines[1] ? two : one.size}px`);
    return [s("rect.value", { ...asRect(box), rx: 6 }), text];
  }

  /**
   * A value in an output of pictures; a text is on a card.
   * @param {Row} row
   * @param {Box} box
   */
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
    set(this.#ends[0], { x: clamp.x, y: clamp.y - clamp.most - HANDLE_PX - 8, "text-anchor": "middle" });
    set(this.#ends[1], { x: clamp.x + 8, y: clamp.y, dy: "0.35em" });
    set(this.#told, { y: HANDLE_PX + 6 + this.#size.text });
  }

  /** The names of the parts: over their columns, and of the question and the knob beside them. */
  #layoutTerms() {
    const { query, clamp, rows, valueX, valueWidth, isNarrow, isStacked, namesY } = this.#places;
    const name = (/** @type {string} */ part, /** @type {number} */ x, /** @type {number} */ y, /** @type {string} */ anchor) =>
      s(`text.term.${part}`, { x, y, "text-anchor": anchor }, this.#say(`term.${part}`));
    const end = valueX + valueWidth;
    const knob = { x: isNarrow ? 0 : clamp.x, y: isNarrow ? clamp.y + clamp.most + HANDLE_PX + 6 + this.#size.text + this.#nameSize * 1.2 : namesY };
    this.#terms.replaceChildren(
      ...(this.#content.named && rows.length
        ? [
            isNarrow ? name("query", 2, query.y - 6, "start") : name("query", query.x + query.width / 2, query.y - NEAR_PX, "middle"),
            name("key", rows[0].x, namesY, "start"),
            name("weight", (isStacked ? end : valueX - 8) - 10, namesY, "end"),
            name("value", isStacked ? (rows[0].x + end) / 2 : valueX + valueWidth / 2, namesY, "middle"),
            ...(this.#change ? [name("temperature", knob.x, knob.y, isNarrow ? "start" : "middle")] : []),
          ]
        : []),
    );
  }

  /**
   * A name is there once its part acts.
   * @param {number} grown
   * @param {number} poured
   * @param {?number} factor
   */
  #naming(grown, poured, factor) {
    const by = factor === null ? "" : ` × ${threeDigits(factor)}`;
    for (const term of this.#terms.querySelectorAll(".weight")) {
      const whole = this.#say("term.weight") + by;
      const hasRoom = !this.#places.isNarrow && this.keysName.x + this.#widthOf(whole, 600, this.#nameSize) + 12 < Number(term.getAttribute("x"));
      const text = by && !hasRoom ? by.trim() : whole; // on a phone is room for one of them
      if (term.textContent !== text) term.textContent = text;
    }
    for (const [part, opacity] of Object.entries({ weight: grown, temperature: grown, value: poured }))
      for (const term of this.#terms.querySelectorAll(`.${part}`)) set(/** @type {SVGElement} */ (term), { opacity: Math.min(1, opacity * 2) });
  }

  /** Draw one moment. @param {Frame} frame */
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
    set(this.#grown, { x: 0, y: 0, height, width: (places.isNarrow ? 0 : places.start.x) + (places.rows[0]?.x ?? 0) * grown });
    set(
      this.#poured,
      places.isNarrow
        ? { x: places.valueX + (places.isStacked ? places.valueWidth : 0), y: 0, width, height: height * poured }
        : { x: places.valueX, y: 0, height, width: (width - places.valueX) * poured },
    );

    for (const [i, { thread, stream }] of strands(places, { weights, count: rows.length, others, half }).entries()) {
      set(this.#threads[i], thread);
      set(this.#streams[i], stream);
    }
    this.#glowing(frame, glow);
    this.#sharing(weights, grown);
    this.#moving(frame.moved ?? null);
    this.#blending(weights, poured, frame.moved ?? null);
    this.#scanning(frame.scanned ?? null);
    this.#naming(grown, poured, frame.factor ?? null);
    if (this.#change) this.#knobAt(frame.temperature, half, grown);
  }

  /** The place of a similarity on the axis of the bars. @param {number} similarity */
  #along(similarity) {
    const { x, width } = keyBox(this.#places, this.#places.rows[0] ?? { x: 0, y: 0, width: 0, height: 0 });
    return x + ((Math.min(AXIS.to, Math.max(AXIS.from, similarity)) - AXIS.from) / (AXIS.to - AXIS.from)) * width;
  }

  /**
   * @param {Frame} frame
   * @param {number} glow
   */
  #glowing({ similarities, level = 0 }, glow) {
    const numbers = Array.from(similarities);
    if (this.#content.bars) {
      for (let i = 0; i < numbers.length; i++) set(this.#glows[i], { opacity: glow, width: px(Math.max(0, this.#along(numbers[i]) - this.#places.rows[i].x)) });
      const [first, last] = [this.#places.rows[0], this.#places.rows[numbers.length - 1]];
      const x = px(this.#along(level));
      const line = { x1: x, x2: x, y1: first.y - 16, y2: last.y + last.height + 4 };
      const isLeft = x > this.#size.width - 6 * this.#size.text;
      for (const part of [this.#levelLine, this.#levelGrip]) set(part, line);
      set(this.#levelHandle, { cx: x, cy: first.y - 16 });
      set(this.#levelText, { x: x + (isLeft ? -1 : 1) * (HANDLE_PX + 6), y: first.y - 16, dy: "0.35em", "text-anchor": isLeft ? "end" : "start" });
      const text = `s₀ = ${fixed(level)}`;
      if (this.#levelText.textContent !== text) this.#levelText.textContent = text;
      set(this.#level, { "aria-valuenow": Math.min(AXIS.to, level), "aria-valuetext": text });
      return;
    }
    const [least, most] = [Math.min(...numbers), Math.max(...numbers)];
    for (let i = 0; i < numbers.length; i++) set(this.#glows[i], { opacity: (glow * (most > least ? (numbers[i] - least) / (most - least) : 1)).toFixed(3) });
  }

  /**
   * The numbers beside the keys, which are written smaller for them. None is shown if a larger one has no room.
   * @param {number[]} weights
   * @param {number} grown
   */
  #sharing(weights, grown) {
    const [first, second] = [...weights].sort((a, b) => b - a);
    const areAlike = weights.every((weight) => Math.abs(weight - first) < 1e-9);
    const rows = weights.map((weight, i) => {
      const { alone, beside } = this.#labels[i];
      const written = percent(weight);
      const shorter = beside[Math.min(2, Math.max(0, written.length - 3))];
      const hasRoom = shorter.text === alone.text && this.#places.rows[i].height >= this.#size.text;
      return { written, shorter, hasRoom, isLarge: areAlike || (weight >= second && weight > 0.005) };
    });
    const least = Math.max(0.01, ...weights.filter((_, i) => !rows[i].hasRoom && !rows[i].isLarge));
    for (const [i, { written, shorter, hasRoom, isLarge }] of rows.entries()) {
      const { label, alone } = this.#labels[i];
      const text = grown === 1 && weights[i] > 0 && (i === this.#hovered || isLarge || (hasRoom && weights[i] >= least)) ? written : "";
      if (this.#shares[i].textContent !== text) this.#shares[i].textContent = text;
      const key = text ? shorter : alone;
      if (label.textContent !== key.text) label.textContent = key.text;
      label.style.setProperty("--row-size", `${key.size}px`);
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
        set(/** @type {SVGElement} */ (text), { y: y + height / 2 });
        const most = isColour(rows[i].value) ? 0 : Math.floor((height * shown) / (1.35 * this.#size.text));
        const lines = most ? this.#within(rows[i].value, output.width - 14, this.#size.text, most) : [];
        const at = (/** @type {number} */ j) => ({ x: output.x + 10, dy: `${j ? LINE.height : 0.35 - ((lines.length - 1) * LINE.height) / 2}em` });
        if (text.textContent !== lines.join("")) text.replaceChildren(...lines.map((line, j) => s("tspan", at(j), line)));
        y += height;
      }
      const height = this.#content.others ? weights[rows.length] * output.height * shown : 0;
      set(this.#rest, height > 1 ? striped({ ...output, y, height }) : { d: null });
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
        s("rect.reading", { ...asRect(keyBox(this.#places, box)), rx: 6 }),
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

  /**
   * @param {number} temperature
   * @param {number} half
   * @param {number} grown
   */
  #knobAt(temperature, half, grown) {
    const { clamp } = this.#places;
    set(this.#knob, { opacity: Math.min(1, grown * 2) });
    set(this.#above, { transform: `translate(${px(clamp.x)} ${px(clamp.y - half)})` });
    set(this.#below, { transform: `translate(${px(clamp.x)} ${px(clamp.y + half)})` });
    set(this.#clamp, { x1: clamp.x, x2: clamp.x, y1: clamp.y - half, y2: clamp.y + half });
    const text = `T = ${temperatureText(temperature)}`;
    if (this.#told.textContent !== text) {
      this.#told.textContent = text;
      // A long number ends before the keys.
      const free = (this.#places.rows[0]?.x ?? this.#size.width) - NEAR_PX - clamp.x;
      set(this.#told, { x: px(Math.min(0, free - this.#widthOf(text, 600) / 2)) });
    }
    set(this.#knob, { "aria-valuenow": positionOf(temperature), "aria-valuetext": text });
  }

  /** @param {?EventTarget} target */
  #hover(target) {
    const part = target instanceof Element ? target.closest("[data-row], [data-of]") : null; // a row, or its thread
    this.point(part ? Number(part.getAttribute("data-row") ?? part.getAttribute("data-of")) : -1);
  }

  #listen() {
    const change = /** @type {(temperature: number) => void} */ (this.#change);
    let frame = new DOMRect();
    let [temperature, waiting] = [0, 0];
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
      const by = { ArrowUp: 4, ArrowRight: 4, ArrowDown: -4, ArrowLeft: -4, PageUp: 20, PageDown: -20, Home: -STEPS, End: STEPS }[event.key];
      if (by === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      change(temperatureAt(Math.min(STEPS, Math.max(0, at + by))));
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

  /**
   * The number of lines of a question and their size: smaller where they would not fit.
   * @param {string} text
   * @param {Box} box
   * @param {number} rem
   * @param {number} height
   */
  #linesOf(text, box, rem, height) {
    const sizes = this.#size.width < NARROW_PX || box.width < SMALL_BOX_PX ? [rem] : [1.25 * rem, Math.max(LEAST_PX.usual, 1.1 * rem)];
    const all = sizes.map((size) => ({ count: this.#lines(text, box.width - LINE.around, size).length, size }));
    return all.find(({ count, size }) => count * size * LINE.height + LINE.around < height * 0.9) ?? all[all.length - 1];
  }

  /**
   * @param {string} text
   * @param {number} width
   * @param {number} size
   */
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

  /**
   * The first lines of a text; the last one is cut.
   * @param {string} text
   * @param {number} width
   * @param {number} size
   * @param {number} most
   */
  #within(text, width, size, most) {
    const lines = this.#lines(text, width, size);
    const shown = lines.length > most ? [...lines.slice(0, most - 1), lines.slice(most - 1).join("")] : lines;
    return shown.map((line) => this.#clipped(line.trim(), (width * this.#size.text) / size));
  }

  /**
   * A text on lines of a card, in its middle.
   * @param {string} text
   * @param {Box & {size: number}} box
   */
  #wrapped(text, box) {
    const height = box.size * LINE.height;
    const shown = this.#within(text, box.width - LINE.around, box.size, Math.max(1, Math.floor((box.height - 8) / height)));
    const top = box.y + box.height / 2 - ((shown.length - 1) * height) / 2;
    const where = { x: box.x + box.width / 2, dy: "0.35em", "text-anchor": "middle" };
    this.element.style.setProperty("--query-size", `${px(box.size)}px`);
    return shown.map((line, i) => s("text.query-text", { ...where, y: top + i * height }, line));
  }

  /**
   * Another font may come, so the width is not filled.
   * @param {string} text
   * @param {number} width
   * @returns {Fitted}
   */
  #fitted(text, width) {
    const { text: most } = this.#size;
    const size = Math.min(most, Math.max(LEAST_PX.below, most * 0.75, (most * width * 0.96) / (this.#widthOf(text) || 1)));
    return { text: this.#clipped(text, (width * most) / size), size };
  }

  /**
   * @param {string} text
   * @param {number} width
   */
  #clipped(text, width) {
    if (this.#widthOf(text) <= width) return text;
    const letters = Array.from(text);
    while (letters.length > 1 && this.#widthOf(`${letters.join("")}…`) > width) letters.pop();
    return `${letters.join("").trimEnd()}…`;
  }

  /**
   * @param {string} text
   * @param {number} [weight]
   * @param {number} [size] of the type, in pixels
   */
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

/** Whether a value is drawn as a colour. @param {string} value */
export function isColour(value) {
  return /^#[0-9a-f]{6}$/i.test(value);
}

let named = 0;
/** A name that no other picture has. @param {string} what */
function nameOf(what) {
  return `${what}-${++named}`;
}
