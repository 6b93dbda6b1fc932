/** The energy of each step, falling. */

import { select } from "../../vendor/d3/d3-selection.js";
import { line } from "../../vendor/d3/d3-shape.js";
import { fixed } from "../numbers.js";
import { say } from "../words.js";

const WIDTH = 620;
const HEIGHT = 120;
const EDGE = { left: 46, right: 34, top: 18, bottom: 24 };

/** An SVG line from step to step, with the numbers written beside the points. */
export function energies() {
  const element = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  element.setAttribute("class", "chart energies");
  element.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  element.setAttribute("role", "img");
  const chart = select(element);
  chart.append("path").attr("class", "trace");

  /** @param {number[]} levels */
  function draw(levels) {
    element.setAttribute("aria-label", `${say("hopfield.energy")}: ${levels.map((level) => fixed(level)).join(", ")}`);
    const [low, high] = [Math.min(...levels), Math.max(...levels)];
    const x = (/** @type {number} */ i) => EDGE.left + (i / Math.max(1, levels.length - 1)) * (WIDTH - EDGE.left - EDGE.right);
    const y = (/** @type {number} */ level) => EDGE.top + (1 - (level - low) / (high - low || 1)) * (HEIGHT - EDGE.top - EDGE.bottom);
    chart.select(".trace").attr("d", line((_, i) => x(i), y)(levels));
    chart
      .selectAll("circle")
      .data(levels)
      .join("circle")
      .attr("r", 4)
      .attr("cx", (_, i) => x(i))
      .attr("cy", y);
    chart
      .selectAll("text.level")
      .data(levels)
      .join("text")
      .attr("class", "level")
      .attr("x", (_, i) => x(i))
      .attr("y", (level) => y(level) - 8)
      .attr("text-anchor", "middle")
      .text((level) => fixed(level));
    chart
      .selectAll("text.step")
      .data(levels)
      .join("text")
      .attr("class", "step")
      .attr("x", (_, i) => x(i))
      .attr("y", HEIGHT - 6)
      .attr("text-anchor", "middle")
      .text((_, i) => String(i));
  }

  return { element, draw };
}
