/** What trains in a scene: its buttons, how far it is, and what stands in the way. */

import { SoftkvError, Unreachable } from "../../api.js";
import { fill, h, put } from "../../element.js";
import { say } from "../../words.js";
import { attend, busy, run, stop, train } from "./session.js";

const SECONDS = [5, 10, 30, 60, 120];
const [LEAST, MOST] = [1, 120];
/** Refusals with words of their own, by their codes. @type {Record<string, string | undefined>} */
const KNOWN = { lab_closed: "lab.closed", library_missing: "lab.missing", lab_busy: "lab.busy" };

/** How long a training may take, as the request has it. @param {{seconds: number, steps: number}} state */
export function budget({ seconds, steps }) {
  const whole = Math.min(MOST, Math.max(LEAST, seconds));
  return steps > 0 ? { seconds: whole, steps: Math.round(steps) } : { seconds: whole };
}

/** The choice of seconds; one of the address's own is among them. @param {Page.Store} store @param {string} label the name of its words */
export function secondsChoice(store, label = "lab.seconds.most") {
  const own = budget(store.state).seconds;
  const select = h(
    "select",
    { id: "seconds", onchange: () => store.set({ seconds: Number(select.value) }) },
    [...new Set([...SECONDS, own])].sort((a, b) => a - b).map((value) => h("option", { value }, say("lab.seconds.of", { seconds: value }))),
  );
  const element = h("div", {}, h("label", { for: "seconds" }, say(label)), select);
  return { element, show: (/** @type {Page.State} */ state) => (select.value = String(budget(state).seconds)) };
}

/** @typedef {{name: string, body: Page.Training, shown: string}} Plan a training: its name, what is asked, and what the network is called */

/**
 * @param {Page.Context} context
 * @param {object} how
 * @param {{id: string, text: string, plan: () => Plan[]}[]} how.buttons one after the other is trained
 * @param {(it: string) => void} how.heard an event of a run came
 * @param {(model: Page.Trained, body: Page.Training, isOfSeveral: boolean) => unknown} how.trained a run has ended well; whether it was one of several
 */
export function desk(context, { buttons, heard, trained }) {
  const { api } = context;
  let isOpen = false;
  let isChain = false;
  const said = h("p.small.strong", { id: "lab-said", role: "status" });
  const barred = h("p.notice", { id: "lab-barred", hidden: true });
  const made = buttons.map(({ id, text, plan }) => h("button", { type: "button", id, onclick: () => all(plan()) }, text));
  const halt = h("button", { type: "button", id: "stop", disabled: true, onclick: () => ((isChain = false), stop()) }, say("lab.stop"));
  const element = h("div.desk", {}, barred, h("div.desk-buttons", {}, made, halt), said);
  const release = attend((name) => {
    show();
    heard(name);
  });

  /** One after the other, until one is stopped or fails. @param {Plan[]} plans */
  async function all(plans) {
    isChain = true;
    for (const { name, body, shown } of plans) {
      if (!isChain || busy()) break;
      put(said, say("lab.training", { model: shown }));
      const told = await train(api, name, body);
      tell(told, shown);
      if (told.state !== "trained" || !told.trained) isChain = false;
      else await trained(told.trained, body, plans.length > 1);
    }
    show();
  }

  /** @param {Page.Run} told @param {string} shown */
  function tell(told, shown) {
    if (told.problem) refuse(told.problem);
    else put(said, say(`lab.${told.state}`, { model: shown }));
  }

  /** A refusal, with what to do about it. @param {SoftkvError} failure */
  function refuse(failure) {
    const known = KNOWN[failure.code ?? ""];
    put(said, "");
    if (failure.status === 401) return context.notice.show(failure);
    barred.hidden = false;
    if (known) put(barred, say(known));
    else if (failure instanceof Unreachable) put(barred, say("lab.lost"));
    else fill(barred, say("notice.refused"), " ", h("span", { dir: "auto" }, failure.detail));
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
    /** @type {HTMLElement} */ (element.querySelector(".desk-buttons")).hidden = true;
  }

  /** What the service says of its lab. @param {{open: boolean}} answer of GET /v1/lab */
  function follow(answer) {
    isOpen = answer.open;
    barred.hidden = answer.open;
    if (!answer.open) put(barred, say("lab.closed"));
    show();
  }

  show();
  return { element, follow, close, leave: () => ((isChain = false), release()) };
}
