/** Building elements: text always as text, so a hostile row is shown and never run. */

/**
 * An element. `h("button.plain", {onclick}, "Copy")`.
 *
 * @param {string} what tag, then classes after dots
 * @param {Object<string, *>} [props] properties; names with a dash, `for` and `role` become attributes; `style` is an object of CSSOM properties
 * @param {...(Node|string|number|null|Array)} children
 * @returns {HTMLElement}
 */
export function h(what, props = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined) continue;
    if (name === "style") for (const [rule, given] of Object.entries(value)) element.style.setProperty(rule, given);
    else if (name === "for") element.htmlFor = value;
    else if (name.includes("-") || name === "role" || name === "list") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

/** Replace what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

/** Set text only where it changed: a screen reader hears no repetition and the layout stays clean. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
