/**
 * Messages between the projector's window and the teacher's window, within one browser. The projector sends its news after
 * each change and on request; the teacher sends orders. So either window may be loaded anew.
 */

/** @typedef {{code: string, held: Page.RoomRow[], waiting: {number: number, query: string}[], holds: boolean, rows: number, listeners: number, question: ?{query: string, guesses: number, isAnswered: boolean}}} RoomNews */
/** @typedef {{at: number, begun: number, room: ?RoomNews}} News `room`: the room on the projector, if one is open */
/** @typedef {{press: 1 | -1} | {act: string, about?: string}} Order what the teacher's window asks for: a step, or an act in the room */

/**
 * @param {string} lesson its name: a browser may show several
 * @param {(message: any) => void} heard
 * @returns {(message: object) => void} sends a message to the other windows
 */
export function channel(lesson, heard) {
  const line = new BroadcastChannel(`softkv-lesson-${lesson}`);
  line.onmessage = ({ data }) => heard(data);
  return (message) => line.postMessage(message);
}
