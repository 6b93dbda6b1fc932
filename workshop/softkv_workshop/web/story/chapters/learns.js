/** 7 It learns: a recorded training of a network that translates; the reader drags through it. */

import { h } from "../../../../../service/softkv_service/web/shared/element.js";
import { count, percent } from "../../../../../service/softkv_service/web/shared/numbers.js";
import { unpackedRows } from "../../shared/recorded.js";
import { styled } from "../styles.js";
import { isReduced, Timeline } from "../../../../../service/softkv_service/web/shared/motion.js";
import { hood, prediction, screen, toPicture } from "../parts.js";
import { whereItLooks } from "../sentences.js";
import { s, set } from "../../../../../service/softkv_service/web/shared/svg.js";
import words from "./learns.json";

const RECORDING = "translation";
const NETWORK = "transformer";
const [RIVAL, ATTENDED] = ["gru", "gru_attention"];
const END = "<end>";
/** The word that the question is about, and the word that it looks at once it has learned. */
const ASKED = { written: "rouge", read: "red" };
/** The training plays by itself up to this moment: the network still babbles. */
const BABBLE = 8;
const PLAYED_SECONDS = 5;
/** From this width on, the error stands beside the matrix; on narrower screens below it. */
const WIDE = 700;
/** Below this width of a column, in rem, the words above it are slanted. */
const SLANTED = 3.25;

/**
 * @typedef {object} Moment
 * @property {number} step
 * @property {string[]} tokens
 * @property {boolean[]} right
 * @property {number[][]} weights
 * @property {number} wrong
 * @property {number} rivalWrong
 * @property {number} attendedWrong
 */
/** @typedef {{moment: number, g: string}} State `moment` is −1 until the reader moves it */

/** @type {import("../story.js").Chapter} */
export const learns = {
  id: "it-learns",
  words,
  defaults: { moment: -1, g: "" },

  mount(host, context) {
    const { say, set: become } = context;
    styled("learns");
    /** @type {State} */
    let state = context.state;
    /** @type {Moment[]} */
    let moments = [];
    /** @type {string[]} */
    let source = [];
    let at = 0;
    let playing = new Timeline([]);
    const drawing = picture(say, (moment) => {
      playing.stop();
      become({ moment });
    });
    const told = h("p.told", { role: "status" }, say("rivals"));
    const facts = h("p");
    const guess = prediction(context, {
      question: say("predict", { word: ASKED.written }),
      choices: ["red", "car", "old"].map((word) => ({ label: word, isRight: word === ASKED.read })),
      why: () => say("predict.why"),
      reveal: () => reveal(),
    });
    const frame = h("div", {}, drawing.element);
    const element = screen({
      title: say("title"),
      sentence: say("sentence"),
      picture: frame,
      below: [guess.element, told],
      hood: hood(
        say,
        h("p", {}, h("a", { href: "#row-to-word&z=4" }, say("whole"))),
        facts,
        h("p", {}, say("hood.crossing")),
        h("p", {}, say("hood.caution")),
        h("p", {}, toPicture("networks", say("hood.networks"))),
      ),
    });
    host.append(element);

    /** @param {number} moment */
    function show(moment) {
      at = Math.min(moments.length - 1, Math.max(0, Math.round(moment)));
      drawing.draw(moments, at);
    }

    /**
     * @param {number} to
     * @param {number} seconds
     */
    function play(to, seconds) {
      const from = at;
      playing.stop();
      if (isReduced()) return show(to);
      playing = new Timeline([{ seconds, draw: (share) => show(from + (to - from) * share) }]);
      return playing.play();
    }

    /** The reader has guessed: let the network learn to the end, then show where the word looks. */
    async function reveal() {
      if (!moments.length) return;
      if (at === moments.length - 1) show(0);
      await play(moments.length - 1, PLAYED_SECONDS);
      become({ moment: at });
      tell();
    }

    /** Tell the learned weight of the word in the question. */
    function tell() {
      const { tokens, weights } = moments[at];
      drawing.point(tokens.indexOf(ASKED.written));
      told.textContent = whereItLooks(say, { word: ASKED.written, written: tokens, read: source, weights });
    }

    context.sized(frame, (width, height) => {
      drawing.layout(width, height);
      if (moments.length) show(at);
    });
    context.recorded(RECORDING).then((recording) => {
      moments = read(recording);
      source = recording.sources[0].tokens;
      drawing.take(source, recording.steps);
      const { parameters, moments: of, accuracy } = recording.runs[NETWORK];
      facts.textContent = say("hood.facts", {
        parameters: count(Math.round(parameters / 1000) * 1000),
        steps: count(recording.steps),
        seconds: Math.round(of.at(-1)[1]),
        share: percent(accuracy),
        rival: percent(recording.runs[RIVAL].accuracy),
        attended: percent(recording.runs[ATTENDED].accuracy),
        lstm: percent(recording.runs.lstm.accuracy),
      });
      if (state.moment >= 0) {
        show(state.moment);
        if (guess.isTold() && at === moments.length - 1) tell();
        return;
      }
      show(isReduced() ? BABBLE : 0);
      if (isReduced()) drawing.beckon(true);
      else play(BABBLE, PLAYED_SECONDS / 2)?.then((isWhole) => drawing.beckon(isWhole));
    });

    return {
      picture: drawing.element,
      film: (share) => moments.length && show(share * (moments.length - 1)),
      update(now, changed) {
        state = now;
        guess.show();
        if (!moments.length || !changed.has("moment")) return;
        playing.stop();
        drawing.beckon(state.moment < 0);
        drawing.point(-1);
        told.textContent = say("rivals");
        show(state.moment < 0 ? BABBLE : state.moment);
      },
      leave: () => playing.stop(),
    };
  },
};

/**
 * The moments of the recorded training, for its first sentence.
 *
 * @param {any} recording
 * @returns {Moment[]}
 */
function read(recording) {
  const across = recording.sources[0].tokens.length;
  const [run, rival, attended] = [NETWORK, RIVAL, ATTENDED].map((name) => recording.runs[name]);
  const outputs = run.written[0];
  const target = outputs.at(-1).tokens;
  return outputs.map((/** @type {{tokens: string[], weights: string}} */ output, /** @type {number} */ i) => {
    const tokens = output.tokens.filter((token) => token !== END);
    return {
      step: run.moments[i][0],
      tokens,
      right: tokens.map((token, j) => token === target[j]),
      weights: unpackedRows(output.weights, across).slice(0, tokens.length),
      wrong: 1 - run.moments[i][3],
      rivalWrong: 1 - rival.moments[i][3],
      attendedWrong: 1 - attended.moments[i][3],
    };
  });
}

/**
 * The picture: the alignment matrix, and the error with the moment that is dragged along its axis.
 *
 * @param {import("../../../../../service/softkv_service/web/shared/words.js").Say} say
 * @param {(moment: number) => void} move
 */
function picture(say, move) {
  const [columns, rows, cells, marks] = [s("g"), s("g"), s("g"), s("g")];
  const [lines, axis, names] = [s("g"), s("g"), s("g")];
  const dots = [s("circle.dot.rival", { r: 6 }), s("circle.dot", { r: 7 })];
  const step = s("text.step", { "text-anchor": "middle" });
  const drag = s("text.drag", { "text-anchor": "middle" }, say("drag"));
  const handle = s(
    "g.moment",
    { role: "slider", tabindex: 0, "aria-label": say("moment"), "aria-valuemin": 0, "aria-valuenow": 0 },
    s("line.drop"),
    s("circle.grip", { r: 13 }),
    step,
    drag,
  );
  const element = s("svg.learned", { role: "group", "aria-label": say("picture") }, columns, rows, cells, marks, axis, lines, names, ...dots, handle);
  let [width, height, rem] = [0, 0, 16];
  /** @type {string[]} */
  let source = [];
  let steps = 0;
  /** @type {Moment[]} */
  let moments = [];
  let at = 0;
  let pointed = -1;

  const isWide = () => width >= WIDE;
  const matrix = () => ({
    left: 6.5 * rem,
    top: 3 * rem,
    right: isWide() ? width * 0.56 : width - 4,
    bottom: isWide() ? height - rem / 2 : height * 0.55,
  });
  const chart = () => ({
    left: isWide() ? width * 0.56 + 5.25 * rem : 3.75 * rem,
    right: width - 1.5 * rem,
    top: isWide() ? height * 0.14 : height * 0.55 + 2.5 * rem,
    bottom: height - 5.75 * rem,
  });
  const tallest = () => Math.max(...moments.map(({ tokens }) => tokens.length));
  const x = (/** @type {number} */ i) => chart().left + (i / Math.max(1, moments.length - 1)) * (chart().right - chart().left);
  const y = (/** @type {number} */ share) => chart().bottom - share * (chart().bottom - chart().top);

  /** Everything that does not change with the moment. */
  function base() {
    if (!width || !source.length || !moments.length) return;
    set(element, { viewBox: `0 0 ${width} ${height}`, width, height });
    const { left, right, top } = matrix();
    const across = (right - left) / source.length;
    const isSlanted = across < SLANTED * rem;
    const corner = { x: left - 0.75 * rem, "text-anchor": "end" };
    columns.replaceChildren(
      s("text.axis.key", { ...corner, y: top - 1.75 * rem }, `${say("read")} →`),
      s("text.axis.query", { ...corner, y: top - 0.5 * rem }, `${say("written")} ↓`),
      ...source.map((word, j) => {
        const middle = left + (j + 0.5) * across;
        const y = top - 0.625 * rem;
        return s(
          "text.read",
          { x: middle, y, "text-anchor": isSlanted ? "start" : "middle", transform: isSlanted ? `rotate(-60 ${middle} ${y})` : null },
          word,
        );
      }),
    );
    const { left: from, right: to, top: high, bottom: low } = chart();
    axis.replaceChildren(
      s("path.frame", { d: `M${from},${high}V${low}H${to}` }),
      s("text", { x: from - rem / 2, y: high + 0.375 * rem, "text-anchor": "end" }, "100%"),
      s("text", { x: from - rem / 2, y: low, "text-anchor": "end" }, "0"),
      s("text", { x: from, y: high - 0.875 * rem }, say("errors")),
    );
    const half = moments.findIndex(({ attendedWrong }) => attendedWrong < 0.5);
    // A steep curve has its name below its end, a flat one above it; the lowest is named above its last peaks.
    const peak = Math.max(...moments.flatMap(({ wrong, attendedWrong }, i) => (x(i) > to - 6.5 * rem ? [wrong, attendedWrong] : [])));
    names.replaceChildren(
      s("text.name.rival", { x: to, y: y(moments.at(-1)?.rivalWrong ?? 0) + (isWide() ? 1.5 : -1.125) * rem, "text-anchor": "end" }, say("rival")),
      s("text.name.attended", { x: x(half) + rem / 2, y: y(0.5) + 0.25 * rem }, say("attended")),
      s("text.name", { x: to, y: y(peak) - rem / 2, "text-anchor": "end" }, say("ours")),
    );
    const line = (/** @type {(moment: Moment) => number} */ share) =>
      moments.map((moment, i) => `${i ? "L" : "M"}${x(i).toFixed(1)},${y(share(moment)).toFixed(1)}`).join("");
    lines.replaceChildren(
      s("path.error.rival", { d: line(({ rivalWrong }) => rivalWrong) }),
      s("path.error.rival.attended", { d: line(({ attendedWrong }) => attendedWrong) }),
      s("path.error", { d: line(({ wrong }) => wrong) }),
    );
    set(handle, { "aria-valuemax": moments.length - 1 });
  }

  function place() {
    const { tokens, right, weights, step: done, wrong, rivalWrong } = moments[at];
    const { left, top, bottom, right: end } = matrix();
    const across = (end - left) / source.length;
    const down = (bottom - top) / tallest();
    while (rows.childElementCount < tokens.length) rows.append(s("text"));
    while (rows.childElementCount > tokens.length) rows.lastElementChild?.remove();
    tokens.forEach((token, i) => {
      const text = /** @type {SVGTextElement} */ (rows.children[i]);
      set(text, { x: left - 0.75 * rem, y: top + (i + 0.5) * down + 0.375 * rem, "text-anchor": "end", class: right[i] ? "written right" : "written" });
      if (text.textContent !== token) text.textContent = token;
    });
    const wanted = tallest() * source.length;
    while (cells.childElementCount < wanted) cells.append(s("rect.cell", { rx: 3 }));
    for (let i = 0; i < tallest(); i++) {
      for (let j = 0; j < source.length; j++) {
        const cell = /** @type {SVGRectElement} */ (cells.children[i * source.length + j]);
        set(cell, { x: left + j * across + 1.5, y: top + i * down + 1.5, width: across - 3, height: down - 3 });
        cell.style.setProperty("--share", String(weights[i]?.[j] ?? 0));
        cell.classList.toggle("bare", i >= tokens.length);
      }
    }
    marks.replaceChildren();
    if (pointed >= 0 && pointed < tokens.length) {
      const best = weights[pointed].indexOf(Math.max(...weights[pointed]));
      marks.append(
        s("path.pointer", {
          d: `M${left - rem / 2},${top + (pointed + 0.5) * down}H${left + best * across}M${left + (best + 0.5) * across},${top + pointed * down}V${top - 4}`,
        }),
        s("rect.pointed", { x: left + best * across, y: top + pointed * down, width: across, height: down, rx: 4 }),
      );
    }
    set(dots[0], { cx: x(at), cy: y(rivalWrong) });
    set(dots[1], { cx: x(at), cy: y(wrong) });
    const { bottom: low } = chart();
    const [drop, grip] = handle.children;
    set(/** @type {SVGElement} */ (drop), { x1: x(at), x2: x(at), y1: y(wrong), y2: low + 1.5 * rem });
    set(/** @type {SVGElement} */ (grip), { cx: x(at), cy: low + 1.5 * rem });
    step.textContent = say("step", { step: count(done), steps: count(steps) });
    const half = 4 * rem;
    const middle = Math.min(chart().right - half, Math.max(chart().left + half, x(at)));
    set(step, { x: middle, y: low + 3.75 * rem });
    set(drag, { x: middle, y: low + 5.125 * rem });
    set(handle, { "aria-valuenow": at, "aria-valuetext": `${step.textContent}: ${tokens.join(" ")}` });
  }

  const moved = (/** @type {PointerEvent} */ event) => {
    const { left, right } = chart();
    const inside = event.clientX - element.getBoundingClientRect().left;
    move(Math.min(moments.length - 1, Math.max(0, Math.round(((inside - left) / (right - left)) * (moments.length - 1)))));
  };
  handle.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    handle.focus({ preventScroll: true });
    handle.setPointerCapture(event.pointerId);
    moved(event);
  });
  handle.addEventListener("pointermove", (event) => handle.hasPointerCapture(event.pointerId) && moved(event));
  handle.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -5, PageUp: 5 }[event.key];
    const to = event.key === "Home" ? 0 : event.key === "End" ? moments.length - 1 : by ? at + by : null;
    if (to === null || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    move(Math.min(moments.length - 1, Math.max(0, to)));
  });

  return {
    element,
    /**
     * @param {string[]} tokens of the sentence that is read
     * @param {number} of how many steps the training has
     */
    take(tokens, of) {
      source = tokens;
      steps = of;
    },
    /**
     * @param {number} wide
     * @param {number} tall
     */
    layout(wide, tall) {
      [width, height, rem] = [wide, tall, parseFloat(getComputedStyle(document.documentElement).fontSize)];
      base();
    },
    /**
     * @param {Moment[]} all
     * @param {number} moment
     */
    draw(all, moment) {
      at = moment;
      if (moments !== all) {
        moments = all;
        base();
      }
      if (width) place();
    },
    /** Mark where a written word looks. @param {number} row −1 for none */
    point(row) {
      pointed = row;
      if (moments.length && width) place();
    },
    /** @param {boolean} isAsking whether the handle asks to be dragged */
    beckon(isAsking) {
      handle.classList.toggle("asks", isAsking);
    },
  };
}
