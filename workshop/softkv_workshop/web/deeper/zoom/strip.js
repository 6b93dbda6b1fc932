/** A vector as a strip: a bar for each number, up or down from the middle. */

import { h } from "../../../../../service/softkv_service/web/shared/element.js";
import { fixed } from "../../../../../service/softkv_service/web/shared/numbers.js";
import { s, set } from "../../../../../service/softkv_service/web/shared/svg.js";

/** @typedef {ArrayLike<number>} Vector */

/**
 * @param {object} what
 * @param {(string | Node)[]} what.name
 * @param {Vector} what.numbers
 * @param {string} [what.kind] query, key, value, weight or plain: its colour
 * @param {number} [what.most] the size of a number at full height; left out, the largest of these
 * @param {string} what.label read out
 * @param {string} [what.beside] a number at its end, such as the length
 */
export function strip({ name, numbers, kind = "plain", most = largest(numbers), label, beside = "" }) {
  const n = numbers.length;
  const bars = Array.from(numbers, (number, i) => {
    const y = 1 - Math.max(-1, Math.min(1, number / (most || 1)));
    return `M${i} 1V${y.toFixed(3)}h1V1z`;
  });
  const cursor = s("rect.cursor", { y: 0, height: 2, width: 0 });
  const middle = s("path.middle", { d: `M0 1H${n}` });
  const drawing = s("svg.strip", { viewBox: `0 0 ${n} 2`, preserveAspectRatio: "none", role: "img", "aria-label": label });
  drawing.append(cursor, s("path.bars", { d: bars.join("") }), middle);
  const element = h(`div.strip-of.${kind}`, {}, h("span.strip-name", {}, name), drawing, h("span.number.soft", {}, beside));
  return {
    element,
    /** Mark a number. @param {number} at */
    point: (at) => set(cursor, { x: at, width: 1 }),
  };
}

/** The largest size of a number. @param {Vector} numbers */
export function largest(numbers) {
  return Array.from(numbers).reduce((most, number) => Math.max(most, Math.abs(number)), 0);
}

/** @param {Vector} numbers */
export function lengthOf(numbers) {
  return Math.sqrt(dot(numbers, numbers));
}

/**
 * @param {Vector} a
 * @param {Vector} b
 */
export function dot(a, b) {
  return Array.from(a).reduce((sum, number, i) => sum + number * b[i], 0);
}

/**
 * @param {Vector} a
 * @param {Vector} b
 */
export function cosine(a, b) {
  return dot(a, b) / (lengthOf(a) * lengthOf(b));
}

/**
 * Every number of some vectors of one width, in a table that is made when a reader opens it.
 *
 * @param {string} title
 * @param {string[]} names
 * @param {() => Vector[]} columns
 */
export function everyNumber(title, names, columns) {
  const element = h("details.numbers-of", {}, h("summary", {}, title));
  element.addEventListener("toggle", () => {
    if (!element.open || element.children.length > 1) return;
    const all = columns();
    const rows = Array.from(all[0], (_, i) => h("tr", {}, h("th", { scope: "row" }, i + 1), ...all.map((column) => h("td.number", {}, fixed(column[i], 5)))));
    const heads = ["#", ...names].map((name) => h("th", { scope: "col" }, name));
    element.append(
      h("div.scrolling", { tabIndex: 0, role: "group", "aria-label": title }, h("table", {}, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, rows))),
    );
  });
  return element;
}
