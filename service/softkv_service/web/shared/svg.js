/** Building SVG: text always as text, as in `shared/element.js`. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An SVG element. `s("rect.key", { width: 10 })`.
 *
 * @template {keyof SVGElementTagNameMap} T
 * @param {T | `${T}.${string}`} what tag, then classes after dots
 * @param {Record<string, string | number | null | undefined>} [attributes]
 * @param {...(Node | string)} children
 * @returns {SVGElementTagNameMap[T]}
 */
export function s(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const element = /** @type {SVGElementTagNameMap[T]} */ (document.createElementNS(SVG, tag));
  if (classes.length) element.setAttribute("class", classes.join(" "));
  set(element, attributes);
  element.append(...children);
  return element;
}

/**
 * Set attributes, only those that change.
 *
 * @param {SVGElement} element
 * @param {Record<string, string | number | null | undefined>} attributes null or undefined takes one away
 */
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined) element.removeAttribute(name);
    else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
  }
}
