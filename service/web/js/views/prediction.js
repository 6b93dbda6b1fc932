/** Prediction first: a scene opens on its question; what it shows comes after a choice, or after "show me". */

import { fill, h, put } from "../element.js";
import { question } from "../predictions.js";
import { say, subscripted } from "../words.js";

/** @param {Page.Shared} shared */
export function prediction({ store }) {
  const reply = h("p.reply", { id: "reply", role: "status", tabIndex: -1 });
  const asked = h("fieldset.prediction", { id: "prediction" });
  const element = h("div.asked", {}, asked, reply);
  /** @type {?string} */
  let told = null;
  let drawn = "";
  let wasCovered = false;

  /** Choosing or not, the picture is there at once; the focus goes to what is said of the choice. @param {?string} guess */
  function reveal(guess) {
    const mine = element.contains(document.activeElement);
    store.set({ revealed: true, guess });
    if (mine) reply.focus();
  }

  /** @param {ReturnType<typeof question>} one */
  function offer(one) {
    const now = JSON.stringify([one?.ask, one?.choices]);
    if (now === drawn) return;
    drawn = now;
    // Buttons, since an arrow key in a group of radio buttons would choose, and a choice shows the answer.
    const choices = (one?.choices ?? []).map(({ id, text, key }) =>
      h("button.choice", { type: "button", value: id, onclick: () => reveal(id) }, h(key ? "bdi.key" : "span", {}, key ? text : subscripted(text))),
    );
    if (!one) return fill(asked);
    fill(
      asked,
      h("legend", {}, subscripted(one.ask)),
      choices,
      h(
        "div.showing",
        {},
        h("button.plain", { type: "button", id: "reveal", onclick: () => reveal(null) }, say("predict.show")),
        h("span.tiny.soft.presenting", {}, say("predict.presenting")),
      ),
    );
  }

  /** @param {Page.Model} model what the scene shows, and its state; a state alone while that is still to come */
  function show(model) {
    const { state } = model;
    if (!state.revealed) {
      wasCovered = true;
      told = null;
      put(reply, "");
      if (hasAnswer(model)) offer(question(model));
      asked.hidden = !asked.hasChildNodes(); // nothing can be guessed before there is a question
      return;
    }
    asked.hidden = true;
    if (drawn) fill(asked);
    drawn = "";
    if (!hasAnswer(model) || told === "gone") return;
    // Said of what was asked: when the learner goes on from there, the sentence goes.
    const now = JSON.stringify({ ...state, lang: "", theme: "", projector: "" });
    if (told === null) put(reply, words(model, wasCovered));
    else if (told !== now) put(reply, "");
    told = told === null || told === now ? now : "gone";
  }

  return { element, show };
}

/** Yes, or what it is instead; without a guess only what it is, and nothing where it was never asked. @param {Page.Model} model @param {boolean} wasCovered */
function words(model, wasCovered) {
  const { guess } = model.state;
  const one = question(model);
  if (!one) return "";
  const text = (/** @type {?string} */ id) => one.choices.find((choice) => choice.id === id)?.text;
  const [right, yours] = [text(one.right), text(guess)];
  if (!right) return "";
  const { because } = one;
  if (guess === one.right) return say("predict.right", { because });
  if (yours) return say("predict.wrong", { yours, right, because });
  return wasCovered ? say("predict.shown", { right, because }) : "";
}

/** @param {Page.Model} model */
function hasAnswer(model) {
  return Object.keys(model).length > 1;
}
