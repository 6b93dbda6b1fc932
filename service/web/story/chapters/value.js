/** 2 Key is not value: keys are compared, values come out, so values that change places change nothing but the output. */

import { fill, h } from "../../shared/element.js";
import { weigh } from "../../shared/formula.js";
import { eased, isReduced, Timeline } from "../motion.js";
import { asking, hood, prediction, screen } from "../parts.js";
import data from "../rows.json";
import { numbers } from "../table.js";
import { Threads } from "../threads.js";
import words from "./value.json";

const { queries, rows: ROWS } = data.videos;
const KEYS = ROWS.map(({ key }) => key);
const BEGINNING = 0.05;
/** The order of the pictures; in the address as digits. */
const HOME = ROWS.map((_, i) => i).join("");
const SECONDS = 0.7;
/** So many pixels make a drag of a click. */
const SLACK = 4;

/** @typedef {{x: number, y: number, width: number, height: number}} Box */

/** @type {import("../story.js").Chapter} */
export const value = {
  id: "key-is-not-value",
  words,
  defaults: { t: BEGINNING, q: queries[0], v: HOME, g: "" },

  mount(host, context) {
    const { say, answers } = context;
    let { similarities } = /** @type {import("../answers.js").Answer} */ (answers.recorded(queries[0], KEYS));
    let asked = queries[0];
    let order = orderOf(context.state.v);
    /** @type {?import("../threads.js").Moved} */
    let moved = null;
    let swapping = new Timeline([]);
    /** @type {import("../threads.js").Moved["held"]} */
    let dropped = null;

    const threads = new Threads(say, (t) => context.set({ t }));
    const ask = asking(say, (q) => context.set({ q }));
    const handles = new Handles(say, {
      held: (row, x, y) => {
        swapping.stop();
        moved = { from: Array.from(ROWS.keys()), share: 0, held: { row, x, y } };
        frame();
      },
      put(row, over, x, y) {
        if (row === over) return settle();
        const [from, to] = [threads.valueBoxes[row], threads.valueBoxes[over]];
        dropped = x || y ? { row: over, x, y: from.y + y - to.y } : null;
        guess.element.hidden = true;
        swap(row, over);
        told.textContent = say("told", { first: KEYS[row], second: KEYS[over] });
      },
    });
    const told = h("p.told", { role: "status" });
    const table = numbers(say);
    const guess = prediction(context, {
      question: say("predict"),
      choices: [
        { label: say("predict.weights"), isRight: false },
        { label: say("predict.output"), isRight: true },
        { label: say("predict.both"), isRight: false },
      ],
      why: () => say("predict.why"),
      reveal: () => {
        const [first, second] = heaviest();
        swap(first, second, { t: Math.min(context.state.t, BEGINNING) }); // warmer rows weigh alike, and the output hardly changes
      },
    });
    const picture = h("div.asked-picture", {}, threads.element, ask.element, handles.element);
    host.append(
      screen({
        title: say("title"),
        sentence: say("sentence"),
        picture,
        below: [guess.element, told],
        hood: hood(
          say,
          h("p", {}, say("hood.formula")),
          h("p.formula", {}, "o = Σᵢ wᵢ vᵢ,  w = softmax(q · kᵢ / T)"),
          table.element,
          h("p", {}, say("hood.model")),
        ),
      }),
    );

    function weights() {
      return weigh(similarities, { temperature: context.state.t }).weights;
    }

    function heaviest() {
      return Array.from(ROWS.keys()).sort((a, b) => similarities[b] - similarities[a]); // at every temperature, also where weights tie
    }

    function frame() {
      threads.draw({ temperature: context.state.t, weights: weights(), similarities, moved });
    }

    /** The rows with their pictures as they are now. */
    function take() {
      threads.take({
        query: asked,
        named: true,
        rows: ROWS.map(({ key }, i) => ({ key, value: say(`picture.${ROWS[order[i]].picture}`), picture: ROWS[order[i]].picture })),
      });
      ask.place(threads.queryBox, asked);
      handles.place(threads.valueBoxes, (row) => say("handle", { picture: say(`picture.${ROWS[order[row]].picture}`), key: KEYS[row] }));
    }

    function show() {
      frame();
      table.show(
        ROWS.map(({ key }) => ({ key, value: "" })),
        similarities,
        weights(),
        context.state.t,
      );
    }

    function settle() {
      moved = null;
      frame();
    }

    /** The values of two rows change places. @param {number} a @param {number} b @param {Partial<typeof context.state>} [more] of the state */
    function swap(a, b, more = {}) {
      const next = [...order];
      [next[a], next[b]] = [next[b], next[a]];
      context.set({ v: next.join(""), ...more });
    }

    /** Move values from their old places to their new ones. @param {number[]} before */
    function travel(before) {
      const from = order.map((picture) => before.indexOf(picture));
      const held = dropped;
      dropped = null;
      swapping.stop();
      moved = null;
      take();
      if (isReduced()) return;
      swapping = new Timeline([
        {
          seconds: SECONDS,
          draw: (share) => {
            const way = eased(share);
            moved = share < 1 ? { from, share: way, held: held && { row: held.row, x: held.x * (1 - way), y: held.y * (1 - way) } } : null;
            frame();
          },
        },
      ]);
      swapping.play();
    }

    /** Ask, then show; a question that meanwhile gave way to another one is not shown. */
    async function answer() {
      const { q } = context.state;
      const found = await context.patiently(answers.ask(q, KEYS));
      if (!found || q !== context.state.q) return;
      ({ similarities } = found);
      asked = q;
      take();
      show();
    }

    context.sized(picture, (width, height) => {
      threads.layout(width, height);
      take();
      show();
    });
    if (context.state.q !== queries[0]) answer();

    return {
      picture: threads.element,
      update(state, changed) {
        if (changed.has("g")) {
          guess.show();
          guess.element.hidden = false;
        }
        told.textContent = "";
        if (changed.has("v")) {
          const before = order;
          order = orderOf(state.v);
          travel(before);
        }
        if (changed.has("q")) answer();
        else show();
      },
      film(share) {
        const [first, second] = heaviest();
        const from = Array.from(ROWS.keys(), (i) => (i === first ? second : i === second ? first : i));
        if (share === 1) return settle();
        const part = share * 4;
        const way = part < 1 ? 0 : part < 2 ? eased(part - 1) : part < 3 ? 1 : 1 - eased(part - 3);
        moved = { from, share: 1 - way };
        frame();
      },
      leave() {
        swapping.stop();
        settle();
      },
    };
  },
};

/** @param {string} text digits, each row once; anything else is the beginning @returns {number[]} */
function orderOf(text) {
  return Array.from([...text].sort().join("") === HOME ? text : HOME, Number);
}

/**
 * Buttons that drag values, one over each. A value is dragged on to another row; or picked up by a click or a key, and put
 * down at another row by a second one. Arrows go from row to row, and take a picked-up value along.
 */
class Handles {
  #on;
  /** @type {HTMLButtonElement[]} */
  #buttons = [];
  /** @type {Box[]} */
  #boxes = [];
  #picked = -1;
  #over = -1;
  #way = { x: 0, y: 0 };
  /** @type {?{row: number, x: number, y: number, isDrag: boolean}} */
  #drag = null;

  /**
   * @param {import("../../shared/words.js").Say} say
   * @param {{held: (row: number, x: number, y: number) => void, put: (row: number, over: number, x: number, y: number) => void}} on told how far, in pixels, a value was dragged; 0 without a drag
   */
  constructor(say, on) {
    this.#on = on;
    this.element = h("div.handles", { role: "group", "aria-label": say("handles") });
  }

  /** @param {Box[]} boxes @param {(row: number) => string} name */
  place(boxes, name) {
    this.#boxes = boxes;
    if (this.#buttons.length !== boxes.length) {
      this.#buttons = boxes.map((_, row) => this.#handle(row));
      fill(this.element, this.#buttons);
    }
    for (const [row, button] of this.#buttons.entries()) {
      const { x, y, width, height } = boxes[row];
      for (const [property, number] of Object.entries({ left: x, top: y, width, height })) button.style.setProperty(property, `${number}px`);
      button.setAttribute("aria-label", name(row));
    }
  }

  /** @param {number} row */
  #handle(row) {
    const button = /** @type {HTMLButtonElement} */ (h("button", { type: "button", tabIndex: row ? -1 : 0, "aria-pressed": "false" }));
    button.addEventListener("pointerdown", (event) => {
      button.setPointerCapture(event.pointerId);
      this.#drag = { row, x: event.clientX, y: event.clientY, isDrag: false };
    });
    button.addEventListener("pointermove", (event) => this.#dragged(event));
    button.addEventListener("pointerup", () => this.#dropped());
    button.addEventListener("pointercancel", () => this.#cancelled());
    button.addEventListener("click", () => this.#clicked(row));
    button.addEventListener("keydown", (event) => this.#key(row, event));
    return button;
  }

  /** @param {PointerEvent} event */
  #dragged(event) {
    if (!this.#drag) return;
    const { row } = this.#drag;
    const [x, y] = [event.clientX - this.#drag.x, event.clientY - this.#drag.y];
    if (!this.#drag.isDrag && Math.hypot(x, y) < SLACK) return;
    this.#drag.isDrag = true;
    this.#pick(-1);
    const middle = this.#boxes[row].y + this.#boxes[row].height / 2 + y;
    const apart = this.#boxes.map((box) => Math.abs(box.y + box.height / 2 - middle));
    this.#hover(apart.indexOf(Math.min(...apart)));
    this.#way = { x, y };
    this.#on.held(row, x, y);
  }

  #dropped() {
    if (!this.#drag?.isDrag) return;
    const { row } = this.#drag;
    const over = this.#over;
    this.#hover(-1);
    this.#on.put(row, over, this.#way.x, this.#way.y);
  }

  #cancelled() {
    if (this.#drag) this.#on.put(this.#drag.row, this.#drag.row, 0, 0);
    this.#drag = null;
    this.#hover(-1);
  }

  /** A drag ends with a click event, which does not count. @param {number} row */
  #clicked(row) {
    const wasDrag = this.#drag?.isDrag ?? false;
    this.#drag = null;
    if (wasDrag) return;
    if (this.#picked < 0) this.#pick(row);
    else {
      const picked = this.#picked;
      this.#pick(-1);
      if (picked !== row) this.#on.put(picked, row, 0, 0);
    }
  }

  /** @param {number} row @param {KeyboardEvent} event */
  #key(row, event) {
    if (event.key === "Escape") this.#pick(-1);
    const to = { ArrowUp: row - 1, ArrowDown: row + 1, Home: 0, End: this.#buttons.length - 1 }[event.key];
    if (to === undefined || !this.#buttons[to]) return;
    event.preventDefault();
    event.stopPropagation();
    for (const [i, button] of this.#buttons.entries()) button.tabIndex = i === to ? 0 : -1;
    this.#buttons[to].focus();
    if (this.#picked !== row || to === row) return;
    this.#on.put(row, to, 0, 0);
    this.#pick(to);
  }

  /** @param {number} row */
  #pick(row) {
    this.#picked = row;
    for (const [i, button] of this.#buttons.entries()) button.setAttribute("aria-pressed", String(i === row));
    this.element.classList.toggle("picking", row >= 0);
  }

  /** @param {number} row */
  #hover(row) {
    this.#over = row;
    for (const [i, button] of this.#buttons.entries()) button.classList.toggle("over", i === row);
  }
}
