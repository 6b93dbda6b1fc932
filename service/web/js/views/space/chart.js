/** Keys as dots on a plane, as large as they weigh; the query to drag among them, and rings of equal weight around it. */

import { select } from "../../../vendor/d3/d3-selection.js";
import { line } from "../../../vendor/d3/d3-shape.js";
import { percent } from "../../numbers.js";
import { clipped, say } from "../../words.js";

const WIDTH = 860;
const HEIGHT = 600;
const EDGE = 48;
const NAMED = 6;
const LONGEST = 30;
const STEP = 0.02;
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** @param {function(number[]): void} moved told where the query was put */
export function chart(moved) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const drawn = select(element).attr("class", "chart space-chart").attr("id", "space").attr("viewBox", `0 0 ${WIDTH} ${HEIGHT}`).attr("tabindex", 0).attr("role", "application");
  for (const part of ["axes", "rings", "dots", "names", "seeker"]) drawn.append("g").attr("class", part);
  let scale = null;
  let at = [0, 0];
  let held = false;
  element.addEventListener("pointerdown", (event) => {
    held = true;
    element.setPointerCapture(event.pointerId);
    drag(event);
  });
  element.addEventListener("pointermove", (event) => held && drag(event));
  element.addEventListener("pointerup", () => (held = false));
  element.addEventListener("keydown", (event) => {
    const step = MOVES[event.key];
    if (!step) return;
    event.preventDefault();
    put([at[0] + STEP * step[0], at[1] + STEP * step[1]]);
  });

  function drag(event) {
    const box = element.getBoundingClientRect();
    const [x, y] = [((event.clientX - box.left) / box.width) * WIDTH, ((event.clientY - box.top) / box.height) * HEIGHT];
    put([(x - WIDTH / 2) / scale.unit + scale.middle[0], (HEIGHT / 2 - y) / scale.unit + scale.middle[1]]);
  }

  /** Within the frame, to three decimals. */
  function put(place) {
    const reach = [WIDTH / 2 / scale.unit, HEIGHT / 2 / scale.unit];
    at = place.map((one, i) => Number(Math.min(scale.middle[i] + reach[i], Math.max(scale.middle[i] - reach[i], one)).toFixed(3)));
    seek();
    moved(at);
  }

  /** The query is where it was put at once; what it gets comes with the answer. */
  function seek() {
    drawn.select(".seeker").selectAll("circle").data([point(at)]).join("circle").attr("cx", ([x]) => x).attr("cy", ([, y]) => y).attr("r", 9);
  }

  /** One unit of the space is as long across as up. @param {number[][]} places */
  function fit(places) {
    const ends = [0, 1].map((i) => [Math.min(...places.map((one) => one[i])), Math.max(...places.map((one) => one[i]))]);
    const unit = Math.min((WIDTH - 2 * EDGE) / (ends[0][1] - ends[0][0]), (HEIGHT - 2 * EDGE) / (ends[1][1] - ends[1][0]));
    scale = { unit, middle: ends.map(([low, high]) => (low + high) / 2) };
    const axes = [{ d: `M8,${HEIGHT - 8}H${WIDTH - 8}`, x: WIDTH - 12, y: HEIGHT - 16, text: say("space.axis", { i: 1 }) }, { d: `M8,${HEIGHT - 8}V8`, x: 16, y: 22, text: say("space.axis", { i: 2 }) }];
    drawn.select(".axes").selectAll("path").data(axes).join("path").attr("d", ({ d }) => d);
    drawn.select(".axes").selectAll("text").data(axes).join("text").attr("x", ({ x }) => x).attr("y", ({ y }) => y).attr("text-anchor", (_, i) => (i ? "start" : "end")).text(({ text }) => text);
  }

  function point([a, b]) {
    return [WIDTH / 2 + (a - scale.middle[0]) * scale.unit, HEIGHT / 2 - (b - scale.middle[1]) * scale.unit];
  }

  /** How far the frame goes, in units of the space. */
  function reach() {
    return (2 * WIDTH) / scale.unit;
  }

  /** @param {number[]} place of the query @param {number[][][]} rings @param {{key: string, place: number[], weight: number}[]} dots */
  function draw(place, rings, dots) {
    at = place;
    drawn.select(".rings").selectAll("path").data(rings).join("path").attr("d", (ring) => `${line()(ring.map(point))}Z`);
    drawn.select(".dots").selectAll("circle").data(dots).join("circle").attr("cx", (dot) => point(dot.place)[0]).attr("cy", (dot) => point(dot.place)[1])
      .attr("r", ({ weight }) => 4 + 36 * Math.sqrt(weight));
    const heavy = [...dots].sort((a, b) => b.weight - a.weight).slice(0, NAMED);
    const free = heavy.filter((dot, i) => !heavy.slice(0, i).some((other) => Math.abs(point(other.place)[1] - point(dot.place)[1]) < 16 && Math.abs(point(other.place)[0] - point(dot.place)[0]) < 190));
    drawn.select(".names").selectAll("text").data(free).join("text").attr("x", (dot) => point(dot.place)[0]).attr("y", (dot) => point(dot.place)[1] + 5)
      .attr("text-anchor", (dot) => (point(dot.place)[0] > 0.45 * WIDTH ? "end" : "start")).text(({ key, weight }) => `${clipped(key, LONGEST)} ${percent(weight)}`);
    seek();
    element.setAttribute("aria-label", say("space.label", { a: place[0].toFixed(2), b: place[1].toFixed(2), count: dots.length }));
  }

  return { element, fit, draw, reach };
}
