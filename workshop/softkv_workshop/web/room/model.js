/** The browser's model of a room, kept up to date by its events. */

/**
 * Nothing is known yet.
 * @param {string} code
 * @returns {Page.Room}
 */
export function unknown(code) {
  return { code, rows: new Map(), hold: false, held: [], waiting: [], question: null, listeners: 0 };
}

/**
 * The room after an event; unknown events change nothing.
 * @param {Page.Room} room
 * @param {Page.RoomEvent} event
 * @returns {Page.Room}
 */
export function after(room, { name, data }) {
  if (name === "room")
    return {
      code: data.code,
      rows: new Map(data.rows.map((row) => [row.id, row])),
      hold: data.hold,
      held: data.held ?? [],
      waiting: data.waiting,
      question: data.question ?? null,
      listeners: data.listeners,
    };
  if (name === "row") return { ...room, rows: new Map(room.rows).set(data.id, data) };
  if (name === "removed") return { ...room, rows: new Map([...room.rows].filter(([id]) => id !== data.id)) };
  if (name === "hold") return { ...room, hold: data.hold };
  if (name === "held") return { ...room, held: data.rows };
  if (name === "waiting") return { ...room, waiting: data.waiting };
  if (name === "here") return { ...room, listeners: data.listeners };
  if (name === "question" || name === "answer") return { ...room, question: data };
  const { question } = room;
  if (name === "temperature" && isAnswered(question) && question.number === data.number)
    return { ...room, question: { ...question, shown_temperature: data.temperature } };
  if (name === "guesses" && question?.number === data.number) return { ...room, question: { ...question, guesses: data.guesses } };
  return room;
}

/** @typedef {import("./live.js").Answer} Answer */

/**
 * Whether the answer to a question is revealed.
 * @param {?Page.RoomQuestion} question
 * @returns {question is import("./live.js").Answered}
 */
export function isAnswered(question) {
  return Boolean(question?.answer);
}

/** Weights that differ by less are equal but for rounding. */
const EQUAL = 1e-9;

/**
 * The heaviest parts of an answer: ids of rows, and null for "none of these"; several on a tie.
 * @param {Answer} answer
 * @returns {Set<?string>}
 */
export function leaders({ matches, null_weight: none }) {
  const most = Math.max(none, ...matches.map(({ weight }) => weight));
  const first = matches.filter(({ weight }) => most - weight < EQUAL).map(({ id }) => id);
  return new Set(most - none < EQUAL ? [...first, null] : first);
}

/**
 * The heaviest part of an answer, a row's id or null for "none of these"; undefined on a tie.
 * @param {Answer} answer
 * @returns {?string | undefined}
 */
export function winner(answer) {
  const first = leaders(answer);
  return first.size === 1 ? [...first][0] : undefined;
}

/** Whether all rows weigh the same, several of them. @param {Answer} answer */
export function isTie({ matches }) {
  return matches.length > 1 && matches[0].weight - matches[matches.length - 1].weight < EQUAL;
}

/**
 * The weight of a row, or of "none of these"; 0 for a row that came later.
 * @param {Answer} answer
 * @param {?string} id
 */
export function weightOf(answer, id) {
  return id === null ? answer.null_weight : (answer.matches.find((match) => match.id === id)?.weight ?? 0);
}

/**
 * The number of guesses of a row.
 * @param {Answer} answer
 * @param {?string} id
 */
export function guessesOf(answer, id) {
  return id === null ? answer.null_guesses : (answer.matches.find((match) => match.id === id)?.guesses ?? 0);
}
