/**
 * Six pictures from a row of attention to a written word, each of which stands whole in the next one, and a camera.
 *
 * Each level has coordinates of its own, in pixels of the screen when the camera rests at it. `#slots` says where a level
 * stands in the next one; all have the shape of the screen, so that nothing is cut. A level's texts are seen near it alone,
 * and its shapes also from far. The camera moves the box around each level's SVG: a transform of the SVG itself would lay out its texts anew.
 */

import { h } from "../../../../../service/softkv_service/web/shared/element.js";
import { count as grouped, fixed, percent } from "../../../../../service/softkv_service/web/shared/numbers.js";
import { s, set } from "../../../../../service/softkv_service/web/shared/svg.js";

/** The levels by name, from the innermost. */
export const LEVELS = ["row", "matrix", "heads", "layer", "layers", "word"];
export const LAST = LEVELS.length - 1;
/** The views to choose from. The level of the heads has two, one for each half of a layer. @type {{name: string, level: number, half?: number}[]} */
export const NAMES = [
  ...LEVELS.slice(0, 3).map((name, level) => ({ name, level, half: 1 })),
  { name: "neurons", level: 2, half: 2 },
  ...LEVELS.slice(3).map((name, i) => ({ name, level: i + 3 })),
];

/** @typedef {import("../../language/index.js").Candidate} Candidate */
/** @typedef {{x: number, y: number, width: number, height: number}} Box */

/**
 * @typedef {object} Reading what the model computed of the words, and what of it is chosen
 * @property {string[]} words n of them, of which the first is the beginning
 * @property {number} layer
 * @property {number} head
 * @property {Float32Array[][]} attention by layer and head, [n, n]
 * @property {number[]} similarities of the last word's query and each key, in the chosen head
 * @property {number} half the one through which the camera comes nearer: 1 attention, 2 feed-forward
 * @property {number[]} shares of the last word's vector as it came in, and of what each half adds, in the sum of their lengths
 * @property {import("../../language/index.js").Neuron[]} neurons that add most, in the feed-forward half of the layer
 * @property {number} inner the number of its neurons
 * @property {number} others the number of neurons that are not shown
 * @property {number} othersShare of those
 * @property {(Candidate | undefined)[]} guesses of the words alone, then after each half of a layer
 * @property {Candidate[]} candidates the likeliest words
 * @property {number} otherWords how many words there are beside these
 */

/**
 * The scales between which a picture's texts, its shapes and the bundle fade in, and then out. Shapes are gone when the
 * camera is at the level within, at `gone` of the scale that they have there.
 */
const TEXTS = { from: 0.55, whole: 0.85, least: 1.02, gone: 1.35 };
const SHAPES = { from: 0.01, whole: 0.02, least: 1.2, gone: 0.85 };
const BUNDLE = { ...TEXTS, from: 0.2, whole: 0.5 };
/** From this width on, in heights, things stand beside each other. */
const WIDE = 1.25;
/** The thickness of all threads to the words together, in heights of a row; and the least of one, in pixels. */
const THICK = 0.9;
const HAIR = 0.75;

export class Scene {
  #say;
  #threads;
  #lookup;
  #press;
  #size = { width: 0, height: 0 };
  #f = 16;
  /** @type {Box[]} */
  #slots = [];
  /** The place of the neurons in the layer. @type {Box} */
  #feeds = centred(0, 0, 1, 1);
  /** @type {Box[]} the cells of the matrix, row by row */
  #cells = [];
  /** @type {?Reading} */
  #reading = null;
  #z = 0;
  #pen = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
  #levels = [...LEVELS, "neurons"].map((name) => ({
    name,
    holder: h("div.nest", { "data-level": name }),
    picture: s("svg.threads"),
    shapes: s("g.shapes"),
    texts: s("g.texts"),
  }));

  /**
   * @param {import("../../../../../service/softkv_service/web/shared/words.js").Text} say
   * @param {typeof import("../../../../../service/softkv_service/web/shared/threads.js").Threads} Threads chapter 1's picture
   * @param {(patch: {layer?: number, head?: number, z?: number, half?: number, word?: number}) => void} press the reader pressed a part
   */
  constructor(say, Threads, press) {
    this.#say = say;
    this.#press = press;
    this.#threads = new Threads(say, null);
    this.#lookup = new Threads((name, places) => say({ others: "other.neurons", "term.weight": "term.push" }[name] ?? name, places), null);
    for (const { picture, shapes, texts } of this.#levels) picture.append(shapes, texts);
    this.#levels[0].picture = this.#threads.element;
    this.#levels[LEVELS.length].picture = this.#lookup.element;
    for (const { name, picture } of [this.#levels[0], this.#levels[LEVELS.length]]) set(picture, { "aria-label": say(`level.${name}`) });
    for (const { holder, picture } of this.#levels) holder.append(picture);
    this.element = h("div.zoom", { role: "group", "aria-label": say("picture") }, ...this.#levels.map(({ holder }) => holder).reverse());
    this.element.addEventListener("click", (event) => this.#pressed(event));
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      if (this.#pressed(event)) event.preventDefault();
    });
  }

  /** Take what the model read. @param {Reading} reading */
  take(reading) {
    this.#reading = reading;
    this.#build();
  }

  /** Take other likely words, of the same reading. @param {Candidate[]} candidates */
  weigh(candidates) {
    if (!this.#reading) return;
    this.#reading = { ...this.#reading, candidates };
    const { shapes, texts } = this.#levels[LAST];
    shapes.replaceChildren();
    texts.replaceChildren();
    if (this.#size.width) this.#word(this.#reading);
    this.draw(this.#z);
  }

  /**
   * Fit a box of pixels.
   * @param {number} width
   * @param {number} height
   */
  layout(width, height) {
    if (!width || !height) return;
    this.#size = { width, height };
    const root = document.documentElement;
    this.#f = root.dataset.projector === "on" ? 22 : Math.max(16, parseFloat(getComputedStyle(root).fontSize));
    for (const { picture } of this.#levels) set(picture, { width, height, viewBox: `0 0 ${width} ${height}` });
    this.element.style.setProperty("--size", `${this.#f}px`);
    this.#pen.font = `600 ${this.#f}px ${getComputedStyle(this.element).fontFamily}`;
    this.#build();
  }

  /** Show what the camera sees at a level, or between two. @param {number} z */
  draw(z) {
    this.#z = z;
    const { width, height } = this.#size;
    if (!width || !this.#slots.length) return;
    const level = Math.min(LAST - 1, Math.floor(z));
    const outer = level + 1;
    const isFeed = this.#reading?.half === 2;
    const seen = between(isFeed && level === 2 ? this.#feeds : this.#slots[level], { x: 0, y: 0, width, height }, z - level);
    /** Each level's scale and place on the screen. @type {{k: number, x: number, y: number}[]} */
    const places = [];
    const k = width / seen.width;
    places[outer] = { k, x: -seen.x * k, y: -seen.y * k };
    const inside = (/** @type {Box} */ slot, { k, x, y } = places[outer]) => ({ k: (k * slot.width) / width, x: x + k * slot.x, y: y + k * slot.y });
    for (let i = outer; i > 0; i--) places[i - 1] = inside(this.#slots[i - 1], places[i]);
    if (z >= 2) places[LEVELS.length] = inside(this.#feeds, places[3]);
    for (const [i, { name, holder, shapes, texts }] of this.#levels.entries()) {
      const isAside = z < 3 && (isFeed ? i < 3 : name === "neurons"); // the camera went through the other half
      const there = isAside ? undefined : places[i];
      const limits = name === "row" ? BUNDLE : name === "neurons" ? TEXTS : { ...SHAPES, gone: (SHAPES.gone * width) / this.#slots[i - 1].width };
      const opacity = there ? shareOf(limits, there.k) : 0;
      holder.style.visibility = opacity ? "visible" : "hidden";
      if (!opacity || !there) continue;
      holder.style.transform = `translate(${there.x.toFixed(2)}px, ${there.y.toFixed(2)}px) scale(${there.k.toFixed(5)})`;
      if (name === "row") {
        holder.style.opacity = opacity.toFixed(3);
        continue;
      }
      const legible = shareOf(TEXTS, there.k);
      shapes.style.opacity = opacity.toFixed(3);
      texts.style.opacity = legible.toFixed(3);
      texts.style.display = legible ? "" : "none"; // hidden texts would be laid out at each scale
    }
  }

  /**
   * The picture of a level, alone.
   * @param {number} level
   * @returns {SVGSVGElement}
   */
  pictureOf(level) {
    return this.#levels[level].picture;
  }

  #build() {
    const { width } = this.#size;
    const reading = this.#reading;
    if (!width || !reading) return;
    const focused = this.element.contains(document.activeElement) ? document.activeElement?.getAttribute("data-press") : null;
    this.#slots = [];
    for (const { name, shapes, texts } of this.#levels) {
      if (name !== "row") shapes.replaceChildren();
      texts.replaceChildren();
    }
    this.#row(reading);
    this.#neurons(reading);
    this.#matrix(reading);
    this.#heads(reading);
    this.#layer(reading);
    this.#stairs(reading);
    this.#word(reading);
    this.draw(this.#z);
    if (focused) /** @type {?SVGElement} */ (this.element.querySelector(`[data-press="${CSS.escape(focused)}"]`))?.focus({ preventScroll: true });
  }

  /** The bundle of the last word: its query, and the keys of the words before. @param {Reading} reading */
  #row({ words, attention, layer, head, similarities }) {
    const n = words.length;
    this.#show(this.#threads, { query: words[n - 1], rows: words.map((word) => ({ key: word, value: word })) });
    this.#threads.draw({ temperature: 1, weights: attention[layer][head].subarray((n - 1) * n), similarities });
  }

  /** The rows of the feed-forward half: what each is strongest at, and the words that it makes likelier. @param {Reading} reading */
  #neurons({ words, neurons, others, othersShare }) {
    const shown = neurons.length ? neurons : [{ key: "–", writes: ["–"], share: 0 }];
    const rows = shown.map(({ key, writes }) => ({ key, value: writes.join(", ") }));
    this.#show(this.#lookup, { query: words[words.length - 1], rows, others: othersShare && others });
    const weights = shown.map(({ share }) => share);
    this.#lookup.draw({ temperature: 1, weights, similarities: weights, othersWeight: othersShare });
  }

  /**
   * Words may be larger here than in chapter 1: they are clipped again, with room for a share.
   * @param {InstanceType<typeof import("../../../../../service/softkv_service/web/shared/threads.js").Threads>} threads
   * @param {import("../../../../../service/softkv_service/web/shared/threads.js").Content} content
   */
  #show(threads, content) {
    const { width, height } = this.#size;
    const show = (/** @type {typeof content} */ shown) => {
      threads.take({ ...shown, named: true });
      threads.layout(width, height);
    };
    show(content);
    const size = parseFloat(threads.element.style.getPropertyValue("--row-size"));
    const scale = Math.min(1, this.#f / size); // texts are measured at this picture's size, the least one of the rows
    const key = Math.max(2 * this.#f, threads.keyBoxes[0].width - 3.6 * this.#f) * scale;
    const value = size >= this.#f ? Infinity : Math.max(2 * this.#f, threads.valueBoxes[0].width - 26);
    const rows = content.rows.map((row) => ({ key: this.#ending(row.key, key), value: this.#clipped(row.value, value) }));
    show({ ...content, query: this.#clipped(content.query, (threads.queryBox.width - 26) * scale), rows });
  }

  /** All rows of a head. @param {Reading} reading */
  #matrix({ words, attention, layer, head }) {
    const { width, height } = this.#size;
    const [f, n] = [this.#f, words.length];
    const { shapes } = this.#levels[1];
    const names = words.map((word) => this.#clipped(word, Math.max(4 * f, width * 0.2)));
    const left = Math.max(...[...names, `${this.#say("columns")} →`, `${this.#say("rows")} ↓`].map((name) => this.#widthOf(name))) + 14;
    const isSlanted = (width - left) / n < Math.max(...names.map((name) => this.#widthOf(name))) + 8;
    const top = isSlanted ? 5.25 * f : 1.75 * f;
    const cell = { width: Math.min(9 * f, (width - left - (isSlanted ? 3 * f : 4)) / n), height: (height - top - 4) / n };
    const from = (width - left - cell.width * n) / 2 + left;
    this.#cells = words.flatMap((_, i) => words.map((__, j) => ({ x: from + j * cell.width, y: top + i * cell.height, ...cell })));
    shapes.append(this.#shaded(attention[layer][head], n, 1));
    const weights = attention[layer][head];
    const isWritten = cell.width > 2.6 * f && cell.height > 1.2 * f;
    this.#write(1, "term.key", from - 12, f, `${this.#say("columns")} →`, "end");
    if (isSlanted) this.#write(1, "term.query", from - 12, top - 0.4 * f, `${this.#say("rows")} ↓`, "end");
    const below = 0.35 * f;
    for (const [i, name] of names.entries()) {
      const isUpright = isSlanted && cell.width < 1.45 * f; // slanted words would lie over each other
      const [middle, base] = [this.#cells[i].x + cell.width / 2 + (isUpright ? below : 0), top - 0.45 * f];
      const text = this.#write(1, "key-text", middle, base, name, isSlanted ? "start" : "middle");
      if (isSlanted) set(text, { transform: `rotate(${isUpright ? -90 : -45} ${middle} ${base})` });
      this.#write(1, `query-text${i === n - 1 ? ".last" : ""}`, from - 12, top + (i + 0.5) * cell.height + below, name, "end");
      for (let j = 0; isWritten && j <= i; j++) {
        const [weight, at] = [weights[i * n + j], this.#cells[i * n + j]];
        this.#write(1, `figure${weight > 0.5 ? ".dark" : ""}`, at.x + cell.width / 2, at.y + cell.height / 2 + below, fixed(weight, 2), "middle");
      }
    }
    const last = this.#cells[(n - 1) * n];
    const tall = Math.min(cell.height * 0.94, (cell.width * n * 0.94 * height) / width);
    this.#slots[0] = centred(last.x + (cell.width * n) / 2, last.y + cell.height / 2, (tall * width) / height, tall);
    shapes.append(s("rect.chosen", { x: last.x, y: last.y, width: cell.width * n, height: cell.height, rx: 3 }));
    this.#button(1, { ...last, width: cell.width * n }, "z=0", this.#say("see.row"));
  }

  /**
   * A matrix of weights, whose cells are as the chosen head's are.
   * @param {Float32Array} weights
   * @param {number} n
   * @param {number} scale
   */
  #shaded(weights, n, scale) {
    const group = s("g.shaded");
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        const { x, y, width, height } = this.#cells[i * n + j];
        const gap = j <= i ? 1 / scale : Math.min(width, height) / 4;
        const cell = s(j <= i ? "rect.cell" : "rect.cell.masked", { x: x + gap, y: y + gap, width: width - 2 * gap, height: height - 2 * gap, rx: 2 });
        cell.style.setProperty("--share", weights[i * n + j].toFixed(3));
        group.append(cell);
      }
    }
    return group;
  }

  /** The heads of a layer. @param {Reading} reading */
  #heads({ words, attention, layer, head }) {
    const { width, height } = this.#size;
    const f = this.#f;
    const heads = attention[layer].length;
    const columns = Math.ceil(Math.sqrt(heads));
    const lines = Math.ceil(heads / columns);
    const [gap, above] = [f, 1.5 * f];
    const tall = Math.min(height / lines - above - 0.5 * f, (((width - gap) / columns - gap) * height) / width);
    const wide = (tall * width) / height;
    const pitch = { x: Math.min(wide + 5 * f, (width - wide) / Math.max(1, columns - 1)), y: height / lines };
    for (let i = 0; i < heads; i++) {
      const x = width / 2 + ((i % columns) - (columns - 1) / 2) * pitch.x - wide / 2;
      const box = { x, y: Math.floor(i / columns) * pitch.y + above, width: wide, height: tall };
      const name = this.#say("head", { head: i + 1, layer: layer + 1 });
      this.#nest(2, box, i === head, `head=${i}`, name, () => this.#shaded(attention[layer][i], words.length, wide / width));
      this.#write(2, `name${i === head ? ".last" : ""}`, box.x + wide / 2, box.y - 0.45 * f, name, "middle");
    }
  }

  /**
   * One of several pictures in the next level: the chosen one stands whole in its place.
   * @param {number} level
   * @param {Box} box
   * @param {boolean} isChosen
   * @param {string} press
   * @param {string} label
   * @param {() => SVGElement} drawn
   */
  #nest(level, box, isChosen, press, label, drawn) {
    const { shapes } = this.#levels[level];
    if (isChosen) this.#slots[level - 1] = box;
    else shapes.append(s("g", { transform: `translate(${box.x} ${box.y}) scale(${box.width / this.#size.width})` }, drawn()));
    shapes.append(s(isChosen ? "rect.chosen" : "rect.unchosen", { ...box, rx: 4 }));
    this.#button(level, box, isChosen ? `z=${level - 1}` : press, label, isChosen);
  }

  /**
   * A text of a level, on its base line.
   * @param {number} level
   * @param {string} kind
   * @param {number} x
   * @param {number} y
   * @param {string} text
   * @param {"start" | "middle" | "end"} [anchor]
   */
  #write(level, kind, x, y, text, anchor = "start") {
    const element = s(`text.${kind}`, { x, y, "text-anchor": anchor }, text);
    this.#levels[level].texts.append(element);
    return element;
  }

  /** The two halves of a layer, and the stream of the last word's vector that they add to. @param {Reading} reading */
  #layer({ words, shares, half, attention, layer }) {
    const f = this.#f;
    const { shapes } = this.#levels[3];
    const { attends, feeds, stream, plus } = this.#halves();
    this.#slots[2] = attends;
    this.#feeds = feeds;
    shapes.append(this.#glyph(), s("rect.chosen", { ...(half === 2 ? feeds : attends), rx: 6 }));
    for (const [box, name, press, label] of /** @type {[Box, string, string, string][]} */ ([
      [attends, this.#say("half.attention", { heads: attention[layer].length }), "z=2", this.#say("see.heads")],
      [feeds, this.#say("half.feed"), "half=2", this.#say("see.neurons")],
    ])) {
      this.#write(3, "name", box.x + box.width / 2, box.y - 0.5 * f, name, "middle");
      this.#button(3, box, press, label, true);
    }
    for (const [i, { x, y }] of plus.entries()) this.#write(3, "figure", x + 0.9 * f, stream.isWide ? y - 0.7 * f : y + 1.3 * f, `+ ${percent(shares[i + 1])}`);
    const word = `${this.#clipped(words[words.length - 1], 6 * f)} ${percent(shares[0])}`;
    this.#write(3, "query-text", stream.x1 + (stream.isWide ? 0 : 0.7 * f), stream.y1 - (stream.isWide ? 0.7 : 0.2) * f, word);
  }

  /** The places in a layer. @returns {{attends: Box, feeds: Box, stream: {x1: number, y1: number, x2: number, y2: number, isWide: boolean}, plus: {x: number, y: number}[]}} */
  #halves() {
    const { width, height } = this.#size;
    const f = this.#f;
    const isWide = width > WIDE * height;
    if (isWide) {
      const y = height - 2 * f;
      const share = Math.min(0.46, (y - 3.4 * f) / height);
      const attends = { x: 4 * f, y: 1.8 * f, width: width * share, height: height * share };
      const beside = attends.x + attends.width + 5 * f;
      const feeds = { x: beside, y: attends.y, width: Math.min(width * 0.3, width - beside - 6.6 * f), height: attends.height };
      const plus = [attends, feeds].map((box) => ({ x: box.x + box.width + 1.5 * f, y }));
      return { attends, feeds, plus, stream: { x1: 0, x2: width, y1: y, y2: y, isWide } };
    }
    const x = 1.2 * f;
    const share = Math.min(0.5, (height - 8 * f) / height / 1.6);
    const attends = { x: width - width * share - 1.5 * f, y: height - height * share - 3 * f, width: width * share, height: height * share };
    const feeds = { ...attends, y: 1.8 * f, height: attends.y - 6 * f };
    const plus = [attends, feeds].map((box) => ({ x, y: box.y + 0.5 * f }));
    return { attends, feeds, plus, stream: { x1: x, x2: x, y1: height - 0.3 * f, y2: 0, isWide } };
  }

  /** A layer without its numbers. */
  #glyph() {
    const { attends, feeds, stream, plus } = this.#halves();
    const { x1, y1, x2, y2, isWide } = stream;
    const f = this.#f;
    const group = s(
      "g.glyph",
      {},
      s("line.stream-line", { x1, y1, x2, y2 }),
      s("path.stream-line", {
        d: isWide ? `M${x2 - f} ${y2 - 0.5 * f}l${f} ${0.5 * f}l${-f} ${0.5 * f}` : `M${x2 - 0.5 * f} ${f}l${0.5 * f} ${-f}l${0.5 * f} ${f}`,
      }),
    );
    for (const [i, box] of [attends, feeds].entries()) {
      const { x, y } = plus[i];
      const middle = isWide ? box.x + box.width / 2 : box.y + box.height / 2;
      group.append(
        s("path.way", {
          d: isWide
            ? `M${middle} ${y}V${box.y + box.height}M${box.x + box.width} ${box.y + box.height / 2}H${x}V${y}`
            : `M${x} ${middle}H${box.x}M${box.x} ${y}H${x}`,
        }),
        s("rect.box", { ...box, rx: 6 }),
        s("circle.plus", { cx: x, cy: y, r: 0.5 * f }),
        s("path.cross", { d: `M${x - 0.3 * f} ${y}h${0.6 * f}M${x} ${y - 0.3 * f}v${0.6 * f}` }),
      );
    }
    // A feed-forward half has rows, too: keys to its left, values to its right.
    const { x, y, width, height } = feeds;
    for (const share of [0.1, 0.27, 0.44, 0.61, 0.78]) {
      const row = { y: y + share * height, width: width * 0.3, height: height * 0.12, rx: 2 };
      group.append(s("path.way", { d: `M${x + width * 0.38} ${row.y + row.height / 2}h${width * 0.24}` }));
      for (const [part, at] of Object.entries({ key: 0.08, value: 0.62 })) group.append(s(`rect.${part}`, { ...row, x: x + width * at }));
    }
    return group;
  }

  /** The layers on one another, and what each half of them would write. @param {Reading} reading */
  #stairs({ attention, layer, guesses }) {
    const { width, height } = this.#size;
    const f = this.#f;
    const layers = attention.length;
    const beside = Math.min(width * 0.62, 17 * f);
    const below = 1.6 * f;
    const pitch = (height - below) / layers;
    const tall = Math.min(pitch - 0.6 * f, ((width - beside) * 0.8 * height) / width);
    const wide = (tall * width) / height;
    const across = Math.min(wide * 0.4, (width - wide - beside) / Math.max(1, layers - 1));
    const from = (width - wide - beside - across * (layers - 1)) / 2;
    const write = (/** @type {number} */ x, /** @type {number} */ y, /** @type {string} */ name, /** @type {Candidate | undefined} */ guess) =>
      this.#write(4, "soft", x, y, `${this.#say(name)}: `).append(
        s("tspan.guess", {}, guess ? `${this.#clipped(guess.word, 7 * f)} ${percent(guess.probability)}` : "–"),
      );
    for (let i = 0; i < layers; i++) {
      const box = { x: from + i * across, y: height - below - (i + 1) * pitch + (pitch - tall) / 2, width: wide, height: tall };
      const name = this.#say("layer", { layer: i + 1 });
      this.#nest(4, box, i === layer, `layer=${i}`, name, () => this.#glyph());
      const [x, y] = [box.x + wide + 0.75 * f, box.y + tall / 2 + 0.35 * f];
      this.#write(4, `name${i === layer ? ".last" : ""}`, x, y - 1.15 * f, name);
      write(x, y, "attention", guesses[2 * i + 1]);
      write(x, y + 1.15 * f, "feed", guesses[2 * i + 2]);
    }
    write(from, height - 0.4 * f, "alone", guesses[0]);
  }

  /** The last vector asks all words. @param {Reading} reading */
  #word({ words, candidates, otherWords, attention }) {
    const { width, height } = this.#size;
    const f = this.#f;
    const { shapes } = this.#levels[LAST];
    const isWide = width > WIDE * height;
    const share = isWide ? 0.27 : 0.36;
    const slot = isWide
      ? { x: 0, y: (height * (1 - share)) / 2, width: width * share, height: height * share }
      : { x: width * (1 - share), y: 1.6 * f, width: width * share, height: height * share };
    this.#slots[4] = slot;
    const card = isWide
      ? { x: slot.width + 2 * f, y: height / 2 - 1.5 * f, width: Math.min(9 * f, width * 0.16), height: 3 * f }
      : { x: 0, y: 1.8 * f, width: width * (1 - share) - 1.5 * f, height: 3 * f };
    const top = isWide ? 1.8 * f : slot.y + slot.height + 1.9 * f;
    const left = isWide ? width * 0.6 : 4.2 * f;
    const shown = candidates.slice(0, Math.max(1, Math.floor((height - top) / (1.75 * f)) - 1));
    const shares = shown.map(({ probability }) => probability);
    const rest = Math.max(0, 1 - shares.reduce((sum, one) => sum + one, 0));
    const pitch = Math.min(2.75 * f, (height - top - 2) / (shown.length + 1));
    const first = isWide ? Math.max(top, top + (height - top - pitch * (shown.length + 1)) / 2) : top;
    const tall = pitch * 0.84;
    const bundle = tall * THICK;
    const start = isWide ? { x: card.x + card.width, y: card.y + 1.5 * f } : { x: 2 * f, y: card.y + card.height };
    let at = -bundle / 2;
    const below = 0.35 * f;
    for (const [i, weight] of [...shares, rest].entries()) {
      const y = first + i * pitch + tall / 2;
      const thick = weight * bundle;
      const isOthers = i === shown.length;
      const box = { x: left, y: first + i * pitch, width: width - left - 1, height: tall };
      if (weight > 0) {
        const turn = (start.x + left) / 2;
        const d = isWide
          ? `M${start.x} ${start.y + at + thick / 2}C${turn} ${start.y + at + thick / 2} ${turn} ${y} ${left} ${y}`
          : `M${start.x - at - thick / 2} ${start.y}C${start.x - at - thick / 2} ${y} ${start.x} ${y} ${left} ${y}`;
        shapes.append(s("path.thread-line", { d, "stroke-width": Math.max(HAIR, thick), "data-weight": weight }));
      }
      at += thick;
      const glow = s("rect.glow", { ...box, width: Math.max(0, box.width * weight), rx: 5 });
      shapes.append(s(isOthers ? "rect.key.others" : "rect.key", { ...box, rx: 5 }), ...(isOthers ? [] : [glow]));
      const told = percent(weight);
      const word = isOthers ? this.#say("others", { count: grouped(otherWords + candidates.length - shown.length) }) : shown[i].word;
      const room = box.width - 1.5 * f - this.#widthOf(told);
      this.#write(LAST, isOthers ? "soft" : "key-text", left + 0.6 * f, y + below, this.#clipped(word, room));
      this.#write(LAST, "share", left + box.width - 0.5 * f, y + below, told, "end");
      if (!isOthers) this.#button(LAST, box, `word=${shown[i].id}`, this.#say("write", { word: shown[i].word }));
    }
    shapes.append(s("rect.chosen", { ...slot, rx: 4 }), s("rect.card.asking-card", { ...card, rx: 8 }));
    if (isWide) shapes.append(s("path.way", { d: `M${slot.x + slot.width} ${height / 2}H${card.x}` }));
    else shapes.append(s("path.way", { d: `M${slot.x} ${card.y + 1.5 * f}H${card.x + card.width}` }));
    const middle = card.x + card.width / 2;
    this.#write(LAST, "name", slot.x + slot.width / 2, slot.y - 0.5 * f, this.#say("layers", { count: attention.length }), "middle");
    this.#write(LAST, "term.query", middle, card.y - 0.5 * f, this.#say("last.vector"), "middle");
    this.#write(LAST, "query-text", middle, card.y + card.height / 2 + below, this.#clipped(words[words.length - 1], card.width - f), "middle");
    this.#write(LAST, "term.key", left, first - 0.5 * f, this.#say("every.word"));
    this.#write(LAST, "term.weight", width - 1, first - 0.5 * f, this.#say("term.weight"), "end");
    this.#button(LAST, slot, "z=4", this.#say("see.layers"), true);
  }

  /**
   * A part that can be pressed.
   * @param {number} level
   * @param {Box} box
   * @param {string} press
   * @param {string} label
   * @param {boolean} [isChosen]
   */
  #button(level, box, press, label, isChosen = false) {
    const { x, y, width, height } = box;
    const hit = s("rect.press", { x, y, width, height, rx: 5, role: "button", tabindex: 0, "aria-label": label, "data-press": press });
    if (isChosen) hit.classList.add("here");
    this.#levels[level].texts.append(hit);
  }

  /** @param {Event} event */
  #pressed(event) {
    const part = event.target instanceof Element ? event.target.closest("[data-press]") : null;
    const [name, number] = (part?.getAttribute("data-press") ?? "").split("=");
    if (!name) return false;
    this.#press(name === "half" ? { half: 2, z: 2 } : { [name]: Number(number) });
    return true;
  }

  /**
   * The last words of a text that have room; of one word its letters.
   * @param {string} text
   * @param {number} width
   * @returns {string}
   */
  #ending(text, width) {
    const [, rest] = text.match(/^…?\S+ (.+)$/) ?? [];
    return rest && this.#widthOf(text) > width ? this.#ending(`…${rest}`, width) : this.#clipped(text, width);
  }

  /**
   * @param {string} text
   * @param {number} width
   */
  #clipped(text, width) {
    if (this.#widthOf(text) <= width) return text;
    const letters = Array.from(text);
    while (letters.length > 1 && this.#widthOf(`${letters.join("")}…`) > width) letters.pop();
    return `${letters.join("")}…`;
  }

  /** @param {string} text */
  #widthOf(text) {
    return this.#pen.measureText(text).width;
  }
}

/**
 * @param {number} x
 * @param {number} y
 * @param {number} width
 * @param {number} height
 * @returns {Box}
 */
function centred(x, y, width, height) {
  return { x: x - width / 2, y: y - height / 2, width, height };
}

/**
 * The opacity, 0 to 1, of a picture that is scaled by k.
 * @param {typeof TEXTS} limits
 * @param {number} k
 */
function shareOf({ from, whole, least, gone }, k) {
  const share = k < 1 ? (k - from) / (whole - from) : Math.log(gone / k) / Math.log(gone / least);
  return Math.max(0, Math.min(1, share));
}

/**
 * A box on the way from one to another of the same shape, whose size changes by equal factors.
 * @param {Box} a
 * @param {Box} b
 * @param {number} share
 * @returns {Box}
 */
function between(a, b, share) {
  const width = a.width * (b.width / a.width) ** share;
  const moved = (width - a.width) / (b.width - a.width);
  return { x: a.x + (b.x - a.x) * moved, y: a.y + (b.y - a.y) * moved, width, height: (width * b.height) / b.width };
}
