/** The query and the keys as points of a plane, to drag, with a line for every weight of one similarity. */

import { select } from "../../../../../service/softkv_service/web/vendor/d3/d3-selection.js";
import { fixed, percent } from "../../../../../service/softkv_service/web/shared/numbers.js";
import { LETTERS } from "./measures.js";

const REACH = 3.4;
const STEP = 0.1;
/** @type {Record<string, number[] | undefined>} */
const MOVES = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] };
const UNITS = 200;
const THICKEST = 14;

/**
 * @param {import("../parts.js").Say} say
 * @param {(spot: number, place: number[]) => void} moved called with the point that moved, 0 is the query, and its new place
 */
export function plane(say, moved) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  element.setAttribute("class", "chart plane");
  element.setAttribute("role", "group");
  element.setAttribute("viewBox", `${-UNITS} ${-UNITS} ${2 * UNITS} ${2 * UNITS}`);
  element.setAttribute("aria-label", say("plane"));
  const chart = select(element);
  chart.append("path").attr("class", "axes").attr("d", `M${-UNITS},0H${UNITS}M0,${-UNITS}V${UNITS}`);
  for (const part of ["stems", "spots"]) chart.append("g").attr("class", part);
  /** @type {?number} */
  let held = null;
  /** @type {number[][]} */
  let last = [];
  element.addEventListener("pointerdown", (event) => {
    const spot = /** @type {?SVGElement} */ (/** @type {Element} */ (event.target).closest("[data-spot]"));
    if (!spot) return;
    held = Number(spot.dataset.spot);
    element.setPointerCapture(event.pointerId);
  });
  element.addEventListener("pointermove", (event) => held !== null && moved(held, placeOf(event)));
  element.addEventListener("pointerup", () => (held = null));
  element.addEventListener("keydown", (event) => {
    const by = MOVES[event.key];
    const spot = /** @type {?SVGElement} */ (/** @type {Element} */ (event.target).closest("[data-spot]"));
    if (!by || !spot) return;
    event.preventDefault();
    const at = Number(spot.dataset.spot);
    moved(at, inside(last[at].map((number, i) => number + by[i])));
  });

  /** @param {PointerEvent} event */
  function placeOf(event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(element.getScreenCTM()?.inverse());
    return inside([(at.x / UNITS) * REACH, (-at.y / UNITS) * REACH]);
  }

  /**
   * @param {number[][]} spots
   * @param {?number[]} weights of the keys
   */
  function draw(spots, weights) {
    last = spots;
    const x = (/** @type {number[]} */ spot) => (spot[0] / REACH) * UNITS;
    const y = (/** @type {number[]} */ spot) => (-spot[1] / REACH) * UNITS;
    const [query, ...keys] = spots;
    chart
      .select(".stems")
      .selectAll("line")
      .data(keys)
      .join("line")
      .attr("x1", x(query))
      .attr("y1", y(query))
      .attr("x2", x)
      .attr("y2", y)
      .attr("stroke-width", (_, i) => Math.max(0.75, (weights?.[i] ?? 0) * THICKEST))
      .attr("stroke-opacity", (_, i) => 0.2 + 0.7 * Math.sqrt(weights?.[i] ?? 0));
    const groups = chart
      .select(".spots")
      .selectAll("g")
      .data(spots)
      .join((enter) => {
        const group = enter
          .append("g")
          .attr("tabindex", 0)
          .attr("role", "button")
          .attr("data-spot", (_, i) => i)
          .attr("class", (_, i) => (i ? "key" : "query"));
        group.append("circle").attr("r", 13);
        group
          .append("text")
          .attr("dy", "0.35em")
          .attr("text-anchor", "middle")
          .text((_, i) => (i ? LETTERS[i - 1] : "q"));
        return group;
      });
    groups
      .attr("transform", (spot) => `translate(${x(spot)},${y(spot)})`)
      .attr("aria-label", (spot, i) =>
        say(i ? "spot.key" : "spot.query", {
          name: i ? LETTERS[i - 1] : "q",
          x: fixed(spot[0], 1),
          y: fixed(spot[1], 1),
          weight: i && weights ? percent(weights[i - 1]) : "",
        }),
      );
  }

  return { element, draw };
}

/** @param {number[]} place */
function inside(place) {
  return place.map((number) => Number(Math.min(REACH - 0.2, Math.max(0.2 - REACH, number)).toFixed(2)));
}
