/** Parts of several chapters: the frame of a screen, a question to guess at. */

import { deeper, isEmbedded } from "../../../../service/softkv_service/web/shared/assets.js";
import { fill, h } from "../../../../service/softkv_service/web/shared/element.js";
import { subscripted, unbroken } from "../../../../service/softkv_service/web/shared/words.js";
import { gloss } from "./glossary.js";

/** @typedef {import("../../../../service/softkv_service/web/shared/words.js").Say} Say */

/** The event that makes a prediction tell its answer: a class has guessed. */
export const REVEAL = "reveal";

/**
 * A screen of a chapter: heading, one sentence, the picture, what may be done below it, and what is folded away under the hood.
 *
 * @param {{title: string, sentence: string, picture: Element, below?: (Element | null)[], hood?: ?HTMLElement}} what
 */
export function screen({ title, sentence, picture, below = [], hood = null }) {
  const header = h("header", {}, h("h2", { tabIndex: -1 }, unbroken(title)), h("p.sentence", {}, ...subscripted(sentence)));
  const doing = h("div.doing", {}, ...below);
  for (const part of [header, doing, hood]) if (part) gloss(part);
  return h("section.screen", {}, header, h("div.picture", {}, picture), doing, hood);
}

/**
 * The folded part under a screen.
 * @param {Say} say
 * @param {...(Node | string)} inside
 */
export function hood(say, ...inside) {
  return h("details.hood", {}, h("summary", {}, say("hood")), h("div.inside", {}, ...inside));
}

/**
 * A link to a picture that goes deeper than the story.
 * @param {string} picture its name in the address
 * @param {string} text
 */
export function toPicture(picture, text) {
  return h("a", { href: `${deeper()}#${picture}` }, text);
}

/**
 * @typedef {object} Choice
 * @property {string} label
 * @property {string} [colour] shown beside the label
 * @property {boolean} isRight
 */

/** In a chapter's guesses: an open one, and one that was answered without a guess. */
const [OPEN, TOLD] = ["-", "x"];
/** The choices of a guess, as an address has them. */
export const LETTERS = "abcdefghi";

/**
 * A question to guess at before the picture tells. It is answered once; then it says whether, and why. What was guessed is
 * a letter of the chapter's state `g`, so that a link has it.
 *
 * @param {import("./story.js").Context} context
 * @param {object} what
 * @param {string} what.question
 * @param {Choice[]} what.choices
 * @param {() => string} what.why the reason, as the picture is now; "" while the picture shows something else, and the question then waits
 * @param {() => void} what.reveal called once it is guessed: the picture tells
 * @param {number} [what.place] among the chapter's guesses
 */
export function prediction(context, { question, choices, why, reveal, place = 0 }) {
  const { say } = context;
  const verdict = h("p.verdict", { role: "status", tabIndex: -1 });
  const letter = () => String(context.state.g)[place] ?? OPEN;
  let shown = "";
  const isTold = () => isEmbedded() || letter() === TOLD || LETTERS.slice(0, choices.length).includes(letter());
  const guess = (/** @type {string} */ guessed) => {
    const letters = Array.from({ length: Math.max(place + 1, context.state.g.length) }, (_, i) => (i === place ? guessed : (context.state.g[i] ?? OPEN)));
    context.set({ g: letters.join("") });
    reveal();
    // On a low screen it lies below the lower edge.
    requestAnimationFrame(() => (element.parentElement ?? element).scrollIntoView({ block: "nearest" }));
  };
  const buttons = choices.map(
    ({ label, colour }, i) =>
      /** @type {HTMLButtonElement} */ (
        h(
          "button",
          { type: "button", onclick: () => guess(LETTERS[i]) },
          colour ? h("span.swatch", { style: { background: colour }, "aria-hidden": "true" }) : null,
          label,
        )
      ),
  );
  const element = h("div.prediction", { role: "group", "aria-label": question }, h("p.question", {}, question), h("div.choices", {}, ...buttons), verdict);
  element.addEventListener(REVEAL, () => isTold() || guess(TOLD));

  /** Follow the state: the guess, and whether it was right. */
  function show() {
    const reason = isTold() ? why() : "";
    if (`${letter()} ${reason}` === shown) return;
    shown = `${letter()} ${reason}`;
    const guessed = isTold() ? LETTERS.indexOf(letter()) : -1;
    const isHere = reason !== "";
    const hadFocus = element.contains(document.activeElement);
    for (const [i, button] of buttons.entries()) {
      button.disabled = isTold();
      button.classList.toggle("is-right", isHere && choices[i].isRight);
      button.classList.toggle("is-wrong", isHere && i === guessed && !choices[i].isRight);
    }
    const name = guessed < 0 ? "reason" : choices[guessed].isRight ? "right" : "wrong";
    fill(verdict, ...(isHere ? subscripted(say(name, { why: name === "wrong" ? reason : capitalised(reason) })) : []));
    if (hadFocus && isHere) verdict.focus({ preventScroll: true }); // a disabled button has none
  }
  show();
  return { element, show, isTold };
}

/** A text that begins a sentence. @param {string} text */
function capitalised(text) {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
