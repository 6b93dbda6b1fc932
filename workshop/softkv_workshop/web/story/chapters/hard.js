/** 1 Hard and soft: `=` finds nothing, attention lets each row answer, and the temperature is all that is between. */

import { h } from "../../../../../service/softkv_service/web/shared/element.js";
import { blend, weigh } from "../../../../../service/softkv_service/web/shared/formula.js";
import { colourOf, lightOf } from "../../../../../service/softkv_service/web/shared/colours.js";
import { eased, isReduced, Timeline } from "../../../../../service/softkv_service/web/shared/motion.js";
import { equalKeys, factorSince, hardAndSoft, withFactor } from "../sentences.js";
import { hood, prediction, screen, toPicture } from "../parts.js";
import { afterwards, editing } from "../rows.js";
import data from "../rows.json";
import { numbers } from "../table.js";
import { Threads } from "../../../../../service/softkv_service/web/shared/threads.js";
import { temperatureAt, positionOf, STEPS } from "../../../../../service/softkv_service/web/shared/scale.js";
import { asking, statusLine } from "../../../../../service/softkv_service/web/shared/parts.js";
import words from "./hard.json";

const { queries, rows: ROWS } = data.colours;
/** The question that the story asks, the one that the reader guesses about, and others to try. */
const [SEA, FIRE] = queries;
const OTHERS = ["a banana", "a campfire", "a lawn", "hot lava"];
/** A question that this encoder reads in another way than people do. */
const MISREAD = { query: "hot lava", key: "wet stone" };
const KEYS = ROWS.map(({ key }) => key);
const keysOf = (/** @type {{key: string}[]} */ rows) => rows.map(({ key }) => key);
const EMBERS = ROWS.findIndex(({ key }) => key === "glowing embers");
const BEGINNING = 0.05;
/** The three stills for readers with reduced motion. */
const STILLS = [0, BEGINNING, Infinity];

/** @type {import("../story.js").Chapter} */
export const hard = {
  id: "hard-and-soft",
  words,
  defaults: { t: BEGINNING, q: SEA, rows: "", g: "" },

  mount(host, context) {
    const { say, answers } = context;
    const isStill = isReduced();
    let { similarities } = /** @type {import("../answers.js").Answer} */ (answers.recorded(SEA, KEYS));
    let state = context.state;
    let asked = SEA;
    let rows = ROWS;
    /** Whether the address has rows that cannot be read. */
    let isBad = false;
    /** The rows before the last edit, for the same question. @type {?{keys: string[], similarities: Float64Array}} */
    let earlier = null;
    /** @type {?import("../editing.js").Editor} */
    let editor = null;
    let isBegun = false;
    const threads = new Threads(say, (t) => {
      stop();
      context.set({ t });
    });
    /** Another question; at T = ∞ each would be answered alike. @param {string} q */
    const put = (q) => {
      stop();
      context.set({ q, t: state.t === Infinity ? BEGINNING : state.t });
    };
    const ask = asking(say, put);
    const status = statusLine();
    const table = numbers(say, threads);
    const compared = h("p");
    const statement = h("pre.code", { tabIndex: 0 }, "");
    const again = h("button.again", { type: "button", "aria-label": say("again"), title: say("again"), onclick: () => replay() }, "↻");
    const mean = mixOf(ROWS.map(() => 1));
    const warmer = mixOf(ROWS.map((_, i) => (i === EMBERS ? ROWS.length : 1)));
    const guess = prediction(context, {
      question: say("predict"),
      choices: [
        { label: say("predict.embers"), colour: ROWS[EMBERS].value, isRight: false },
        { label: say("predict.warmer"), colour: warmer, isRight: false },
        { label: say("predict.mean"), colour: mean, isRight: true },
      ],
      why: () => (rows === ROWS ? say("predict.why") : ""),
      reveal: () => reveal(),
    });
    const restart = h("button.restart", { type: "button", onclick: () => context.set({ rows: "", q: SEA, t: BEGINNING }) }, say("restart"));
    const others = h(
      "div.choices",
      { hidden: true },
      ...OTHERS.map((q) => h("button", { type: "button", onclick: () => put(q) }, q)),
      restart,
      h("p.hint", {}, say("edit")),
    );
    const picture = h("div.asked-picture", {}, threads.element, ask.element, table.card);
    const element = screen({
      title: say("title"),
      sentence: say("sentence"),
      picture,
      below: [guess.element, others, isStill ? null : again, status.element],
      hood: hood(
        say,
        compared,
        statement,
        h("p", {}, say("hood.formula")),
        h("p.formula", {}, "wᵢ = exp(sᵢ / T) / Σⱼ exp(sⱼ / T)"),
        table.element,
        h("p", {}, toPicture("four", say("hood.four")), " · ", toPicture("regression", say("hood.regression"))),
      ),
    });
    host.append(element);

    const frame = (/** @type {number} */ temperature, more = {}) => {
      const { weights } = weigh(similarities, { temperature });
      threads.draw({ temperature, weights, similarities, ...more });
    };

    const opening = new Timeline(parts());
    let swinging = new Timeline([]);

    /** The opening, in its parts: `=` along the keys, the glow, the threads, the values, the knob. */
    function parts() {
      const from = positionOf(BEGINNING) / STEPS;
      const way = (/** @type {number} */ a, /** @type {number} */ b) => (/** @type {number} */ share) =>
        frame(temperatureAt(Math.round((a + (b - a) * eased(share)) * STEPS)));
      const bare = { grown: 0, poured: 0, glow: 0 };
      return [
        { seconds: 0.6, draw: () => frame(BEGINNING, { ...bare }) },
        { seconds: 2.4, draw: (/** @type {number} */ share) => frame(BEGINNING, { ...bare, scanned: share * rows.length }) },
        { seconds: 1.2, draw: () => frame(BEGINNING, { ...bare, scanned: rows.length }) },
        { seconds: 0.9, draw: (/** @type {number} */ share) => frame(BEGINNING, { ...bare, glow: eased(share) }) },
        { seconds: 1.3, draw: (/** @type {number} */ share) => frame(BEGINNING, { grown: eased(share), poured: 0 }) },
        { seconds: 1.2, draw: (/** @type {number} */ share) => frame(BEGINNING, { poured: eased(share) }) },
        { seconds: 1, draw: () => frame(BEGINNING) },
        { seconds: 1.2, draw: way(from, 0) },
        { seconds: 0.9 },
        { seconds: 2.4, draw: way(0, 1) },
        { seconds: 1.2 },
        { seconds: 1.8, draw: way(1, from) },
      ];
    }

    /** Play once, unless the reader has moved something before. */
    function begin() {
      if (!isBegun && state.t === BEGINNING && state.q === SEA && !state.rows) play();
      isBegun = true;
    }

    async function play() {
      swinging.stop();
      if (isStill) return;
      threads.beckon(false);
      element.classList.add("playing");
      const isWhole = await opening.play();
      element.classList.remove("playing");
      threads.beckon(isWhole);
      if (!isWhole) show();
    }

    /** Play again, which ends as it begins: with the temperature of the beginning. */
    function replay() {
      context.set({ t: BEGINNING });
      play();
    }

    /** Stop all motion at once. */
    function stop() {
      opening.stop();
      swinging.stop();
    }

    /** Turn the knob to ∞, then ask the other question: the output stays as it is. */
    function reveal() {
      stop();
      const from = positionOf(state.t);
      const seconds = isReduced() ? [0, 0] : [1.6, 0.8];
      let swung = state;
      const swing = (/** @type {Partial<typeof state>} */ patch) => {
        if (state !== swung) return; // a lesson went on meanwhile
        context.set(patch);
        swung = state;
      };
      swinging = new Timeline([
        {
          seconds: seconds[0],
          draw: (share) => swing({ t: share === 1 ? Infinity : temperatureAt(Math.round(from + (STEPS - from) * eased(share))) }),
        },
        { seconds: seconds[1], draw: (share) => share === 1 && swing({ q: FIRE }) },
      ]);
      swinging.play();
    }

    function show() {
      others.hidden = !guess.isTold() && rows === ROWS;
      restart.hidden = rows === ROWS;
      guess.element.hidden = rows !== ROWS; // it is about the page's own rows
      guess.show();
      const shown = weigh(similarities, { temperature: state.t });
      const factor = factorSince(earlier, { keys: keysOf(rows), weights: shown.weights, temperature: state.t });
      threads.draw({ temperature: state.t, weights: shown.weights, similarities, factor });
      table.show(rows, similarities, shown.weights, state.t);
      const isBeginning = state.t === BEGINNING && asked === SEA && rows === ROWS;
      const told = () => hardAndSoft(say, { misread: MISREAD, query: asked, keys: keysOf(rows), temperature: state.t, answer: shown });
      status.show(isBad ? say("rows.bad") : isBeginning ? say("told.beginning") : withFactor(say, told(), factor));
    }

    function write() {
      const count = equalKeys(asked, keysOf(rows));
      compared.textContent = say(count ? "hood.sql.equal" : "hood.sql");
      statement.textContent = `SELECT value FROM colours WHERE key = '${asked.replaceAll("'", "''")}'\n-- ${count === 1 ? "1 row" : `${count} rows`}`;
    }

    /** Ask, then show; a question or rows that meanwhile gave way to others are not shown. */
    async function answer() {
      const { q: query, rows: text } = state;
      const read = text ? (await editing()).read(text, ROWS) : ROWS;
      if (text !== state.rows) return;
      if (!read) {
        isBad = true;
        return context.set({ rows: "" });
      }
      const [before, keys] = [keysOf(rows), keysOf(read)];
      const isSame = query === asked && keys.length === before.length && keys.every((key, i) => key === before[i]);
      // Values weigh nothing: another one needs no answer.
      const found = isSame ? { similarities } : await context.patiently(answers.ask(query, keys));
      if (!found || query !== state.q || text !== state.rows) return;
      earlier = isSame ? earlier : query === asked ? { keys: before, similarities } : null;
      ({ similarities } = found);
      asked = query;
      rows = read;
      element.style.setProperty("--rows", rows.length > ROWS.length ? String(rows.length) : "");
      write();
      threads.take({ query: asked, rows, named: true });
      place();
      show();
    }

    /** Put the fields over the picture. */
    function place() {
      ask.place(threads.queryBox, asked);
      editor?.place();
    }

    write();
    threads.take({ query: state.q, rows, named: true });
    context.sized(picture, (width, height) => {
      threads.layout(width, height);
      place();
      if (!opening.playing) show();
    });
    if (state.q !== SEA || state.rows) answer();
    afterwards(({ Editor, write: written }) => {
      editor = new Editor({
        language: context.language,
        host: picture,
        threads,
        hasColours: true,
        rows: () => rows,
        change(now) {
          stop();
          context.set({ rows: written(now, ROWS) });
        },
      });
    });
    if (isStill) host.append(stills(context, similarities));
    else if (context.isRead) begin();

    return {
      picture: threads.element,
      update(now, changed) {
        state = now;
        opening.stop();
        guess.show();
        if (state.rows) isBad = false;
        if (changed.has("q") || changed.has("rows")) answer();
        else {
          threads.beckon(false);
          show();
        }
      },
      play,
      arrive: begin,
      film: (share) => (share === 1 ? show() : opening.drawAt(share)),
      leave: stop,
      print: stop,
    };
  },
};

/**
 * The picture at three temperatures, side by side.
 * @param {import("../story.js").Context} context
 * @param {Float64Array} similarities
 */
function stills({ say, sized }, similarities) {
  const figures = STILLS.map((temperature) => {
    const threads = new Threads(say, null);
    threads.take({ query: SEA, rows: ROWS, named: true });
    const picture = h("div.still", {}, threads.element);
    sized(picture, (width, height) => {
      threads.layout(width, height);
      threads.draw({ temperature, weights: weigh(similarities, { temperature }).weights, similarities });
    });
    return h("figure", {}, picture, h("figcaption", {}, `T = ${temperature === Infinity ? "∞" : temperature}`));
  });
  return h("section.stills", { "aria-label": say("stills") }, ...figures);
}

/** The colours of all rows, mixed in these proportions. @param {number[]} proportions */
function mixOf(proportions) {
  const total = proportions.reduce((sum, one) => sum + one, 0);
  const light = blend(
    proportions.map((one) => one / total),
    ROWS.map(({ value }) => lightOf(value)),
    3,
  );
  return colourOf(Array.from(light));
}
