/** 3 Shares: each row gets a share, rows that mean the same share alike, and more rows thin all threads. */

import { isEmbedded } from "../../../../../service/softkv_service/web/shared/assets.js";
import { fill, h } from "../../../../../service/softkv_service/web/shared/element.js";
import { weigh } from "../../../../../service/softkv_service/web/shared/formula.js";
import { count as grouped } from "../../../../../service/softkv_service/web/shared/numbers.js";
import { positionOf, STEPS, temperatureAt } from "../../../../../service/softkv_service/web/shared/scale.js";
import { Tail } from "../../../../../service/softkv_service/web/shared/tail.js";
import { eased, isReduced, Timeline } from "../../../../../service/softkv_service/web/shared/motion.js";
import { hood, LETTERS, screen, toPicture } from "../parts.js";
import { amongThousands, ranked, whoShares } from "../../../../../service/softkv_service/web/shared/sentences.js";
import { factorOf, withFactor } from "../sentences.js";
import { numbers } from "../table.js";
import { Threads } from "../../../../../service/softkv_service/web/shared/threads.js";
import { asking, statusLine } from "../../../../../service/softkv_service/web/shared/parts.js";
import words from "./share.json";

const BEGINNING = 0.05;
/** The question that is recorded, and the rows that are drawn for it; one of them has a word of it, and means something else. */
const SUBJECT = "machine learning";
const SHOWN = ["chess", "artificial intelligence", "programming in C", "geometry", "neural networks", "learning to draw what you see", "mushrooms", "vampires"];
const FEWEST = SHOWN.length + 1;
const MOST = 110;
/** Beside one more row, that one is drawn; beside several, these are a fan. @param {number} n */
const drawnOf = (n) => (n === FEWEST ? FEWEST : SHOWN.length);
/** So many rows are guessed. */
const PICKED = 2;

/** @typedef {{key: string, value: string}} Row */

/** @type {import("../story.js").Chapter} */
export const share = {
  id: "who-shares",
  words,
  defaults: { t: BEGINNING, q: SUBJECT, n: FEWEST, seen: false, u: BEGINNING, g: "" },
  screens: { u: 2 },

  mount(host, context) {
    const many = rowsOfALibrary(context);
    const thousands = charactersOfUnicode(context);
    if (isEmbedded()) context.set({ seen: true }); // a frame has no guess
    host.append(many.element, thousands.element);
    context.recorded("sharing").then(({ library, characters }) => {
      many.take(library);
      thousands.take(characters);
    });
    return {
      picture: many.picture,
      update(_, changed) {
        many.update(changed);
        thousands.update();
      },
      film: many.film,
      leave: many.leave,
    };
  },
};

/** The first screen: 9 to 110 rows of a library. @param {import("../story.js").Context} context */
function rowsOfALibrary(context) {
  const { say, answers } = context;
  /** @type {Row[]} in the order in which they are added */
  let rows = [];
  /** @type {Float64Array} of the rows in that order */
  let similarities = new Float64Array();
  let asked = SUBJECT;
  /** @type {?{rows: Row[], similarities: number[]}} */
  let library = null;
  let revealing = new Timeline([]);
  /** @type {Set<number>} */
  const picked = new Set();

  const threads = new Threads(say, (t) => context.set({ t, seen: true }));
  const ask = asking(say, (q) => context.set({ q, seen: true }));
  const picks = h("div.picks", { role: "group", "aria-label": say("predict") });
  const verdict = h("p.verdict", { role: "status" });
  const guess = h("div.prediction", {}, h("p.question", {}, say("predict")));
  const slider = /** @type {HTMLInputElement} */ (
    h("input", {
      type: "range",
      min: String(FEWEST),
      max: String(MOST),
      "aria-label": say("many"),
      oninput: () => context.set({ n: Number(slider.value), seen: true }),
    })
  );
  const shown = h("output", {}, "");
  const many = h("label.many", {}, say("many"), slider, shown);
  const status = statusLine();
  const table = numbers(say, threads, true);
  const picture = h("div.asked-picture.tall", {}, threads.element, ask.element, picks, table.card);
  const element = screen({
    title: say("title"),
    sentence: say("sentence"),
    picture,
    below: [guess, verdict, many, status.element],
    hood: hood(
      say,
      h("p", {}, say("hood.formula")),
      h("p.formula", {}, "wᵢ = exp(sᵢ / T) / Σⱼ exp(sⱼ / T)"),
      h("p", {}, say("hood.thousandth")),
      table.element,
    ),
  });

  /**
   * @param {number} n of rows
   * @param {number} temperature
   * @param {object} [more]
   */
  function frame(n, temperature, more = {}) {
    const { weights } = weigh(similarities.subarray(0, n), { temperature });
    const drawn = drawnOf(n);
    const othersWeight = weights.subarray(drawn).reduce((sum, weight) => sum + weight, 0);
    const [shown, fewest] = [weights.subarray(0, drawn), weigh(similarities.subarray(0, FEWEST), { temperature }).weights];
    const factor = n > FEWEST ? factorOf(fewest, shown) : null;
    threads.draw({ temperature, weights: shown, similarities: similarities.subarray(0, drawn), othersWeight, factor, ...more });
    return { weights, factor };
  }

  /** The contents of the picture: the first rows, and the number of the others. @param {number} n */
  function place(n) {
    threads.take({ query: asked, rows: rows.slice(0, drawnOf(n)), others: n - drawnOf(n), named: true });
    ask.place(threads.queryBox, asked);
    fill(picks, context.state.seen ? [] : threads.keyBoxes.map(pick));
  }

  /** Another number of rows. @param {number} n */
  function count(n) {
    if (threads.keyBoxes.length === drawnOf(n)) threads.count(n - drawnOf(n));
    else place(n);
  }

  /**
   * @param {{x: number, y: number, width: number, height: number}} box
   * @param {number} row
   */
  function pick({ x, y, width, height }, row) {
    const button = h("button", { type: "button", "aria-label": rows[row].key, "aria-pressed": String(picked.has(row)), onclick: () => choose(row, button) });
    for (const [property, number] of Object.entries({ left: x, top: y, width, height })) button.style.setProperty(property, `${number}px`);
    return button;
  }

  /**
   * @param {number} row
   * @param {HTMLElement} button
   */
  function choose(row, button) {
    if (picked.has(row)) picked.delete(row);
    else picked.add(row);
    button.setAttribute("aria-pressed", String(picked.has(row)));
    if (picked.size < PICKED) return;
    context.set({ g: Array.from(picked, (one) => LETTERS[one]).join(""), seen: true });
    slider.focus({ preventScroll: true });
    requestAnimationFrame(() => verdict.parentElement?.scrollIntoView({ block: "nearest" }));
  }

  /** Whether the two rows that were guessed are the heaviest; nothing once something else is shown. */
  function judge() {
    const { g, n, t, q, seen } = context.state;
    const rows = new Set(Array.from(g, (letter) => LETTERS.indexOf(letter)).filter((row) => row >= 0 && row < FEWEST));
    const isShown = seen && rows.size === PICKED && n === FEWEST && t === BEGINNING && q === SUBJECT;
    const heaviest = ranked(similarities.subarray(0, FEWEST)).slice(0, PICKED);
    const isRight = heaviest.every((one) => rows.has(one));
    verdict.textContent = isShown ? say(isRight ? "right" : "wrong", { why: say("predict.why") }) : "";
  }

  function show() {
    const { n, t, seen } = context.state;
    element.classList.toggle("guessing", !seen);
    guess.hidden = seen;
    many.hidden = !seen;
    slider.value = String(n);
    shown.textContent = String(n);
    judge();
    const { weights, factor } = frame(n, t, seen ? {} : { grown: 0, poured: 0, glow: 0 });
    const keys = rows.slice(0, n).map(({ key }) => key);
    status.show(seen && verdict.textContent === "" ? withFactor(say, whoShares(say, { keys, temperature: t, weights }), factor) : "");
    table.show(rows.slice(0, drawnOf(n)), similarities, weights, t);
  }

  function reveal() {
    const { n, t } = context.state;
    fill(picks);
    revealing.stop();
    if (isReduced()) return show();
    revealing = new Timeline([
      { seconds: 0.5, draw: (part) => frame(n, t, { grown: 0, poured: 0, glow: eased(part) }) },
      { seconds: 1.1, draw: (part) => frame(n, t, { grown: eased(part), poured: 0 }) },
      { seconds: 0.9, draw: (part) => frame(n, t, { poured: eased(part) }) },
    ]);
    revealing.play().then(show);
  }

  /** Ask about all rows of the library; the nearest are drawn. */
  async function answer() {
    const { q } = context.state;
    if (!library) return;
    const keys = library.rows.map(({ key }) => key);
    if (q === SUBJECT)
      arrange(
        library.similarities,
        SHOWN.map((key) => keys.indexOf(key)),
      );
    else {
      const found = await context.patiently(answers.ask(q, keys));
      if (!found || q !== context.state.q) return;
      arrange(found.similarities, ranked(found.similarities).slice(0, SHOWN.length));
    }
    asked = q;
    place(context.state.n);
    show();
  }

  /**
   * @param {ArrayLike<number>} all similarities in the library's order
   * @param {number[]} first the rows that are drawn
   */
  function arrange(all, first) {
    const { rows: known } = /** @type {{rows: Row[]}} */ (library);
    const order = [...first, ...Array.from(known.keys()).filter((i) => !first.includes(i))];
    rows = order.map((i) => known[i]);
    similarities = Float64Array.from(order, (i) => all[i]);
  }

  return {
    element,
    picture: threads.element,
    /** @param {{rows: Row[], similarities: number[]}} recorded */
    take(recorded) {
      library = recorded;
      answer().then(() =>
        context.sized(picture, (width, height) => {
          threads.layout(width, height);
          place(context.state.n);
          if (!revealing.playing) show();
        }),
      );
    },
    /** @param {Set<string>} changed */
    update(changed) {
      if (!library) return;
      if (changed.has("q")) {
        fill(picks);
        return void answer();
      }
      if (changed.has("n")) count(context.state.n);
      const isGuess = [...changed].every((name) => name === "seen" || name === "g");
      if (isGuess && context.state.seen) {
        guess.hidden = true;
        many.hidden = false;
        judge();
        reveal();
      } else {
        revealing.stop();
        if (changed.has("seen")) {
          picked.clear();
          fill(picks, context.state.seen ? [] : threads.keyBoxes.map(pick));
        }
        show();
      }
    },
    /** More and more rows, then more and more heat. @param {number} part */
    film(part) {
      if (part === 1) {
        count(context.state.n);
        return show();
      }
      const n = Math.round(FEWEST + (MOST - FEWEST) * eased(Math.min(1, part * 2)));
      const [cold, hot] = [positionOf(BEGINNING), STEPS];
      const warm = part < 0.5 ? 0 : part < 0.75 ? eased((part - 0.5) * 4) : 1 - eased((part - 0.75) * 4);
      count(n);
      frame(n, temperatureAt(Math.round(cold + (hot - cold) * warm)));
    },
    leave() {
      revealing.stop();
    },
  };
}

/** The second screen: thousands of rows, of which only the nearest are held here. @param {import("../story.js").Context} context */
function charactersOfUnicode(context) {
  const { say } = context;
  const threads = new Threads(say, (u) => context.set({ u }));
  const status = statusLine();
  const table = numbers(say, threads, true);
  const picture = h("div.asked-picture.tall", {}, threads.element, table.card);
  const title = h("span", {}, "");
  const element = screen({
    title: "",
    sentence: say("most.sentence"),
    picture,
    below: [status.element],
    hood: hood(say, h("p", {}, say("hood.tail")), table.element, h("p", {}, toPicture("certificate", say("hood.certificate")))),
  });
  element.querySelector("h2")?.append(title);
  /** @type {?{keys: string[], similarities: number[], documents: number, tail: Tail}} */
  let known = null;

  function show() {
    if (!known) return;
    const { keys, similarities, documents, tail } = known;
    const temperature = context.state.u;
    const answer = weigh(similarities, { temperature, tail });
    threads.draw({ temperature, weights: answer.weights, similarities, othersWeight: answer.restWeight });
    table.show(
      keys.map((key) => ({ key })),
      similarities,
      answer.weights,
      temperature,
    );
    status.show(amongThousands(say, { keys, documents, temperature, answer }));
  }

  return {
    element,
    /** @param {{query: string, rows: Row[], similarities: number[], documents: number, temperatures: import("../../../../../service/softkv_service/web/shared/tail.js").SweptAt[]}} recorded */
    take({ query, rows, similarities, documents, temperatures }) {
      known = { keys: rows.map(({ key }) => key), similarities, documents, tail: new Tail({ documents, matches: rows, temperatures }) };
      title.textContent = say("most.title", { count: grouped(documents) });
      threads.take({ query, rows, others: documents - rows.length, named: true });
      context.sized(picture, (width, height) => {
        threads.layout(width, height);
        show();
      });
    },
    update: show,
  };
}
