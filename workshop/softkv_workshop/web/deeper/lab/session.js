/** The current training and the last ones, for as long as the page is open: a change of language ends nothing. */

import { Refused, SoftkvError, Unreachable } from "../../../../../service/softkv_service/web/shared/api.js";

/** The body of a training: see `POST /v1/lab/train`. @typedef {{task: string, model?: string, seconds: number, steps?: number}} Training */
/** A model that the lab has trained, with examples that it never saw. @typedef {{id: string, aligned?: ?number, examples: {source: string, picture: number[][], target: string}[]}} Trained */
/** @typedef {{id: string, task: string, model: string, accuracy: number, seconds: number}} Model */
/** The models of the lab: see `GET /v1/lab`. @typedef {{open: boolean, models: Model[]}} Lab */
/** @typedef {{step: number, seconds: number, loss: number, step_ms: number}} Step */
/**
 * @typedef {object} Tested
 * @property {number} step
 * @property {number} seconds
 * @property {number} accuracy
 * @property {{length: number, accuracy: number}[]} lengths
 */
/**
 * A network, while it is trained or recorded.
 *
 * @typedef {object} Learned
 * @property {{model?: string}} body
 * @property {?{parameters: number}} begun
 * @property {Step[]} steps
 * @property {?Tested} tested
 * @property {?{aligned?: ?number}} trained
 */
/**
 * A training of the reader's.
 *
 * @typedef {object} Run
 * @property {string} state
 * @property {Training} body
 * @property {?{parameters: number}} begun
 * @property {Step[]} steps
 * @property {?Tested} tested
 * @property {?Trained} trained
 * @property {?SoftkvError} problem
 */
/** @typedef {{kind: string, name: string, run: Learned}} Network */

/** A picture that is drawn anew takes over within this time; else its training ends. */
const TAKEN_OVER_MS = 1500;

/** The last run of each name. @type {Map<string, Run>} */
const runs = new Map();
/** @type {?{name: string, controller: AbortController}} */
let current = null;
/** @type {((name: string) => void) | null} */
let hearing = null;
let leaving = 0;

/** The last run of a name, or undefined. @param {string} name */
export function run(name) {
  return runs.get(name);
}

/** The name of what is being trained; null where nothing is. */
export function busy() {
  return current?.name ?? null;
}

/** Call a function at every event from now on. @param {(name: string) => void} heard called with the run's name */
export function attend(heard) {
  clearTimeout(leaving);
  hearing = heard;
  return () => {
    if (hearing !== heard) return;
    hearing = null;
    leaving = setTimeout(stop, TAKEN_OVER_MS);
  };
}

/** Hang up, which ends the training. */
export function stop() {
  current?.controller.abort();
}

/**
 * Train one, until it is done or ended.
 *
 * @param {import("../../../../../service/softkv_service/web/shared/api.js").API} api @param {string} name @param {Training} body of POST /v1/lab/train
 * @returns {Promise<Run>} the run; its `state` is trained, stopped or failed
 */
export async function train(api, name, body) {
  const mine = { name, controller: new AbortController() };
  /** @type {Run} */
  const told = { body, begun: null, steps: [], tested: null, trained: null, state: "begun", problem: null };
  current = mine;
  runs.set(name, told);
  hearing?.(name);
  try {
    for await (const { name: kind, data } of api.events("/v1/lab/train", { body, signal: mine.controller.signal })) {
      take(told, kind, data);
      hearing?.(name);
    }
    if (told.state === "begun") throw new Unreachable("", true);
  } catch (failure) {
    const isStopped = mine.controller.signal.aborted;
    if (!isStopped && !(failure instanceof SoftkvError)) throw failure;
    told.state = isStopped ? "stopped" : "failed";
    told.problem = !isStopped && failure instanceof SoftkvError ? failure : null;
  } finally {
    if (current === mine) current = null;
    hearing?.(name);
  }
  return told;
}

/**
 * An event of the service: what it tells, by its kind.
 * @param {Run} told
 * @param {string} kind
 * @param {any} data
 */
function take(told, kind, data) {
  if (kind === "begun") told.begun = data;
  else if (kind === "step") told.steps.push(data);
  else if (kind === "tested") told.tested = data;
  else if (kind === "trained") Object.assign(told, { tested: data, trained: data, state: "trained" });
  else if (kind === "problem") throw new Refused(data.detail, { status: data.status, code: data.code });
}
