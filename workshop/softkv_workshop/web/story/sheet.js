/**
 * The matrices of one layer on one sheet, and a camera over it.
 *
 * A product stands where its operands cross: the left one beside it, the other one above it. So a number lies in the
 * row and the column that it is the sum of. `draw` writes the numbers, `reach` says how far they are computed, and
 * `look` moves the camera.
 */

import { fixed } from "../../../../service/softkv_service/web/shared/numbers.js";
import { eased, isReduced, Timeline } from "../../../../service/softkv_service/web/shared/motion.js";
import { s, set } from "../../../../service/softkv_service/web/shared/svg.js";

/** @typedef {import("./arithmetic.js").Layer} Layer */
/** @typedef {import("./arithmetic.js").Matrix} Matrix */
/** @typedef {import("./arithmetic.js").Parameters} Parameters */
/** @typedef {{x: number, y: number, width: number, height: number}} Box */

/**
 * @typedef {object} Block a matrix on the sheet
 * @property {string} name
 * @property {string} title
 * @property {"given" | "query" | "key" | "value" | "score" | "weight"} kind its colour
 * @property {number} step at which it is computed; −1 for an input
 * @property {number} x of its first cell
 * @property {number} y
 * @property {number} rows
 * @property {number} columns
 * @property {Matrix} [matrix] what it shows, since the last `draw`
 * @property {boolean} [areRowsNamed]
 * @property {boolean} [areColumnsNamed]
 */

/**
 * @typedef {object} Shown how the layer was computed, and what of it is seen
 * @property {boolean} isMasked
 * @property {boolean} isCovered whether the weights of the first word are hidden, since they are to be guessed
 */

/** Measures of the sheet, in its own units: a number is 20 high. */
const CELL = { width: 58, height: 33 };
const TEXT = 20;
const LABELS = 90;
const GAP = 30;
const WIDE_GAP = 100;
/** Between a matrix and the one below it, with a title. */
const TITLE = 36;
const BAND = 84;
const MARGIN = 8;
/** The least height of a number on the screen, in pixels, as the page's type is; and the maximum enlargement. */
const READABLE = { usual: 16, large: 22 };
const CLOSEST = 1.5;
const SECONDS = 0.9;
/** From so far only the names of the matrices are written, in letters of such a height. */
const NAMES = { usual: 14, large: 22 };
/** The width of a letter, of its height, and how far a name may reach over the sides of its matrix. */
const LETTER = 0.55;
const OVER = 28;
/** Below this width, in pixels, Q, K and V stand below each other. */
const NARROW = 640;
/** The change of a dragged number for each pixel, and its maximum. */
const PER_PIXEL = 0.0125;
const STEP = 0.1;
const MOST = 2;

/** The steps by name, in order. */
export const STEPS = ["x", "project", "dot", "scale", "mask", "softmax", "blend", "heads", "norm", "whole"];

/** The matrices that the camera shows at a step: the first of these that the screen shows in readable numbers. */
const SHOTS = {
  x: [["X"]],
  project: [
    ["X", "W_Q", "W_K", "W_V", "Q", "K", "V"],
    ["W_Q", "W_K", "W_V", "Q", "K", "V"],
    ["Q", "K", "V"],
  ],
  dot: [
    ["query0", "key0", "dot0"],
    ["key0", "dot0"],
  ],
  scale: [["dot0", "scaled0"], ["scaled0"]],
  mask: [["scaled0", "masked0"], ["masked0"]],
  softmax: [["masked0", "weights0"], ["weights0"]],
  blend: [
    ["weights0", "value0", "blended0"],
    ["value0", "blended0"],
  ],
  heads: [
    ["joined", "W_O", "output"],
    ["W_O", "output"],
  ],
  norm: [["added", "sum", "normed"], ["sum", "normed"], ["normed"]],
};

/** The block computed at a step, of which a cell can be reached by the keyboard. @type {Record<string, string>} */
const RESULTS = {
  project: "Q",
  dot: "dot0",
  scale: "scaled0",
  mask: "masked0",
  softmax: "weights0",
  blend: "blended0",
  heads: "output",
  norm: "normed",
  whole: "normed",
};

/** The lines from one block to others. @type {[string, string[]][]} */
const WAYS = [
  ["X", ["Q"]],
  ["Q", ["query0", "query1"]],
  ["K", ["key0", "key1"]],
  ["V", ["value0", "value1"]],
  ["blended0", ["joined"]],
  ["blended1", ["joined"]],
];
/** Between lines beside each other. */
const LANE = 28;

export class Sheet {
  #say;
  #change;
  #told;
  #words;
  #features;
  #parameters;
  #isNarrow = false;
  /** @type {Map<string, Block>} */
  #blocks = new Map();
  /** @type {Map<string, SVGTextElement[][]>} */
  #texts = new Map();
  /** @type {Map<string, SVGGElement[][]>} */
  #cells = new Map();
  /** @type {Map<string, SVGGElement>} */
  #groups = new Map();
  #ways = s("g.ways");
  #size = { width: 0, height: 0 };
  #step = 0;
  /** @type {Box} */
  #box = { x: 0, y: 0, width: 1, height: 1 };
  #moving = new Timeline([]);
  /** @type {Shown} */
  #shown = { isMasked: true, isCovered: false };
  /** @type {?[Parameters, Layer]} */
  #drawn = null;

  /**
   * @param {object} what
   * @param {import("../../../../service/softkv_service/web/shared/words.js").Say} what.say
   * @param {Parameters} what.parameters
   * @param {string[]} what.words a name for each row of X
   * @param {string[]} what.features a name for each of its columns
   * @param {(patch: {row: number, column: number, number: number}) => void} what.change the reader moved a number
   * @param {(sum: string) => void} what.told what the number that is pointed at is the sum of; "" for none
   */
  constructor({ say, parameters, words, features, change, told }) {
    this.#say = say;
    this.#change = change;
    this.#told = told;
    this.#words = words;
    this.#features = features;
    this.#parameters = parameters;
    this.element = s("svg.sheet", { role: "group", "aria-label": say("sheet") });
    this.#build();
    this.element.addEventListener("pointermove", (event) => this.#point(event.target));
    this.element.addEventListener("pointerleave", () => this.#point(null));
    this.element.addEventListener("focusin", (event) => this.#point(event.target));
    this.element.addEventListener("focusout", () => this.#point(null));
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.element.addEventListener("pointerdown", (event) => this.#grab(event));
  }

  /** Place the blocks, as wide as the screen is. */
  #build() {
    this.#blocks = new Map(placed(this.#say, this.#parameters, this.#isNarrow).map((block) => [block.name, block]));
    this.#ways.replaceChildren(
      ...WAYS.map(([from, to]) => s(`path.way.${this.#blocks.get(from)?.kind}`, { d: to.map((name) => this.#way(from, name)).join("") })),
    );
    this.element.replaceChildren(this.#ways, ...[...this.#blocks.values()].map((block) => this.#built(block)));
  }

  /** The names of the blocks, with the matrices that they show. @returns {Record<string, Matrix>} */
  get matrices() {
    return Object.fromEntries([...this.#blocks].map(([name, { matrix }]) => [name, matrix ?? []]));
  }

  /**
   * Write the numbers.
   * @param {Parameters} parameters
   * @param {Layer} layer
   * @param {Shown} shown
   */
  draw(parameters, layer, shown) {
    this.#shown = shown;
    this.#drawn = [parameters, layer];
    for (const block of this.#blocks.values()) {
      block.matrix = matrixOf(block.name, parameters, layer);
      const texts = /** @type {SVGTextElement[][]} */ (this.#texts.get(block.name));
      const cells = /** @type {SVGGElement[][]} */ (this.#cells.get(block.name));
      for (const [i, row] of block.matrix.entries()) {
        for (const [j, number] of row.entries()) {
          const isHidden = this.#hides(block.name, i);
          const text = isHidden ? "?" : fixed(number, 2);
          if (texts[i][j].textContent !== text) texts[i][j].textContent = text;
          if (block.kind === "weight") cells[i][j].style.setProperty("--share", isHidden ? "0" : number.toFixed(3));
          if (block.name === "X") set(cells[i][j], { "aria-valuenow": number, "aria-valuetext": text });
        }
      }
    }
    this.#label();
  }

  /** Name the cells of the step's result by their sums. */
  #label() {
    const result = RESULTS[STEPS[this.#step]];
    for (const [i, row] of (this.#cells.get(result) ?? []).entries())
      for (const [j, cell] of row.entries()) set(cell, { "aria-label": this.#hides(result, i) ? "?" : this.#sum(result, i, j) });
  }

  /**
   * @param {string} name of a block
   * @param {number} row
   */
  #hides(name, row) {
    return this.#shown.isCovered && row === 0 && name.startsWith("weights");
  }

  /**
   * Fit a box of pixels.
   * @param {number} width
   * @param {number} height
   */
  layout(width, height) {
    if (!width || !height) return;
    this.#size = { width, height };
    set(this.element, { width, height });
    if (width < NARROW !== this.#isNarrow) {
      this.#isNarrow = width < NARROW;
      this.#build();
      if (this.#drawn) this.draw(...this.#drawn, this.#shown);
      this.look(this.#step);
    }
    if (this.#moving.playing) return;
    this.#hideOthers([STEPS[this.#step]]);
    this.#show(this.#shot(STEPS[this.#step]));
  }

  /**
   * Show the sheet as far as a step, and move the camera there.
   * @param {number} step
   * @param {boolean} [isFromFar]
   */
  look(step, isFromFar = false) {
    this.#step = step;
    this.#moving.stop();
    this.element.classList.remove("filmed");
    const name = STEPS[step];
    for (const [block, group] of this.#groups) {
      const { step: at } = /** @type {Block} */ (this.#blocks.get(block));
      group.classList.toggle("pending", at > step);
      group.classList.toggle("now", at === step);
    }
    for (const [block, rows] of this.#cells) {
      if (block === "X") continue;
      for (const [i, row] of rows.entries())
        for (const [j, cell] of row.entries())
          set(cell, { tabindex: block === RESULTS[name] ? (i || j ? -1 : 0) : null, role: block === RESULTS[name] ? "img" : null, "aria-label": null });
    }
    this.#label();
    this.#hideOthers([name]);
    if (!this.#size.width) return;
    const from = isFromFar ? this.#shot("whole") : this.#box;
    if (isReduced()) {
      this.#show(this.#shot(name));
      return;
    }
    this.#moving = new Timeline([{ seconds: isFromFar ? 2 * SECONDS : SECONDS, draw: (share) => this.#show(between(from, this.#shot(name), eased(share))) }]);
    this.#moving.play();
  }

  /** Show a moment of the camera's whole way, 0 to 1, without moving. @param {number} at a step, and a share of the way to the next */
  between(at) {
    this.#moving.stop();
    this.element.classList.add("filmed");
    const step = Math.min(STEPS.length - 1, Math.floor(at));
    const next = Math.min(STEPS.length - 1, step + 1);
    this.#hideOthers([STEPS[step], STEPS[next]]);
    this.#show(between(this.#shot(STEPS[step]), this.#shot(STEPS[next]), eased(at - step)));
  }

  leave() {
    this.#moving.stop();
  }

  /** @param {Box} box */
  #show(box) {
    this.#box = box;
    const scale = this.#size.width / box.width;
    const isFar = scale * TEXT < NAMES.usual;
    const size = Math.max(TEXT, this.#readable(NAMES) / scale);
    for (const [name, group] of this.#groups) {
      const block = /** @type {Block} */ (this.#blocks.get(name));
      const { x, y, width, height } = outline(block);
      const isSeen = x < box.x + box.width && x + width > box.x && y < box.y + box.height && y + height > box.y;
      group.classList.toggle("away", !isSeen);
      const isLong = nameOf(block).replace("_", "").length * LETTER * size > block.columns * CELL.width + 2 * OVER;
      group.classList.toggle("unnamed", isFar && isLong);
    }
    this.element.classList.toggle("far", isFar);
    this.element.style.setProperty("--name-size", `${round(size)}px`);
    set(this.element, { viewBox: `${round(box.x)} ${round(box.y)} ${round(box.width)} ${round(box.height)}` });
  }

  /** Nothing is cut by the frame: what the camera does not show whole at these steps is hidden. @param {string[]} steps */
  #hideOthers(steps) {
    const names = new Set(steps.flatMap((step) => this.#blocksOf(step)));
    for (const [block, group] of this.#groups) group.classList.toggle("cut", !names.has(block));
  }

  /**
   * The blocks at a step: as many as the screen shows in readable numbers.
   * @param {string} name
   * @returns {string[]}
   */
  #blocksOf(name) {
    const shots = SHOTS[/** @type {keyof typeof SHOTS} */ (name)] ?? [[...this.#blocks.keys()]];
    const readable = this.#readable(READABLE);
    return shots.find((names) => this.#scaleOf(this.#boxOf(names)) * TEXT >= readable) ?? shots[shots.length - 1];
  }

  /** @param {string[]} names */
  #boxOf(names) {
    return around(names.map((name) => outline(/** @type {Block} */ (this.#blocks.get(name)))));
  }

  /** Pixels a unit, if a box fills the screen. @param {Box} box */
  #scaleOf(box) {
    return Math.min(this.#size.width / box.width, this.#size.height / box.height, CLOSEST);
  }

  /**
   * The camera's view at a step, in the shape of the screen.
   * @param {string} name
   * @returns {Box}
   */
  #shot(name) {
    const { width, height } = this.#size;
    const box = this.#boxOf(this.#blocksOf(name));
    const scale = this.#scaleOf(box);
    const [shown, tall] = [width / scale, height / scale];
    return { x: box.x + box.width / 2 - shown / 2, y: box.y + box.height / 2 - tall / 2, width: shown, height: tall };
  }

  /** Pixels, in the page's usual type or in its large one. @param {{usual: number, large: number}} pixels */
  #readable({ usual, large }) {
    return document.documentElement.dataset.projector === "on" ? large : usual;
  }

  /** @param {Block} block */
  #built(block) {
    const { name, kind, title, x, y, rows, columns, areRowsNamed, areColumnsNamed } = block;
    /** @type {SVGTextElement[][]} */
    const texts = [];
    /** @type {SVGGElement[][]} */
    const cells = [];
    for (let i = 0; i < rows; i++) {
      texts.push([]);
      cells.push([]);
      for (let j = 0; j < columns; j++) {
        const [left, top] = [x + j * CELL.width, y + i * CELL.height];
        const text = s("text", { x: left + CELL.width / 2, y: top + CELL.height / 2, dy: "0.35em", "text-anchor": "middle" });
        const cell = s(
          "g.cell",
          { "data-block": name, "data-i": i, "data-j": j },
          s("rect", { x: left, y: top, width: CELL.width, height: CELL.height }),
          text,
        );
        cell.style.setProperty("--order", String(i * columns + j));
        if (name === "X") {
          cell.classList.add("editable");
          set(cell, {
            role: "spinbutton",
            tabindex: i || j ? -1 : 0,
            "aria-label": `${this.#words[i]}, ${this.#features[j]}`,
            "aria-valuemin": -MOST,
            "aria-valuemax": MOST,
          });
        }
        texts[i].push(text);
        cells[i].push(cell);
      }
    }
    this.#texts.set(name, texts);
    this.#cells.set(name, cells);
    const named = areRowsNamed
      ? Array.from({ length: rows }, (_, i) =>
          s("text.row-name", { x: x - 12, y: y + (i + 0.5) * CELL.height, dy: "0.35em", "text-anchor": "end" }, this.#words[i]),
        )
      : [];
    const heads = areColumnsNamed
      ? (columns === 4 ? this.#features : this.#words).map((word, j) =>
          s("text.column-name", { x: x + (j + 0.5) * CELL.width, y: y - 10, "text-anchor": "middle" }, word),
        )
      : [];
    const group = s(
      `g.block.${kind}`,
      {},
      s("text.title", { x: x + (columns * CELL.width) / 2, y: y - (areColumnsNamed ? 38 : 12), "text-anchor": "middle" }, ...written(title)),
      ...named,
      ...heads,
      s("g.cells", {}, ...cells.flat()),
      s("rect.outline", { x, y, width: columns * CELL.width, height: rows * CELL.height, rx: 4 }),
      s("text.name", { x: x + (columns * CELL.width) / 2, y: y + (rows * CELL.height) / 2, dy: "0.35em", "text-anchor": "middle" }, ...written(nameOf(block))),
    );
    this.#groups.set(name, group);
    return group;
  }

  /**
   * A line from one block to another, which goes level and upright and passes no third one.
   * @param {string} from
   * @param {string} to
   */
  #way(from, to) {
    const [a, b, query, V] = [from, to, `query${to.at(-1)}`, "V"].map((name) => sides(/** @type {Block} */ (this.#blocks.get(name) ?? this.#blocks.get(from))));
    if (from === "X" && this.#isNarrow) return `M${a.centre} ${a.bottom}v${CELL.height + TITLE / 2}H${b.centre}V${b.bottom}`;
    if (from === "X") return `M${a.right} ${a.middle}H${b.left}`;
    if (to === "joined") {
      const second = Number(from.at(-1));
      const beside = this.#isNarrow ? b.left - 2 * LANE + second * LANE : second ? a.centre : a.left - GAP / 2;
      const lane = this.#isNarrow ? b.top - LANE - second * LANE : b.top - TITLE - 4 * CELL.height - 2 * LANE + second * LANE;
      return `M${a.centre} ${a.bottom}v${LANE / 2}H${beside}V${lane}H${b.left + ((b.right - b.left) * (1 + 2 * second)) / 4}V${b.top}`;
    }
    const at = ["Q", "K", "V"].indexOf(from);
    if (!this.#isNarrow)
      return `M${a.centre} ${a.bottom}v${(3 - at) * LANE}H${query.left - (3 - at) * LANE}V${from === "V" ? b.top + LANE / 2 : b.middle}H${b.left}`;
    const lane = from === "Q" ? b.top - TITLE - 2 * CELL.height - 2 * LANE : b.top - LANE;
    return `M${a.left} ${a.middle}H${a.left - (at + 1) * LANE}V${V.bottom + (at + 1) * LANE}H${a.left + (at + 1) * LANE}V${lane}H${b.centre}V${b.top}`;
  }

  /** Light what a number is made of, and tell its sum. @param {?EventTarget} target */
  #point(target) {
    const cell = target instanceof Element ? target.closest(".cell") : null;
    for (const lit of this.element.querySelectorAll(".lit, .here")) lit.classList.remove("lit", "here");
    if (!cell || cell.closest(".pending")) {
      this.#told("");
      return;
    }
    const name = cell.getAttribute("data-block") ?? "";
    const [i, j] = [Number(cell.getAttribute("data-i")), Number(cell.getAttribute("data-j"))];
    cell.classList.add("here");
    for (const [block, within] of sources(name, i, j, this.#words.length)) {
      for (const [a, row] of (this.#cells.get(block) ?? []).entries()) for (const [b, one] of row.entries()) one.classList.toggle("lit", within(a, b));
    }
    this.#told(this.#sum(name, i, j));
  }

  /**
   * The terms of a number.
   * @param {string} name
   * @param {number} i
   * @param {number} j
   */
  #sum(name, i, j) {
    const block = /** @type {Block} */ (this.#blocks.get(name));
    const of = (/** @type {string} */ one) => /** @type {Matrix} */ (this.#blocks.get(one)?.matrix);
    const number = block.matrix?.[i]?.[j];
    if (number === undefined || this.#hides(name, i)) return "";
    const result = ` = ${fixed(number, 2)}`;
    const head = name.at(-1);
    const operands = OPERANDS[name.replace(/\d$/, "#")];
    if (operands) {
      const [left, top] = operands.map((one) => of(one.replace("#", head ?? "")));
      return left[i].map((factor, k) => `${fixed(factor, 2)} · ${bracketed(top[k][j])}`).join(" + ") + result;
    }
    if (name.startsWith("scaled")) return `${fixed(of(`dot${head}`)[i][j], 2)} / √${of(`key${head}`).length}${result}`;
    if (name.startsWith("masked")) return `${fixed(of(`scaled${head}`)[i][j], 2)} ${number === -Infinity ? "− ∞" : "+ 0"}${result}`;
    if (name.startsWith("weights")) {
      const logits = of(`masked${head}`)[i].map((logit) => (logit === -Infinity ? "0" : `exp(${fixed(logit, 2)})`));
      return `${logits[j]} / (${logits.join(" + ")})${result}`;
    }
    if (name === "sum") return `${fixed(of("added")[i][j], 2)} + ${bracketed(of("output")[i][j])}${result}`;
    if (name === "normed") {
      const row = of("sum")[i];
      const mean = row.reduce((sum, one) => sum + one, 0) / row.length;
      const deviation = Math.sqrt(row.reduce((sum, one) => sum + (one - mean) ** 2, 0) / row.length);
      return `(${fixed(row[j], 2)} − ${bracketed(mean)}) / ${fixed(deviation, 2)}${result}`;
    }
    return block.areRowsNamed ? `${this.#words[i]}: ${fixed(number, 2)}` : fixed(number, 2);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const target = /** @type {Element} */ (event.target);
    const isUp = { ArrowUp: 1, PageUp: 5, ArrowDown: -1, PageDown: -5 }[event.key];
    const cell = target.closest(".cell");
    if (!cell) return;
    const name = cell.getAttribute("data-block") ?? "";
    const [i, j] = [Number(cell.getAttribute("data-i")), Number(cell.getAttribute("data-j"))];
    const cells = /** @type {SVGGElement[][]} */ (this.#cells.get(name));
    if (name === "X" && isUp !== undefined) {
      event.preventDefault();
      event.stopPropagation();
      this.#edit(i, j, (this.#blocks.get("X")?.matrix?.[i][j] ?? 0) + isUp * STEP);
      this.#point(cell);
      return;
    }
    const flat = cells.flat();
    const at = flat.indexOf(/** @type {SVGGElement} */ (cell));
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + cells[0].length, ArrowUp: at - cells[0].length, Home: 0, End: flat.length - 1 }[
      event.key
    ];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const next = flat[to];
    if (!next) return;
    for (const one of flat) set(one, { tabindex: one === next ? 0 : -1 });
    next.focus();
  }

  /** @param {PointerEvent} event */
  #grab(event) {
    const handle = /** @type {?SVGGElement} */ (/** @type {Element} */ (event.target).closest(".editable"));
    if (!handle || handle.closest(".pending")) return;
    event.preventDefault();
    handle.focus();
    handle.setPointerCapture(event.pointerId);
    handle.classList.add("held");
    const [i, j] = [Number(handle.getAttribute("data-i")), Number(handle.getAttribute("data-j"))];
    const from = this.#blocks.get("X")?.matrix?.[i][j] ?? 0;
    const moved = (/** @type {PointerEvent} */ now) => {
      this.#edit(i, j, from + (event.clientY - now.clientY) * PER_PIXEL);
      this.#point(handle);
    };
    const ended = () => {
      handle.classList.remove("held");
      handle.removeEventListener("pointermove", moved);
    };
    handle.addEventListener("pointermove", moved);
    handle.addEventListener("pointerup", ended, { once: true });
    handle.addEventListener("pointercancel", ended, { once: true });
  }

  /**
   * @param {number} row
   * @param {number} column
   * @param {number} number
   */
  #edit(row, column, number) {
    const rounded = Math.round(Math.max(-MOST, Math.min(MOST, number)) / STEP) * STEP;
    this.#change({ row, column, number: Number(rounded.toFixed(1)) });
  }
}

/** The two operands of a product: the left one and the one above. `#` is the head. @type {Record<string, [string, string]>} */
const OPERANDS = {
  Q: ["X", "W_Q"],
  K: ["X", "W_K"],
  V: ["X", "W_V"],
  "dot#": ["query#", "key#"],
  "blended#": ["weights#", "value#"],
  output: ["joined", "W_O"],
};

/**
 * The blocks of the sheet, with their places.
 *
 * @param {import("../../../../service/softkv_service/web/shared/words.js").Say} say
 * @param {Parameters} parameters
 * @param {boolean} isNarrow whether Q, K and V stand below each other, each beside its matrix
 * @returns {Block[]}
 */
function placed(say, { heads, X, W_Q }, isNarrow) {
  const [n, d] = [X.length, W_Q.length];
  const ofHead = W_Q[0].length / heads;
  /** @type {Block[]} */
  const blocks = [];
  const at = (/** @type {string} */ step) => STEPS.indexOf(step);
  const put = (/** @type {Block} */ block) => {
    blocks.push(block);
    return block.x + block.columns * CELL.width;
  };

  const first = BAND + d * CELL.height + TITLE;
  let x = put({ name: "X", title: "X", kind: "given", step: -1, x: LABELS, y: first, rows: n, columns: d, areRowsNamed: true, areColumnsNamed: true }) + GAP;
  for (const [name, kind] of /** @type {const} */ ([
    ["Q", "query"],
    ["K", "key"],
    ["V", "value"],
  ])) {
    const matrix = /** @type {const} */ ({ name: `W_${name}`, title: `W_${name}`, kind: "given", step: at("project") - 1, rows: d, columns: d });
    if (isNarrow) {
      const y = first + (d * CELL.height + TITLE) * ["Q", "K", "V"].indexOf(name);
      const right = put({ ...matrix, x, y }) + GAP + LABELS;
      put({ name, title: name, kind, step: at("project"), x: right, y, rows: n, columns: d, areRowsNamed: true });
    } else {
      put({ ...matrix, x, y: BAND });
      x = put({ name, title: name, kind, step: at("project"), x, y: first, rows: n, columns: d }) + GAP;
    }
  }

  const second = isNarrow ? LABELS : x + LABELS;
  const above = isNarrow ? first + 3 * (d * CELL.height + TITLE) : 0;
  const pitch = 2 * n * CELL.height + TITLE + BAND;
  const lines = isNarrow ? 2 : 1;
  for (let h = 0; h < heads; h++) {
    let y = above + lines * h * pitch + n * CELL.height + 2 * TITLE;
    const head = say("head", { head: h + 1 });
    x = put({ name: `query${h}`, title: `Q, ${head}`, kind: "query", step: at("project"), x: second, y, rows: n, columns: ofHead, areRowsNamed: true }) + GAP;
    put({
      name: `key${h}`,
      title: "Kᵀ",
      kind: "key",
      step: at("project"),
      x,
      y: y - TITLE - ofHead * CELL.height,
      rows: ofHead,
      columns: n,
      areColumnsNamed: true,
    });
    x = put({ name: `dot${h}`, title: "Q Kᵀ", kind: "score", step: at("dot"), x, y, rows: n, columns: n }) + WIDE_GAP;
    x = put({ name: `scaled${h}`, title: "/ √d_k", kind: "score", step: at("scale"), x, y, rows: n, columns: n, areRowsNamed: true }) + WIDE_GAP;
    if (isNarrow) [x, y] = [second, y + pitch];
    x = put({ name: `masked${h}`, title: "+ M", kind: "score", step: at("mask"), x, y, rows: n, columns: n, areRowsNamed: true }) + WIDE_GAP;
    x =
      put({
        name: `weights${h}`,
        title: "softmax",
        kind: "weight",
        step: at("softmax"),
        x,
        y,
        rows: n,
        columns: n,
        areRowsNamed: true,
        areColumnsNamed: true,
      }) + GAP;
    put({ name: `value${h}`, title: "V", kind: "value", step: at("project"), x, y: y - TITLE - n * CELL.height, rows: n, columns: ofHead });
    put({ name: `blended${h}`, title: head, kind: "value", step: at("blend"), x, y, rows: n, columns: ofHead });
  }

  let third = above + lines * heads * pitch + d * CELL.height + 2 * TITLE;
  x = put({ name: "joined", title: "concat", kind: "value", step: at("heads"), x: LABELS, y: third, rows: n, columns: d, areRowsNamed: true });
  x += isNarrow ? WIDE_GAP : GAP; // from far, their names are wider than they
  put({ name: "W_O", title: "W_O", kind: "given", step: at("heads") - 1, x, y: third - TITLE - d * CELL.height, rows: d, columns: d });
  x = put({ name: "output", title: say("output"), kind: "value", step: at("heads"), x, y: third, rows: n, columns: d }) + WIDE_GAP;
  if (isNarrow) [x, third] = [LABELS, third + n * CELL.height + 2 * TITLE];
  x = put({ name: "added", title: "X", kind: "given", step: at("norm"), x, y: third, rows: n, columns: d, areRowsNamed: true }) + GAP;
  x = put({ name: "sum", title: say("sum"), kind: "score", step: at("norm"), x, y: third, rows: n, columns: d }) + GAP;
  put({ name: "normed", title: "norm", kind: "score", step: at("norm"), x, y: third, rows: n, columns: d });
  return blocks;
}

/**
 * The matrix of a block.
 * @param {string} name
 * @param {Parameters} parameters
 * @param {Layer} layer
 * @returns {Matrix}
 */
function matrixOf(name, parameters, layer) {
  if (name === "added") return parameters.X;
  if (name in parameters) return /** @type {Record<string, Matrix>} */ (/** @type {unknown} */ (parameters))[name];
  const [, plain, head] = /** @type {RegExpExecArray} */ (/^(\w+?)(\d?)$/.exec(name));
  const found = /** @type {Record<string, Matrix | Matrix[]>} */ (/** @type {unknown} */ (layer))[plain];
  return /** @type {Matrix} */ (head ? found[Number(head)] : found);
}

/**
 * The numbers that a number is made of: for each block which of its cells.
 *
 * @param {string} name
 * @param {number} i
 * @param {number} j
 * @param {number} n how many words
 * @returns {[string, (a: number, b: number) => boolean][]}
 */
function sources(name, i, j, n) {
  const head = name.at(-1) ?? "";
  const operands = OPERANDS[name.replace(/\d$/, "#")];
  const row = (/** @type {number} */ a) => a === i;
  const same = (/** @type {number} */ a, /** @type {number} */ b) => a === i && b === j;
  if (operands)
    return [
      [operands[0].replace("#", head), row],
      [operands[1].replace("#", head), (_, b) => b === j],
    ];
  if (name.startsWith("scaled")) return [[`dot${head}`, same]];
  if (name.startsWith("masked")) return [[`scaled${head}`, same]];
  if (name.startsWith("weights")) return [[`masked${head}`, row]];
  if (name === "sum")
    return [
      ["added", same],
      ["output", same],
    ];
  if (name === "normed") return [["sum", row]];
  if (name.startsWith("query")) return [["Q", (a, b) => a === i && b === Number(head) * 2 + j]];
  if (name.startsWith("key")) return [["K", (a, b) => a === j && b === Number(head) * 2 + i]];
  if (name.startsWith("value")) return [["V", (a, b) => a === i && b === Number(head) * 2 + j]];
  return n && name === "joined" ? [[`blended${Math.floor(j / 2)}`, (a, b) => a === i && b === j % 2]] : [];
}

/** The sides of a block, and the middles of them. @param {Block} block */
function sides({ x, y, rows, columns }) {
  const [right, bottom] = [x + columns * CELL.width, y + rows * CELL.height];
  return { left: x, right, top: y, bottom, centre: (x + right) / 2, middle: (y + bottom) / 2 };
}

/**
 * A block with its title and the names of its rows.
 * @param {Block} block
 * @returns {Box}
 */
function outline({ x, y, rows, columns, areRowsNamed, areColumnsNamed }) {
  const [left, top] = [areRowsNamed ? LABELS : MARGIN, areColumnsNamed ? 64 : TITLE];
  return { x: x - left, y: y - top, width: columns * CELL.width + left + MARGIN, height: rows * CELL.height + top + MARGIN };
}

/**
 * @param {Box[]} boxes
 * @returns {Box}
 */
function around(boxes) {
  const [x, y] = [Math.min(...boxes.map((box) => box.x)), Math.min(...boxes.map((box) => box.y))];
  return { x, y, width: Math.max(...boxes.map((box) => box.x + box.width)) - x, height: Math.max(...boxes.map((box) => box.y + box.height)) - y };
}

/**
 * A box on the way from one to another: its size changes by equal factors in equal times.
 * @param {Box} a
 * @param {Box} b
 * @param {number} share
 * @returns {Box}
 */
function between(a, b, share) {
  const width = a.width * (b.width / a.width) ** share;
  const height = a.height * (b.height / a.height) ** share;
  const moved = Math.abs(b.width - a.width) < 1 ? share : (width - a.width) / (b.width - a.width);
  const middle = (/** @type {"x" | "y"} */ axis, /** @type {"width" | "height"} */ side) =>
    a[axis] + a[side] / 2 + (b[axis] + b[side] / 2 - a[axis] - a[side] / 2) * moved;
  return { x: middle("x", "width") - width / 2, y: middle("y", "height") - height / 2, width, height };
}

/** The name of a block that is seen from far. @param {Block} block */
function nameOf({ title }) {
  return title.replace(/, .*/, "");
}

/**
 * A title with its subscripts.
 * @param {string} title
 * @returns {(SVGTSpanElement | string)[]}
 */
function written(title) {
  return title.split(/_(\w)/).map((part, i) => (i % 2 ? s("tspan", { dy: "0.25em", "font-size": "0.9em" }, part) : part));
}

/** A number, in brackets if it is negative. @param {number} number */
function bracketed(number) {
  const text = fixed(number, 2);
  return text.startsWith("−") ? `(${text})` : text;
}

/** @param {number} number */
function round(number) {
  return Math.round(number * 100) / 100;
}
