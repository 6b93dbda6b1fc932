/** Points, the curve through them, and the weights of one query; points and query can be dragged. */

import { select } from "../../../../service/softkv_service/web/vendor/d3/d3-selection.js";
import { line } from "../../../../service/softkv_service/web/vendor/d3/d3-shape.js";
import { fixed, percent } from "../../../../service/softkv_service/web/shared/numbers.js";

const SHAPE = 480 / 860;
const LOWEST = 240;
/** Around the plot, in the height of its text: room for what is written at the axes. */
const EDGE = { left: 1.8, right: 1, top: 1.2, bottom: 3.2 };
const TOP = 6;
/** A row that weighs less has no number. */
const TOLD = 0.04;

/** @typedef {{left: number, right: number, top: number, bottom: number}} Box */
/** @typedef {{x: number, y: number, r: number}} Dot */
/** @typedef {Box & {width: number, em: number, x: (value: number) => number, y: (value: number) => number}} Place the plot's box, and where a value falls in it */

/**
 * @param {import("./parts.js").Say} say
 * @param {number[]} range of x
 * @param {{query: (it: number) => void, point: (first: number, second: number, third: number) => void}} moved
 */
export function plot(say, [low, high], moved) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  element.setAttribute("class", "chart plot");
  element.setAttribute("role", "img");
  const chart = select(element);
  for (const part of ["axes", "stems", "ground", "trace", "seeker", "dots", "names"]) chart.append("g").attr("class", part);
  /** @type {?number | "query"} */
  let held = null;
  /** @type {?Parameters<typeof draw>} */
  let last = null;
  /** @type {?Place} */
  let place = null;

  const stop = new AbortController();
  const options = { signal: stop.signal };
  const watcher = new ResizeObserver(() => {
    const before = place;
    if (last && measure() !== before) draw(...last);
  });
  watcher.observe(element);
  element.addEventListener(
    "pointerdown",
    (event) => {
      const point = /** @type {SVGElement} */ (event.target).dataset.point;
      held = point === undefined ? "query" : Number(point);
      element.setPointerCapture(event.pointerId);
      drag(event);
    },
    options,
  );
  element.addEventListener("pointermove", drag, options);
  element.addEventListener("pointerup", () => (held = null), options);

  /** @param {PointerEvent} event */
  function drag(event) {
    if (held === null || !place) return;
    const box = element.getBoundingClientRect();
    const { left, bottom, x, y } = place;
    const at = Math.min(high, Math.max(low, low + ((event.clientX - box.left - left) / (x(high) - x(low))) * (high - low)));
    if (held === "query") return moved.query(at);
    const value = ((bottom - (event.clientY - box.top)) / (y(0) - y(TOP))) * TOP;
    moved.point(held, Number(at.toFixed(2)), Number(Math.min(TOP, Math.max(0, value)).toFixed(2)));
  }

  /** One unit is one pixel of the screen, so that the text has the size of the page's. Returns the same object if nothing has changed. */
  function measure() {
    const width = element.clientWidth || 860;
    const height = Math.max(LOWEST, Math.round(width * SHAPE));
    const em = parseFloat(getComputedStyle(element).fontSize) || 13;
    if (place?.width === width && place.em === em) return place;
    const [left, right, top, bottom] = [EDGE.left * em, width - EDGE.right * em, EDGE.top * em, height - EDGE.bottom * em];
    /** @type {Place} */
    const now = {
      width,
      em,
      left,
      right,
      top,
      bottom,
      x: (value) => left + ((value - low) / (high - low)) * (right - left),
      y: (value) => bottom - (value / TOP) * (bottom - top),
    };
    element.setAttribute("viewBox", `0 0 ${width} ${height}`);
    axes(say, chart, now, low, high);
    place = now;
    return now;
  }

  /**
   * @param {number[][]} points
   * @param {number[][]} curve
   * @param {{x: number, y: number, weights: ArrayLike<number>}} here
   */
  function draw(points, curve, here) {
    last = [points, curve, here];
    const { x, y, em, top, bottom } = place ?? measure();
    const radius = points.map((_, i) => em * (0.35 + 0.7 * Math.sqrt(here.weights[i])));
    element.setAttribute("aria-label", say("label", { x: fixed(here.x), y: fixed(here.y), points: points.length }));
    chart
      .select(".trace")
      .selectAll("path")
      .data([curve])
      .join("path")
      .attr(
        "d",
        line(
          ([at]) => x(at),
          ([, value]) => y(value),
        ),
      );
    chart
      .select(".stems")
      .selectAll("line")
      .data(points)
      .join("line")
      .attr("x1", x(here.x))
      .attr("y1", y(here.y))
      .attr("x2", ([at]) => x(at))
      .attr("y2", ([, value]) => y(value))
      .attr("stroke-width", (_, i) => Math.max(0.5, here.weights[i] * 22))
      .attr("stroke-opacity", (_, i) => 0.08 + 0.8 * Math.sqrt(here.weights[i]));
    chart
      .select(".dots")
      .selectAll("circle")
      .data(points)
      .join("circle")
      .attr("data-point", (_, i) => i)
      .attr("cx", ([at]) => x(at))
      .attr("cy", ([, value]) => y(value))
      .attr("r", (_, i) => radius[i]);
    const seeker = chart.select(".seeker");
    seeker.selectAll("line").data([here]).join("line").attr("x1", x(here.x)).attr("x2", x(here.x)).attr("y1", top).attr("y2", bottom);
    seeker
      .selectAll("circle")
      .data([here])
      .join("circle")
      .attr("cx", x(here.x))
      .attr("cy", y(here.y))
      .attr("r", em / 2);
    const late = here.x > (low + high) / 2;
    seeker
      .selectAll("text")
      .data([here])
      .join("text")
      .attr("x", x(here.x) + (late ? -em : em))
      .attr("text-anchor", late ? "end" : "start")
      .attr("y", top + em / 2)
      .text(`● ${say("term.query")} x = ${fixed(here.x)}`);
    const dots = points.map(([at, value], i) => ({ x: x(at), y: y(value), r: radius[i] }));
    const texts = named(dots, here.weights, em, { x: x(here.x), y: y(here.y), r: em / 2 });
    chart
      .select(".names")
      .selectAll("text")
      .data(texts)
      .join("text")
      .attr("x", (one) => one.x)
      .attr("y", (one) => one.y + em * 0.35)
      .text((one) => one.text);
  }

  return { element, draw, leave: () => (stop.abort(), watcher.disconnect()) };
}

/**
 * The weights beside their dots, heaviest first, each where it covers no dot and no other weight: above, below, or at a side.
 *
 * @param {Dot[]} dots @param {ArrayLike<number>} weights @param {number} em @param {Dot} seeker
 */
function named(dots, weights, em, seeker) {
  const taken = [...dots, seeker].map(({ x, y, r }) => ({ left: x - r, right: x + r, top: y - r, bottom: y + r }));
  const order = dots
    .map((_, i) => i)
    .filter((i) => weights[i] > TOLD)
    .sort((a, b) => weights[b] - weights[a]);
  return order.map((i) => {
    const text = percent(weights[i]);
    const { x, y, r } = dots[i];
    const [half, up, side] = [text.length * em * 0.31, r + em * 0.75, r + text.length * em * 0.31 + em * 0.3];
    const places = [
      [0, -up],
      [0, up],
      [side, 0],
      [-side, 0],
      [side, -up],
      [-side, -up],
      [side, up],
      [-side, up],
      [0, -2 * up],
      [0, 2 * up],
    ];
    const boxes = places.map(([dx, dy]) => ({
      x: x + dx,
      y: y + dy,
      left: x + dx - half,
      right: x + dx + half,
      top: y + dy - em * 0.5,
      bottom: y + dy + em * 0.5,
    }));
    const box = boxes.find((one) => one.left > 0 && taken.every((other) => apart(one, other))) ?? boxes[0];
    taken.push(box);
    return { text, x: box.x, y: box.y };
  });
}

/**
 * @param {Box} a
 * @param {Box} b
 */
function apart(a, b) {
  return a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
}

/**
 * @param {import("./parts.js").Say} say
 * @param {import("../../../../service/softkv_service/web/vendor/d3/d3-selection.js").Selection<SVGSVGElement, unknown, null, undefined>} chart
 * @param {Place} place
 * @param {number} low
 * @param {number} high
 */
function axes(say, chart, { x, y, em, left, right, top, bottom }, low, high) {
  const group = chart.select(".axes");
  /** @type {{x: number, y: number, anchor: string, kind?: string, text: string | number}[]} */
  const texts = [];
  for (let at = low; at <= high; at += 2) texts.push({ x: x(at), y: bottom + 1.3 * em, anchor: "middle", text: at });
  for (let value = 0; value <= TOP; value += 2) texts.push({ x: left - 0.6 * em, y: y(value) + 0.35 * em, anchor: "end", text: value });
  texts.push({ x: right, y: bottom + 2.7 * em, anchor: "end", kind: "key", text: `◆ ${say("term.key")} x` });
  texts.push({ x: left + 0.6 * em, y: top + 0.5 * em, anchor: "start", kind: "value", text: `■ ${say("term.value")} y` });
  group.selectAll("path").data([null]).join("path").attr("d", `M${left},${top}V${bottom}H${right}`);
  group
    .selectAll("text")
    .data(texts)
    .join("text")
    .attr("class", (one) => one.kind ?? null)
    .attr("x", (one) => one.x)
    .attr("y", (one) => one.y)
    .attr("text-anchor", (one) => one.anchor)
    .text((one) => one.text);
}
