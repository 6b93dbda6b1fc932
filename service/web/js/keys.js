/** Keys of the whole page. A presenter's: PageDown goes from the question to the answer to the next scene, PageUp back; Home and End to the first scene and the last. Undo. */

import { h } from "./element.js";
import { SCENES } from "./scenes.js";
import { say } from "./words.js";

const CONTROLS = "input, select, textarea, [contenteditable]";

/** @type {Record<string, number | undefined>} */
const BY = { PageDown: 1, PageUp: -1 };
/** @type {Record<string, Page.Scene | undefined>} */
const ENDS = { Home: SCENES[0], End: SCENES.at(-1) };

/** Listen on the document, for as long as the page is open; a control keeps its own keys. @param {Page.Store} store */
export function keys(store) {
  const said = h("p.unseen", { id: "presenter", role: "status" });
  document.body.append(said);
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || (event.target instanceof Element && event.target.closest(CONTROLS)) || event.altKey || event.shiftKey) return;
    const modified = event.ctrlKey || event.metaKey;
    if (modified && event.key === "z" && store.undoable) {
      event.preventDefault(); // the browser would take back what was typed in some field, too
      store.undo();
    }
    const by = BY[event.key];
    const end = ENDS[event.key];
    if (modified || !(by ? walk(store, by) : end && jump(store, end))) return;
    event.preventDefault();
    window.scrollTo(0, 0);
    said.textContent = words(store.state);
  });
}

/** The question of the first scene or of the last; false where that is seen already. @param {Page.Store} store @param {Page.Scene} scene */
function jump(store, { name }) {
  if (store.state.scene === name) return false;
  store.go(name);
  return true;
}

/** One step; false at either end. @param {Page.Store} store @param {number} by */
function walk(store, by) {
  const { scene, revealed } = store.state;
  const next = SCENES[SCENES.findIndex((one) => one.name === scene) + by];
  if (by > 0 && !revealed) store.set({ revealed: true });
  else if (by < 0 && revealed) store.set({ revealed: false, guess: null });
  else if (next) store.go(next.name, by < 0);
  else return false;
  return true;
}

/** @param {Page.State} state */
function words({ scene, revealed }) {
  const number = SCENES.findIndex((one) => one.name === scene) + 1;
  return say(revealed ? "presenter.shown" : "presenter.covered", { number, count: SCENES.length });
}
