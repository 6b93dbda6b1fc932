/** The answer on the projector: the class's rows in the picture of attention, and its knob in the presenter's hand. */

import { h, put } from "../../../../service/softkv_service/web/shared/element.js";
import { count, power } from "../../../../service/softkv_service/web/shared/numbers.js";
import { onTheWire } from "../../../../service/softkv_service/web/shared/scale.js";
import { glide } from "../../../../service/softkv_service/web/shared/motion.js";
import { speaker } from "../../../../service/softkv_service/web/shared/speaker.js";
import { Threads } from "../../../../service/softkv_service/web/shared/threads.js";
import { language, say } from "./words.js";
import { verdictWords, wonWords } from "./answer.js";
import { agrees, answerAt, difference, temperatureOf } from "./live.js";
import { guessesOf, isTie, leaders } from "./model.js";
import { why } from "./why.js";

/** @typedef {import("./live.js").Answered} Answered */
/** @typedef {Page.RoomRow} Row */

/** Rows that have their name in the picture are so high, in lines of text; of more rows than fit, the first few have it, and the others are small. */
const LINES = { usual: 2.4, large: 2.85 };
const FIRST = { share: { usual: 0.6, large: 0.5 }, least: 3, most: 8 };
/** The height of all above and below the picture, in rem. */
const AROUND = 14;
/** Between two temperatures that the phones are sent. */
const APART_MS = 100;
/** The service is asked for its own weights when the knob has rested so long. */
const REST_MS = 400;
const GROWING_SECONDS = 1.6;
/** In fewer pixels there is no picture. */
const NARROWEST = 240;

/**
 * @param {object} how
 * @param {Answered} how.question
 * @param {Map<string, Row>} how.rows
 * @param {{heat: (question: number, temperature: number) => Promise<boolean>, words: (question: number, row: string) => Promise<?import("./why.js").Words>, compare: (body: object) => Promise<?Page.Schemas["CompareAnswer"]>}} how.acts
 */
export function reveal({ question, rows, acts }) {
  const texts = new Map(question.answer.matches.map(({ id }) => [id, rows.get(id)]));
  const matches = question.answer.matches;
  const fitting = fittingRows();
  const first = Math.min(FIRST.most, Math.max(FIRST.least, Math.floor(FIRST.share[type()] * fitting)));
  const small = matches.length >= fitting ? Math.max(0, matches.length - first) : 0;
  let temperature = temperatureOf(question);
  let guesses = question.guesses;
  let grown = 0;
  let waiting = /** @type {?number} */ (null);
  let isSending = false;
  let resting = 0;

  const threads = new Threads(speaker(language), (chosen) => {
    temperature = chosen;
    threads.beckon(false);
    draw();
    send(chosen);
    rest();
  });
  const won = h("p.won-words.large", {});
  const verdict = h("p.verdict", { role: "status" });
  const guessed = h("p.soft", { id: "right" });
  const checked = h("p.soft.small", { id: "checking", role: "status" });
  const because = why((row) => acts.words(question.number, row));
  const figure = h("figure.threads-of", { "data-named": small ? String(first) : null, "aria-label": say("reveal.picture") }, threads.element);
  const element = [h("h1.unseen", {}, question.query), h("div.won", {}, won, because.button), figure];
  const aside = h("section.beside", {}, verdict, guessed, because.element, checked);

  threads.take({
    query: question.query,
    rows: matches.map(({ id }) => ({ key: texts.get(id)?.key ?? "…", value: texts.get(id)?.value ?? "…" })),
    small,
    none: question.answer.null_similarity !== null,
  });
  const observer = new ResizeObserver(([{ contentRect: box }]) => box.width > NARROWEST && threads.layout(box.width, box.height));
  observer.observe(figure);
  const growing = glide(0, 2, GROWING_SECONDS, (share) => {
    grown = share;
    draw();
  });
  threads.beckon(true);
  show(question);
  rest();

  function draw() {
    const answer = answerAt(question, temperature);
    threads.draw({
      temperature,
      weights: answer.matches.map(({ weight }) => weight),
      similarities: answer.matches.map(({ similarity }) => similarity),
      noneWeight: answer.null_weight,
      grown: Math.min(1, grown),
      poured: Math.max(0, grown - 1),
    });
    put(won, wonWords(answer, texts));
    put(verdict, verdictWords(question, answer, temperature));
    const right = [...leaders(answer)].reduce((sum, id) => sum + guessesOf(answer, id), 0);
    put(guessed, isTie(answer) ? "" : say("present.right", { right: count(right), count: count(guesses) }));
  }

  /** The phones follow, a few times a second and at last to where the knob rests. @param {number} chosen */
  async function send(chosen) {
    waiting = chosen;
    if (isSending) return;
    isSending = true;
    while (waiting !== null) {
      const next = waiting;
      waiting = null;
      if (!(await acts.heat(question.number, onTheWire(next)))) waiting = null;
      await new Promise((resolve) => setTimeout(resolve, APART_MS));
    }
    isSending = false;
  }

  function rest() {
    clearTimeout(resting);
    checked.dataset.state = "local";
    resting = window.setTimeout(check, REST_MS);
  }

  /** The weights of the service at the same temperature, of the same rows. */
  async function check() {
    const asked = temperature;
    const own = [...texts.values()].filter((row) => row !== undefined).map(({ id, key, value }) => ({ id, key, value }));
    if (!own.length || own.length < texts.size) return;
    const compared = await acts.compare({
      query: question.query,
      rows: own,
      temperature: onTheWire(asked),
      top_k: own.length,
      null: question.answer.null_similarity ?? false,
    });
    if (!compared || asked !== temperature) return;
    const worst = difference(answerAt(question, asked), compared.attention);
    checked.dataset.state = agrees(worst) ? "agreed" : "apart";
    checked.dataset.difference = String(worst);
    put(checked, agrees(worst) ? "" : say("reveal.apart", { difference: power(worst) }));
  }

  /** Update the question: guesses may have been removed. @param {Answered} now */
  function show(now) {
    guesses = now.guesses;
    draw();
    because.show(matches.map(({ id }) => ({ id, key: texts.get(id)?.key ?? "…" })));
  }

  return {
    element,
    aside,
    show,
    stop() {
      growing.stop();
      observer.disconnect();
      clearTimeout(resting);
      waiting = null;
    },
  };
}

/** Return the size of the page's type: in large type a row must be higher to hold its text. @returns {"usual" | "large"} */
function type() {
  return document.documentElement.dataset.projector === "on" ? "large" : "usual";
}

/** Return the number of rows with a name that fit into the picture, "none of these" among them. */
function fittingRows() {
  const style = getComputedStyle(document.documentElement);
  const rem = parseFloat(style.fontSize);
  const height = window.innerHeight - AROUND * rem - (parseFloat(style.getPropertyValue("--lesson-bar")) || 0);
  return Math.floor(height / (LINES[type()] * rem));
}
