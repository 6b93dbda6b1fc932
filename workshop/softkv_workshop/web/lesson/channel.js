/**
 * Messages between the projector's window and the teacher's window, within one browser. The projector sends its news after
 * each change and on request; the teacher sends orders. So either window may be loaded anew.
 */

/**
 * @typedef {object} RoomNews
 * @property {string} code
 * @property {Page.RoomRow[]} held
 * @property {{number: number, query: string}[]} waiting
 * @property {boolean} holds
 * @property {number} rows
 * @property {number} listeners
 * @property {?{query: string, guesses: number, isAnswered: boolean}} question
 */
/** @typedef {{at: number, begun: number, room: ?RoomNews}} News `room`: the room on the projector, if one is open */
/**
 * An order of the teacher's window: a step, or an act in the room.
 * @typedef {{press: 1 | -1} | {act: string, about?: string}} Order
 */

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
