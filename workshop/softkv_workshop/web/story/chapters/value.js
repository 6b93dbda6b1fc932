/** 2 Key is not value: keys are compared, values come out, so values that change places change nothing but the output. */

import { h } from "../../../../../service/softkv_service/web/shared/element.js";
import { weigh } from "../../../../../service/softkv_service/web/shared/formula.js";
import { eased, isReduced, Timeline } from "../../../../../service/softkv_service/web/shared/motion.js";
import { hood, prediction, screen } from "../parts.js";
import { afterwards, editing } from "../rows.js";
import data from "../rows.json";
import { factorSince, whatMoved, withFactor } from "../sentences.js";
import { numbers } from "../table.js";
import { Threads } from "../../../../../service/softkv_service/web/shared/threads.js";
import { asking } from "../../../../../service/softkv_service/web/shared/parts.js";
import words from "./value.json";

const { queries, rows: ROWS } = data.videos;
const KEYS = ROWS.map(({ key }) => key);
const BEGINNING = 0.05;
/** The order of the pictures; in the address as digits. */
const HOME = ROWS.map((_, i) => i).join("");
const SECONDS = 0.7;
/** The page's own rows; a value is the name of a picture. */
const OWN = ROWS.map(({ key, picture }) => ({ key, value: picture }));

/** @type {import("../story.js").Chapter} */
export const value = {
  id: "key-is-not-value",
  words,
  defaults: { t: BEGINNING, q: queries[0], v: HOME, rows: "", g: "" },

  mount(host, context) {
    const { say, answers } = context;
    let { similarities } = /** @type {import("../answers.js").Answer} */ (answers.recorded(queries[0], KEYS));
    let asked = queries[0];
    let rows = OWN;
    let keys = KEYS;
    /** Whether the address has rows that cannot be read. */
    let isBad = false;
    /** The rows before the last edit, for the same question. @type {?{keys: string[], similarities: Float64Array}} */
    let earlier = null;
    let order = orderOf(context.state.v);
    /** @type {?import("../editing.js").Editor} */
    let editor = null;
    /** @type {?import("../handles.js").Handles} */
    let handles = null;
    /** @type {?import("../../../../../service/softkv_service/web/shared/threads.js").Moved} */
    let moved = null;
    let swapping = new Timeline([]);
    /** @type {import("../../../../../service/softkv_service/web/shared/threads.js").Moved["held"]} */
    let dropped = null;

    const threads = new Threads(say, (t) => context.set({ t }));
    const ask = asking(say, (q) => context.set({ q }));
    /** The effects of a handle. @type {ConstructorParameters<typeof import("../handles.js").Handles>[1]} */
    const on = {
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
        told.textContent = say("told", { first: keys[row], second: keys[over] });
      },
      edit: (row) => editor?.open("value", row),
    };
    const told = h("p.told", { role: "status" });
    const again = h("button", { type: "button", hidden: true, onclick: () => context.set({ rows: "", v: HOME, q: queries[0], t: BEGINNING }) }, say("restart"));
    const table = numbers(say, threads);
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
    const picture = h("div.asked-picture", {}, threads.element, ask.element, table.card);
    host.append(
      screen({
        title: say("title"),
        sentence: say("sentence"),
        picture,
        below: [guess.element, h("div.choices", {}, again), told],
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
      threads.draw({ temperature: context.state.t, weights: weights(), similarities, moved, factor: factor() });
    }

    function factor() {
      return factorSince(earlier, { keys, weights: weights(), temperature: context.state.t });
    }

    /** The rows with their pictures as they are now. */
    function take() {
      threads.take({
        query: asked,
        named: true,
        rows: keys.map((key, i) => ({ key, ...shownAt(i) })),
      });
      place();
    }

    /** The value of a row: one of the pictures, or a text. @param {number} row */
    function shownAt(row) {
      const { value } = rows[order[row]];
      return isPicture(value) ? { value: say(`picture.${value}`), picture: value } : { value };
    }

    /** Put the fields over the picture. */
    function place() {
      ask.place(threads.queryBox, asked);
      handles?.place(threads.valueBoxes, (row) => say("handle", { picture: shownAt(row).value, key: keys[row] }));
      editor?.place();
    }

    /** The rows as they are shown now, each with its value. */
    function shownRows() {
      return keys.map((key, i) => ({ key, value: shownAt(i).value }));
    }

    /**
     * Take rows as they were edited: the values go back to the rows that they had before they moved.
     * @param {import("../editing.js").Row[]} edited
     * @param {typeof import("../editing.js").write} write
     */
    function edit(edited, write) {
      const before = shownRows();
      const next = edited.map(({ key }, i) => ({ key, value: rows[i].value }));
      for (const [i, { value }] of edited.entries()) if (value !== before[i].value) next[order[i]].value = named(value, say);
      guess.element.hidden = true;
      context.set({ rows: write(next, OWN) });
    }

    function show() {
      frame();
      table.show(rows, similarities, weights(), context.state.t);
    }

    function settle() {
      moved = null;
      frame();
    }

    /**
     * The values of two rows change places.
     * @param {number} a
     * @param {number} b
     * @param {Partial<typeof context.state>} [more] of the state
     */
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

    /** Ask, then show; a question or rows that meanwhile gave way to others are not shown. */
    async function answer() {
      const { q, rows: text } = context.state;
      const read = text ? (await editing()).read(text, OWN, true) : OWN;
      if (text !== context.state.rows) return;
      if (!read) {
        isBad = true;
        return context.set({ rows: "" });
      }
      const readKeys = read.map(({ key }) => key);
      const isSame = q === asked && readKeys.every((key, i) => key === keys[i]);
      // Values weigh nothing: another one needs no answer.
      const found = isSame ? { similarities } : await context.patiently(answers.ask(q, readKeys));
      if (!found || q !== context.state.q || text !== context.state.rows) return;
      const before = { weights: weights(), values: shownRows().map(({ value }) => value) };
      const isEdited = q === asked && read !== OWN;
      earlier = isSame ? earlier : q === asked ? { keys, similarities } : null;
      ({ similarities } = found);
      [asked, rows, keys] = [q, read, readKeys];
      again.hidden = read === OWN;
      take();
      show();
      const after = { weights: weights(), values: shownRows().map(({ value }) => value) };
      told.textContent = isBad ? say("rows.bad") : isEdited ? withFactor(say, whatMoved(say, { before, after }), isSame ? null : factor()) : "";
    }

    context.sized(picture, (width, height) => {
      threads.layout(width, height);
      take();
      show();
    });
    if (context.state.q !== queries[0] || context.state.rows) answer();
    afterwards(({ Editor, Handles, write }) => {
      editor = new Editor({ language: context.language, host: picture, threads, hasColours: false, rows: shownRows, change: (edited) => edit(edited, write) });
      handles = new Handles(say, on);
      picture.append(handles.element);
      place();
    });

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
        if (state.rows) isBad = false;
        if (changed.has("q") || changed.has("rows")) answer();
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

/** Whether a value is the name of a picture. @param {string} value */
function isPicture(value) {
  return OWN.some((row) => row.value === value);
}

/**
 * The name of the picture that a text names, as the page says it or shorter; else the text.
 * @param {string} text
 * @param {import("../../../../../service/softkv_service/web/shared/words.js").Say} say
 */
function named(text, say) {
  const lower = text.toLowerCase();
  return OWN.find(({ value }) => [value, say(`picture.${value}`)].includes(lower))?.value ?? text;
}

/**
 * @param {string} text digits, each row once; anything else is the beginning
 * @returns {number[]}
 */
function orderOf(text) {
  return Array.from([...text].sort().join("") === HOME ? text : HOME, Number);
}
