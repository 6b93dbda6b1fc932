/**
 * Parallel steps beside recurrent steps: the same words, read one after another above, and all at once below.
 *
 * Above, a state goes from word to word, so the last one comes after n steps. Below, each word attends to each word:
 * n × n links, and none waits for another, so there is one step. The words of this picture are in `steps.json`.
 */

import { h } from "../../../../../service/softkv_service/web/shared/element.js";
import { eased, Timeline } from "../../../../../service/softkv_service/web/shared/motion.js";
import { s, set } from "../../../../../service/softkv_service/web/shared/svg.js";

const STEP_SECONDS = 0.8;
/** Rows from above, in pixels: what each half is, its circles, and the words between. */
const ROWS = { recurrent: 22, states: 66, words: 128, outputs: 236, attention: 288 };
const HEIGHT = 300;
const BOX = { height: 36, gap: 12 };
const RADIUS = 18;
const HEAD = 7;

/**
 * @param {object} options
 * @param {string[]} options.words of a sentence
 * @param {import("../../../../../service/softkv_service/web/shared/words.js").Say} options.say says the words of `steps.json`
 * @param {boolean} options.reduced whether nothing is to move: then the end of it is shown
 * @returns {{element: HTMLElement, picture: SVGSVGElement, play: () => Promise<boolean>, stop: () => void, film: (share: number) => void}}
 *   `play` starts again from the beginning, and tells whether it reached the end
 */
export function parallelSteps({ words, say, reduced }) {
  const n = words.length;
  const steps = n;
  const pairs = words.flatMap((_, from) => words.map((_, to) => ({ from, to })));
  const links = pairs.map(() => s("line.link"));
  const readings = words.map(() => s("line.reading"));
  const arrows = words.slice(1).map(() => s("line.arrow"));
  const heads = words.slice(1).map(() => s("path.head"));
  const states = words.map((_, i) =>
    s("g.state", {}, s("circle", { r: RADIUS }), s("text", { dy: "0.35em" }, "h", s("tspan.subscript", { dy: "0.3em" }, String(i + 1)))),
  );
  const outputs = words.map(() => s("circle.output", { r: RADIUS / 2 }));
  const boxes = words.map((word) => s("g.word", {}, s("rect", { height: BOX.height, rx: 6 }), s("text", { dy: "0.35em" }, word)));
  const [recurrent, attention] = ["recurrent", "attention"].map((name) => s("text.name", {}, say(`steps.${name}`)));
  const [later, once] = [s("text.count"), s("text.count")];
  const picture = s(
    "svg.parallel-steps",
    { role: "img", "aria-label": say("steps.label", { count: n, steps, links: n * n }), height: HEIGHT },
    ...links,
    ...readings,
    ...arrows,
    ...heads,
    ...states,
    ...outputs,
    ...boxes,
    recurrent,
    later,
    attention,
    once,
  );
  const run = h("button", { type: "button", hidden: reduced, onclick: () => play() }, `▸ ${say("steps.run")}`);
  const element = h("div.steps-beside", {}, picture, run);
  let columns = words.map(() => 0);
  let at = reduced ? steps : 0;
  const timeline = new Timeline([
    { seconds: 0.4, draw: () => draw(0) },
    ...words.map((_, i) => ({ seconds: STEP_SECONDS, draw: (/** @type {number} */ share) => draw(i + eased(share)) })),
  ]);

  new ResizeObserver(([{ contentRect }]) => contentRect.width && layout(contentRect.width)).observe(picture);

  /** @param {number} width */
  function layout(width) {
    const column = width / n;
    columns = words.map((_, i) => (i + 0.5) * column);
    set(picture, { viewBox: `0 0 ${width} ${HEIGHT}` });
    boxes.forEach((box, i) => {
      const [rect, text] = box.children;
      set(/** @type {SVGElement} */ (rect), { x: columns[i] - column / 2 + BOX.gap / 2, y: ROWS.words - BOX.height / 2, width: column - BOX.gap });
      set(/** @type {SVGElement} */ (text), { x: columns[i], y: ROWS.words });
    });
    states.forEach((state, i) => set(state, { transform: `translate(${columns[i]} ${ROWS.states})` }));
    readings.forEach((reading, i) => set(reading, { x1: columns[i], x2: columns[i], y1: ROWS.words - BOX.height / 2, y2: ROWS.states + RADIUS }));
    outputs.forEach((output, i) => set(output, { cx: columns[i], cy: ROWS.outputs }));
    for (const text of [recurrent, attention]) set(text, { x: BOX.gap / 2 });
    for (const text of [later, once]) set(text, { x: width - BOX.gap / 2 });
    for (const text of [recurrent, later]) set(text, { y: ROWS.recurrent });
    for (const text of [attention, once]) set(text, { y: ROWS.attention });
    draw(at);
  }

  /** The moment after a number of steps, of which the last may be under way. @param {number} now 0 to n */
  function draw(now) {
    at = now;
    const done = Math.floor(now + 1e-9);
    arrows.forEach((arrow, i) => {
      const grown = Math.min(1, Math.max(0, now - i - 1));
      const from = columns[i] + RADIUS;
      const to = from + grown * (columns[i + 1] - RADIUS - from);
      set(arrow, { x1: from, x2: Math.max(from, to - HEAD), y1: ROWS.states, y2: ROWS.states, opacity: grown ? 1 : 0 });
      set(heads[i], { d: `M${to},${ROWS.states}l${-HEAD - 2},${-HEAD / 1.6}v${HEAD * 1.25}Z`, opacity: grown ? 1 : 0 });
    });
    states.forEach((state, i) => state.classList.toggle("lit", i < done));
    readings.forEach((reading, i) => reading.classList.toggle("lit", i <= now));
    const grown = Math.min(1, now);
    links.forEach((link, i) => {
      const { from, to } = pairs[i];
      const [top, bottom] = [ROWS.words + BOX.height / 2, ROWS.outputs - RADIUS / 2];
      set(link, {
        x1: columns[from],
        y1: top,
        x2: columns[from] + grown * (columns[to] - columns[from]),
        y2: top + grown * (bottom - top),
        opacity: grown ? 1 : 0,
      });
    });
    for (const output of outputs) output.classList.toggle("lit", grown === 1);
    later.textContent = say("steps.count", { count: done });
    once.textContent = say("steps.count", { count: Math.min(1, done) });
  }

  async function play() {
    if (reduced) return true;
    timeline.stop();
    return timeline.play();
  }

  return { element, picture, play, stop: () => timeline.stop(), film: (share) => draw(share * steps) };
}
