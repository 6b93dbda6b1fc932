/** The desk of a picture of the lab: buttons that train, the state of the training, and the reason if there is none. */

import { SoftkvError, Unreachable } from "../../../../../service/softkv_service/web/shared/api.js";
import { fill, h, put } from "../../../../../service/softkv_service/web/shared/element.js";
import { attend, busy, run, stop, train } from "./session.js";

/** @typedef {import("../../story/story.js").Context} Context */
/** @typedef {import("../parts.js").Say} Say */
/** @typedef {import("./session.js").Trained} Trained */
/** @typedef {import("./session.js").Training} Training */
/**
 * @typedef {object} Plan a training: its name, what is asked, and what the network is called
 * @property {string} name
 * @property {Training} body
 * @property {string} shown
 */

const SECONDS = [5, 10, 30, 60, 120];
const [LEAST, MOST] = [1, 120];
/** Refusals with words of their own, by their codes. @type {Record<string, string | undefined>} */
const KNOWN = { lab_closed: "lab.closed", library_missing: "lab.missing", lab_busy: "lab.busy" };

/** Return the limits of a training, as the request has them. @param {{seconds: number, steps: number}} state */
export function budget({ seconds, steps }) {
  const whole = Math.min(MOST, Math.max(LEAST, seconds));
  return steps > 0 ? { seconds: whole, steps: Math.round(steps) } : { seconds: whole };
}

/**
 * The choice of seconds; one of the address is among them.
 * @param {Context} context
 */
export function secondsChoice({ say, state, set }) {
  const own = budget(state).seconds;
  const options = [...new Set([...SECONDS, own])].sort((a, b) => a - b);
  const select = /** @type {HTMLSelectElement} */ (
    h(
      "select",
      { id: "seconds", onchange: () => set({ seconds: Number(select.value) }) },
      options.map((value) => h("option", { value }, say("lab.seconds.of", { seconds: value }))),
    )
  );
  const element = h("label.many", {}, say("lab.seconds"), " ", select);
  return { element, show: (/** @type {{seconds: number, steps: number}} */ now) => (select.value = String(budget(now).seconds)) };
}

/**
 * @param {Context} context
 * @param {object} how
 * @param {{id: string, text: string, plan: () => Plan[]}[]} how.buttons each trains its plans, one after the other
 * @param {() => void} how.heard called at every event of a run
 * @param {(model: Trained, body: Training, isOfSeveral: boolean) => unknown} how.trained called when a run has ended well
 */
export function desk(context, { buttons, heard, trained }) {
  const { say, api } = context;
  let isOpen = false;
  let isChain = false;
  const status = h("p.small.strong", { id: "lab-said", role: "status" });
  const barred = h("p.notice", { id: "lab-barred", role: "status", hidden: true });
  const made = buttons.map(({ id, text, plan }) => h("button", { type: "button", id, onclick: () => all(plan()) }, text));
  const halt = h("button", { type: "button", id: "stop", disabled: true, onclick: () => ((isChain = false), stop()) }, say("lab.stop"));
  const row = h("div.desk-buttons", {}, made, halt);
  const element = h("div.desk", {}, row, barred, status);
  const release = attend(() => {
    show();
    heard();
  });

  /** Train one after the other, until one is stopped or fails. @param {Plan[]} plans */
  async function all(plans) {
    isChain = true;
    for (const { name, body, shown } of plans) {
      if (!isChain || busy()) break;
      put(status, say("lab.training", { model: shown }));
      const ended = await train(api, name, body);
      if (ended.problem) refuse(ended.problem);
      else put(status, say(`lab.${ended.state}`, { model: shown }));
      if (ended.state !== "trained" || !ended.trained) isChain = false;
      else await trained(ended.trained, body, plans.length > 1);
    }
    show();
  }

  /** Say why nothing is trained, and what to do about it. @param {SoftkvError} failure */
  function refuse(failure) {
    const words = KNOWN[failure.code ?? ""];
    put(status, "");
    if (failure.status === 401) return void context.patiently(Promise.reject(failure));
    barred.hidden = false;
    if (failure.code === "library_missing") row.hidden = true; // it has no torch until it starts anew
    if (words) fill(barred, ...say.rich(words));
    else if (failure instanceof Unreachable) put(barred, say("lab.lost"));
    else put(barred, say("refused", { detail: failure.detail }));
  }

  function show() {
    const now = busy();
    for (const button of made) button.disabled = now !== null || !isOpen;
    halt.disabled = now === null;
    if (now && run(now)?.state === "begun") barred.hidden = true;
  }

  /** An exported page has no service, so nothing can be trained. */
  function close() {
    barred.hidden = false;
    put(barred, say("lab.exported"));
    row.hidden = true;
  }

  /** Follow what the service says of its lab. @param {{open: boolean}} answer of GET /v1/lab */
  function follow(answer) {
    isOpen = answer.open;
    barred.hidden = answer.open;
    if (!answer.open) fill(barred, ...say.rich("lab.closed"));
    show();
  }

  show();
  return { element, follow, close, leave: () => ((isChain = false), release()) };
}
