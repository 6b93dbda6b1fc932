/** One question with its first match, and two buttons: is it right? What it weighs is not told. */

import { fill, h, put } from "../../element.js";
import { count } from "../../numbers.js";
import { clipped, rich, say } from "../../words.js";
import { RIGHT, WRONG } from "./questions.js";

const LONGEST = 160;
/** @type {Record<string, string | undefined>} */
const KEYS = { 1: RIGHT, 2: WRONG };
const FIELDS = "input:not([type=range], [type=checkbox]), select, textarea";

/**
 * @param {{source: string, judged: (label: string) => void, dropped: () => void, elsewhere: (() => void) | null}} told of the
 *   collection that is asked: a label, that a question is left out, and that the scene's own collection is to be, where it is another
 */
export function card({ source, judged, dropped, elsewhere }) {
  const place = h("p.small.soft", {});
  const body = h("div.asked-of", { role: "status" });
  const choices = [
    [RIGHT, "right", "✓"],
    [WRONG, "wrong", "✗"],
  ].map(([label, name, sign], i) =>
    h(
      `button.${name}-one`,
      { type: "button", id: `judge-${name}`, "aria-keyshortcuts": String(i + 1), onclick: () => judged(label) },
      h("span", { "aria-hidden": "true" }, sign),
      say(`sure.${name}`),
      h("kbd", { "aria-hidden": "true" }, String(i + 1)),
    ),
  );
  const judge = h("div.judge.buttons", { role: "group", "aria-label": say("sure.ask") }, choices);
  const drop = h("button", { type: "button", id: "drop", onclick: dropped }, say("sure.drop"));
  const other = h("button", { type: "button", id: "elsewhere", onclick: elsewhere }, say("sure.elsewhere"));
  const element = h(
    "section.card",
    { id: "card", tabIndex: -1, "aria-label": say("sure.card") },
    place,
    body,
    judge,
    drop,
    other,
    h("p.tiny.soft", {}, say("sure.how")),
  );
  let isReadable = false;

  /** A key means a button only while the focus is in this part of the page, and in no field. @param {KeyboardEvent} event */
  function pressed(event) {
    const label = KEYS[event.key];
    const { target } = event;
    const isElsewhere = !(target instanceof Element) || !target.closest("#stage") || target.matches(FIELDS);
    if (!label || !isReadable || element.hidden || !element.isConnected || isElsewhere || event.repeat || event.altKey || event.ctrlKey || event.metaKey)
      return;
    event.preventDefault();
    judged(label);
  }
  document.addEventListener("keydown", pressed);

  /** @param {?{number: number, count: number, query: string, own: boolean, answer: import("./swept.js").Asked | undefined}} one the question; its answer may still be to come; null when all are labelled */
  function show(one) {
    element.hidden = !one;
    isReadable = Boolean(one?.answer?.match) && !one?.answer?.unread;
    if (!one) return;
    const documents = one.answer?.documents;
    put(place, say(documents ? "sure.number.of" : "sure.number", { number: one.number, count: one.count, name: source, documents: count(documents ?? 0) }));
    // Disabled they would lose the focus while the next answer is on its way.
    for (const choice of choices) choice.setAttribute("aria-disabled", String(!isReadable));
    judge.hidden = Boolean(one.answer) && !isReadable;
    drop.hidden = !judge.hidden || !one.own;
    other.hidden = !elsewhere || !one.answer || Boolean(one.answer.match || one.answer.unread);
    const name = `${one.query} ${Boolean(one.answer)}`;
    if (body.dataset.of === name) return;
    body.dataset.of = name;
    fill(
      body,
      h("p.query.asked-text", { dir: "auto" }, "● ", one.query),
      one.answer ? match(one.answer, source) : h("p.soft.awaited", {}, say("sure.awaited")),
    );
  }

  return { element, show, leave: () => document.removeEventListener("keydown", pressed) };
}

/** @param {import("./swept.js").Asked} asked @param {string} source */
function match({ match, unread }, source) {
  if (unread) return h("p.unread", {}, say("ask.unread", { unknown: unread }));
  if (!match) return h("p", {}, rich("sure.nothing", { name: source }));
  return [
    h("p.small.soft", {}, rich("sure.match")),
    h("p.value.matched", { dir: "auto" }, clipped(match.value, LONGEST)),
    h("p.key.small", { dir: "auto" }, clipped(match.key, LONGEST)),
  ];
}
