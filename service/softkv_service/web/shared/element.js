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

/**
 * An element with a child for each item. `each("ul", {}, names, (name) => h("li", {}, name))`.
 *
 * @template {string} W
 * @template T
 * @param {W} what
 * @param {Page.Props} props
 * @param {readonly T[]} items
 * @param {(item: T, at: number) => Page.Child} child
 */
export function each(what, props, items, child) {
  return h(what, props, items.map(child));
}

/**
 * A table that scrolls sideways by itself on a narrow screen.
 * @param {string} label
 * @param {string} what tag and classes
 * @param {readonly Page.Child[]} heads
 * @param {Page.Child} rows
 */
export function scrollingTable(label, what, heads, rows) {
  const table = h(what, {}, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, rows));
  return h("div.scrolling", { tabIndex: 0, role: "group", "aria-label": label }, table);
}

/**
 * Let a select have these values, each with its name.
 * @param {HTMLSelectElement} select
 * @param {readonly string[][]} options
 */
export function choices(select, options) {
  const all = options.map(([value, name]) => h("option", { value }, name));
  return fill(select, all);
}

/**
 * Replace what an element holds.
 * @template {Element} E
 * @param {E} element
 * @param {...Page.Child} children
 * @returns {E}
 */
export function fill(element, ...children) {
  element.replaceChildren(...shown(children));
  return element;
}

/**
 * Children without those that are not there; numbers as text.
 * @param {readonly Page.Child[]} children
 * @returns {(Node | string)[]}
 */
function shown(children) {
  return children.flatMap((child) => {
    if (child === null || child === undefined || child === "") return [];
    if (typeof child === "number") return [String(child)];
    return typeof child === "string" || child instanceof Node ? [child] : shown(child);
  });
}

/**
 * Set text only where it changed: a screen reader hears no repetition and the layout stays clean.
 * @param {Element} element
 * @param {string} text
 */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * The drawing context of a canvas.
 * @param {HTMLCanvasElement} canvas
 * @param {CanvasRenderingContext2DSettings} [settings]
 */
export function penOf(canvas, settings) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", settings));
}
