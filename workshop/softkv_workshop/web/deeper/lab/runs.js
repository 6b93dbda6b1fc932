/** Recorded trainings, as the events of a training of one's own tell them (`session.js`). */

import { unpackedRows } from "../../shared/recorded.js";

/** Fewer steps are too few to judge a network by. */
export const FEW_STEPS = 200;

/** @typedef {[step: number, seconds: number, loss: number, accuracy: number]} Moment */
/**
 * @typedef {object} Written what was written at a moment
 * @property {string} text
 * @property {string[]} tokens
 * @property {number[]} probabilities
 * @property {string} [weights]
 */
/**
 * @typedef {object} Recorded a training
 * @property {number} parameters
 * @property {[step: number, seconds: number, loss: number, milliseconds: number][]} losses
 * @property {Moment[]} moments
 * @property {number} accuracy
 * @property {[length: number, share: number][]} lengths
 * @property {?number} aligned
 */

/**
 * A recorded training as far as a moment.
 *
 * @param {Recorded} recorded one of a recording's runs, or the recording of pictures
 * @param {string} model
 * @param {number} moment
 * @returns {import("./session.js").Learned & {body: {model: string}}}
 */
export function runAt(recorded, model, moment) {
  const [step, seconds, , accuracy] = recorded.moments[moment];
  const isDone = moment === recorded.moments.length - 1;
  const losses = recorded.losses.filter(([at]) => at <= step);
  const step_ms = median(losses.map(([, , , milliseconds]) => milliseconds));
  const lengths = isDone ? recorded.lengths.map(([length, share]) => ({ length, accuracy: share })) : [];
  return {
    body: { model },
    begun: { parameters: recorded.parameters },
    steps: losses.map(([at, passed, loss]) => ({ step: at, seconds: passed, loss, step_ms })),
    tested: { step, seconds, accuracy: isDone ? recorded.accuracy : accuracy, lengths },
    trained: isDone ? { aligned: recorded.aligned } : null,
  };
}

/**
 * The output of a network at a moment, as `/v1/lab/decode` answers it.
 * @param {Written} output
 * @param {string[]} source
 */
export function decodedAt(output, source) {
  return {
    text: output.text,
    source,
    tokens: output.tokens.map((text, i) => ({ text, probability: output.probabilities[i] })),
    attention: output.weights ? [[unpackedRows(output.weights, source.length)]] : [],
  };
}

/** The seconds of an axis whose quarters are whole. @param {number} seconds */
export function wholeSeconds(seconds) {
  return 4 * Math.ceil(seconds / 4);
}

/** @param {number[]} numbers */
function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}
