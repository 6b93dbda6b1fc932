/** The Brier score of the labels over every position of the slider, with a mark where it is least. */

import { select } from "../../../vendor/d3/d3-selection.js";
import { line } from "../../../vendor/d3/d3-shape.js";
import { fixed, temperatureText } from "../../numbers.js";
import { positionOf, STEPS, temperatureAt } from "../../scale.js";
import { say } from "../../words.js";

/** As far from the sides as the middle of the slider's thumb, in rem. */
const INSET = 0.625;
const HEIGHT = 6.5;
const EDGE = { top: 1.9, bottom: 0.4 };

/** @returns {{element: SVGElement, draw: (first: number[], second: number | null, third: number) => void, leave: () => void}} */
export function curve() {
  const element = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  element.setAttribute("class", "chart brier");
  element.setAttribute("id", "brier");
  element.setAttribute("role", "img");
  const chart = select(element);
  for (const part of ["trace", "here", "least"]) chart.append("g").attr("class", part);
  /** @type {?Parameters<typeof draw>} */
  let last = null;
  const watcher = new ResizeObserver(() => last && draw(...last));
  watcher.observe(element);

  /** @param {number[]} scores of every position @param {?number} least the position of the mark @param {number} temperature where the slider is */
  function draw(scores, least, temperature) {
    last = [scores, least, temperature];
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const [width, height] = [element.clientWidth || 320, HEIGHT * rem];
    const most = Math.max(0.5, ...scores);
    const x = (/** @type {number} */ position) => INSET * rem + (position / STEPS) * (width - 2 * INSET * rem);
    const y = (/** @type {number} */ score) => EDGE.top * rem + (1 - score / most) * (height - (EDGE.top + EDGE.bottom) * rem);
    const here = positionOf(temperature);
    element.setAttribute("viewBox", `0 0 ${width} ${height}`);
    chart
      .select(".trace")
      .selectAll("path")
      .data([`M${x(0)},${y(0)}H${x(STEPS)}`, line((_, i) => x(i), y)(scores)])
      .join("path")
      .attr("class", (_, i) => (i ? "scores" : "zero"))
      .attr("d", (d) => d);
    chart
      .select(".here")
      .selectAll("path")
      .data([here])
      .join("path")
      .attr("d", `M${x(here)},${y(0)}V${y(most)}`);
    chart
      .select(".here")
      .selectAll("circle")
      .data([here])
      .join("circle")
      .attr("r", 0.3 * rem)
      .attr("cx", x(here))
      .attr("cy", y(scores[here]));
    const marks = least === null ? [] : [least];
    chart
      .select(".least")
      .selectAll("path")
      .data(marks)
      .join("path")
      .attr("d", (at) => `M${x(at)},${1.5 * rem}l${-0.3 * rem},${-0.5 * rem}h${0.6 * rem}zV${y(scores[at])}`);
    chart
      .select(".least")
      .selectAll("text")
      .data(marks)
      .join("text")
      .attr("x", (at) => Math.min(Math.max(x(at), width * 0.25), width * 0.75))
      .attr("y", 0.8 * rem)
      .attr("text-anchor", "middle")
      .text((at) => say("sure.least.mark", { T: temperatureText(temperatureAt(at)) }));
    const ends = { here: fixed(scores[here], 3), cold: fixed(scores[0], 3), hot: fixed(scores[STEPS], 3) };
    element.setAttribute(
      "aria-label",
      `${say("sure.curve", ends)}${least === null ? "" : ` ${say("sure.least.mark", { T: temperatureText(temperatureAt(least)) })}: ${fixed(scores[least], 3)}.`}`,
    );
  }

  return { element, draw, leave: () => watcher.disconnect() };
}
