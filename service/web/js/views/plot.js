/** Points, the curve through them, and the weights of one query; points and query can be dragged. */

import { select } from "../../vendor/d3/d3-selection.js";
import { line } from "../../vendor/d3/d3-shape.js";
import { fixed, percent } from "../numbers.js";
import { say } from "../words.js";

const WIDTH = 860;
const HEIGHT = 480;
const EDGE = { left: 44, right: 16, top: 16, bottom: 36 };
const TOP = 6;

/** @param {number[]} range of x @param {{query: function(number), point: function(number, number, number)}} moved */
export function plot([low, high], moved) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  element.setAttribute("class", "chart plot");
  element.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  element.setAttribute("role", "img");
  const chart = select(element);
  const x = (value) => EDGE.left + ((value - low) / (high - low)) * (WIDTH - EDGE.left - EDGE.right);
  const y = (value) => HEIGHT - EDGE.bottom - (value / TOP) * (HEIGHT - EDGE.top - EDGE.bottom);
  axes(chart, x, y, low, high);
  for (const part of ["stems", "ground", "trace", "seeker", "dots"]) chart.append("g").attr("class", part);
  let held = null;

  const stop = new AbortController();
  const options = { signal: stop.signal };
  element.addEventListener("pointerdown", (event) => {
    const point = event.target.dataset.point;
    held = point === undefined ? "query" : Number(point);
    element.setPointerCapture(event.pointerId);
    drag(event);
  }, options);
  element.addEventListener("pointermove", (event) => held !== null && drag(event), options);
  element.addEventListener("pointerup", () => (held = null), options);

  function drag(event) {
    const box = element.getBoundingClientRect();
    const across = ((event.clientX - box.left) / box.width) * WIDTH;
    const down = ((event.clientY - box.top) / box.height) * HEIGHT;
    const at = Math.min(high, Math.max(low, low + ((across - EDGE.left) / (WIDTH - EDGE.left - EDGE.right)) * (high - low)));
    if (held === "query") moved.query(at);
    else moved.point(held, Number(at.toFixed(2)), Number(Math.min(TOP, Math.max(0, ((HEIGHT - EDGE.bottom - down) / (HEIGHT - EDGE.top - EDGE.bottom)) * TOP)).toFixed(2)));
  }

  /** @param {number[][]} points @param {number[][]} curve @param {{x: number, y: number, weights: ArrayLike<number>}} here */
  function draw(points, curve, here) {
    element.setAttribute("aria-label", say("regression.label", { x: fixed(here.x), y: fixed(here.y), points: points.length }));
    chart.select(".trace").selectAll("path").data([curve]).join("path").attr("d", line().x(([at]) => x(at)).y(([, value]) => y(value)));
    chart.select(".stems").selectAll("line").data(points).join("line")
      .attr("x1", x(here.x)).attr("y1", y(here.y)).attr("x2", ([at]) => x(at)).attr("y2", ([, value]) => y(value))
      .attr("stroke-width", (_, i) => Math.max(0.5, here.weights[i] * 22)).attr("stroke-opacity", (_, i) => 0.08 + 0.8 * Math.sqrt(here.weights[i]));
    chart.select(".dots").selectAll("circle").data(points).join("circle").attr("data-point", (_, i) => i)
      .attr("cx", ([at]) => x(at)).attr("cy", ([, value]) => y(value)).attr("r", (_, i) => 4.5 + 9 * Math.sqrt(here.weights[i]));
    chart.select(".dots").selectAll("text").data(points).join("text").attr("x", ([at]) => x(at)).attr("y", ([, value], i) => y(value) - 10 - 9 * Math.sqrt(here.weights[i]))
      .text((_, i) => (here.weights[i] > 0.04 ? percent(here.weights[i]) : ""));
    const seeker = chart.select(".seeker");
    seeker.selectAll("line").data([here]).join("line").attr("x1", x(here.x)).attr("x2", x(here.x)).attr("y1", EDGE.top).attr("y2", HEIGHT - EDGE.bottom);
    seeker.selectAll("circle").data([here]).join("circle").attr("cx", x(here.x)).attr("cy", y(here.y)).attr("r", 7);
    seeker.selectAll("text").data([here]).join("text").attr("x", x(here.x) + (here.x > 8 ? -12 : 12)).attr("text-anchor", here.x > 8 ? "end" : "start").attr("y", EDGE.top + 12).text(`● ${say("word.query")} x = ${fixed(here.x)}`);
  }

  return { element, draw, leave: () => stop.abort() };
}

function axes(chart, x, y, low, high) {
  const group = chart.append("g").attr("class", "axes");
  group.append("path").attr("d", `M${x(low)},${y(TOP)}V${y(0)}H${x(high)}`);
  for (let at = low; at <= high; at += 2) group.append("text").attr("x", x(at)).attr("y", y(0) + 18).attr("text-anchor", "middle").text(at);
  for (let value = 0; value <= TOP; value += 2) group.append("text").attr("x", x(low) - 8).attr("y", y(value) + 4).attr("text-anchor", "end").text(value);
  group.append("text").attr("class", "key").attr("x", x(high)).attr("y", y(0) + 32).attr("text-anchor", "end").text(`◆ ${say("word.key")} x`);
  group.append("text").attr("class", "value").attr("x", x(low) + 8).attr("y", y(TOP) + 6).text(`■ ${say("word.value")} y`);
}
