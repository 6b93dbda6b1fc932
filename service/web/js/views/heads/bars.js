/** The numbers of a vector as bars above and below a line. */

import { select } from "../../../vendor/d3/d3-selection.js";
import { fixed } from "../../numbers.js";

const HEIGHT = 34;
const STEP = 10;

/** @param {string} kind query, key, value or weight: its colour */
export function bars(kind) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  element.setAttribute("class", `bars-of ${kind}`);
  element.setAttribute("role", "img");
  element.setAttribute("preserveAspectRatio", "none");
  const chart = select(element);

  /** @param {number[]} numbers @param {string} name */
  function draw(numbers, name) {
    const most = Math.max(...numbers.map(Math.abs)) || 1;
    const high = (/** @type {number} */ number) => (Math.abs(number) / most) * (HEIGHT / 2);
    element.setAttribute("viewBox", `0 0 ${numbers.length * STEP} ${HEIGHT}`);
    element.setAttribute("aria-label", `${name}: ${numbers.map((number) => fixed(number)).join(", ")}`);
    chart
      .selectAll("rect")
      .data(numbers)
      .join("rect")
      .attr("x", (_, i) => i * STEP + 1)
      .attr("width", STEP - 2)
      .attr("y", (number) => HEIGHT / 2 - (number > 0 ? high(number) : 0))
      .attr("height", high)
      .attr("class", (number) => (number < 0 ? "below" : null));
  }

  return { element, draw };
}
