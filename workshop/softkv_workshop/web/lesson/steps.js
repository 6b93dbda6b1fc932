/** The plan of the lesson, press by press. */

import plan from "./plan.json";

/** @typedef {{en: string, zh: string}} Spoken */

/**
 * @typedef {object} Step
 * @property {string} [chapter]
 * @property {number} [screen] of the chapter, from 1
 * @property {import("../story/address.js").State} [state] what is shown of it
 * @property {boolean} [guess] whether its guess is revealed
 * @property {boolean} [play] whether it plays what moves
 * @property {boolean} [hood] whether the hood is open
 * @property {boolean} [room] the class goes to the room
 * @property {import("./slide.js").Kind} [slide] what is shown in place of the story
 * @property {Spoken} shows its name
 * @property {Spoken} say what the teacher may say
 */

/** @typedef {{from: number, en: string, zh: string, steps: Step[]}} Part */

export const PARTS = /** @type {Part[]} */ (plan.parts);

/** Every step, with the number of its part and its own number there, from 0. */
export const STEPS = PARTS.flatMap(({ steps }, part) => steps.map((step, number) => ({ step, part, number })));

/** The step that is the room. */
export const ROOM = STEPS.findIndex(({ step }) => step.room);

const MINUTE = 60_000;

/** The minute at which a part ends. @param {number} part */
export function endOf(part) {
  return PARTS[part + 1]?.from ?? plan.minutes;
}

/**
 * The time since the lesson began, as the clock has it, and whether its part should be over.
 * @param {number} begun 0: it has not
 * @param {number} part
 */
export function clock(begun, part) {
  const passed = begun ? (Date.now() - begun) / MINUTE : 0;
  return { text: `${Math.floor(passed)}:${String(Math.floor((passed % 1) * 60)).padStart(2, "0")}`, isLate: passed > endOf(part) };
}
