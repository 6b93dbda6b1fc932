/** Building elements: text always as text, so a hostile row is shown and never run. */

/**
 * An element. `h("button.plain", {onclick}, "Copy")`.
 *
 * @template {string} W
 * @param {W} what tag, then classes after dots
 * @param {Page.Props} [props] properties; names with a dash, `for` and `role` become attributes; `style` is an object of CSSOM properties
 * @param {...Page.Child} children
 * @returns {Page.ElementOf<W>}
 */
export function h(what, props = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const element = /** @type {Page.ElementOf<W>} */ (document.createElement(tag));
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined) continue;
    if (name === "style") for (const [rule, given] of Object.entries(props.style ?? {})) element.style.setProperty(rule, given);
    else if (name.includes("-") || ["for", "list", "role"].includes(name)) element.setAttribute(name, String(value));
    else Object.assign(element, { [name]: value });
  }
  element.append(...shown(children));
  return element;
}

/** Replace what an element holds. @template {Element} E @param {E} element @param {...Page.Child} children @returns {E} */
export function fill(element, ...children) {
  element.replaceChildren(...shown(children));
  return element;
}

/** Children without those that are not there; numbers as text. @param {readonly Page.Child[]} children @returns {(Node | string)[]} */
function shown(children) {
  return children.flatMap((child) => {
    if (child === null || child === undefined || child === "") return [];
    if (typeof child === "number") return [String(child)];
    return typeof child === "string" || child instanceof Node ? [child] : shown(child);
  });
}

/** Set text only where it changed: a screen reader hears no repetition and the layout stays clean. @param {Element} element @param {string} text */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** The drawing context of a canvas. @param {HTMLCanvasElement} canvas @param {CanvasRenderingContext2DSettings} [settings] */
export function penOf(canvas, settings) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", settings));
}
