/**
 * The page's pictures in a notebook, as a module of anywidget: `softkv.widget` of Python has the state of each widget.
 *
 * A widget is in a shadow root, so that no style of a notebook is in it, and none of its own in the notebook.
 */

import { h, penOf } from "../shared/element.js";
import { preferred } from "../shared/words.js";
import { heads } from "./heads.js";
import { lookup } from "./lookup.js";

/**
 * A widget's state, which Python has too.
 *
 * @typedef {object} Model
 * @property {(name: string) => any} get
 * @property {(name: string, value: unknown) => void} set
 * @property {(events: string, call: () => void) => void} on
 * @property {(events: string, call: () => void) => void} off
 * @property {() => void} save_changes sends what was set
 */

/**
 * A picture of the state of a widget.
 *
 * @typedef {object} View
 * @property {Element} element
 * @property {Record<string, () => void>} follow by the name of a part of the state: draw its change in Python
 * @property {() => void} leave
 */

/** @type {Record<string, (model: Model, language: import("../shared/words.js").Language) => View>} */
const VIEWS = { lookup, heads };
const MIDDLE = 128;

/** @param {{model: Model, el: HTMLElement}} shown */
function render({ model, el }) {
  const view = VIEWS[model.get("_view")](model, preferred(navigator.languages));
  // Without this, JupyterLab takes letters that are typed in a widget for its shortcuts.
  const host = h("div.softkv-widget", { "data-lm-suppress-shortcuts": "true" });
  host.attachShadow({ mode: "open" }).append(h("style", {}, model.get("_style")), h("div.widget", {}, view.element));
  el.append(host);

  const dress = () => {
    host.dataset.theme = isDark(el) ? "dark" : "light";
  };
  const themes = new MutationObserver(() => requestAnimationFrame(dress));
  for (const element of [document.documentElement, document.body]) themes.observe(element, { attributes: true });
  const preference = window.matchMedia("(prefers-color-scheme: dark)");
  preference.addEventListener("change", dress);
  requestAnimationFrame(dress); // a notebook puts `el` on the page after this

  const follow = Object.entries(view.follow).map(([name, call]) => /** @type {const} */ ([`change:${name}`, call]));
  for (const [event, call] of follow) model.on(event, call);
  return () => {
    for (const [event, call] of follow) model.off(event, call);
    preference.removeEventListener("change", dress);
    themes.disconnect();
    view.leave();
  };
}

/** Whether an element is on a dark ground, whatever a notebook calls its themes. @param {HTMLElement} element */
function isDark(element) {
  const pen = penOf(h("canvas", { width: 1, height: 1 }), { willReadFrequently: true });
  for (let at = /** @type {?Element} */ (element); at; at = at.parentElement ?? hostOf(at)) {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = getComputedStyle(at).backgroundColor;
    pen.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = pen.getImageData(0, 0, 1, 1).data;
    if (alpha > MIDDLE) return (red + green + blue) / 3 < MIDDLE;
  }
  return false;
}

/**
 * The element whose shadow another is in.
 * @param {Element} element
 * @returns {?Element}
 */
function hostOf(element) {
  const root = element.getRootNode();
  return root instanceof ShadowRoot ? root.host : null;
}

export default { render };
