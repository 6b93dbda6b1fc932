/** A small map without coasts: lines of latitude and longitude, a pin a row as large as its weight, and the blended one. */

import { select } from "../../vendor/d3/d3-selection.js";
import { percent } from "../numbers.js";
import { clipped, say } from "../words.js";

const WIDTH = 260;
const HEIGHT = { least: 130, most: 220 };
const EDGE = { left: 42, right: 12, top: 16, bottom: 20 };
/** Degrees between two lines, the first of which at most so many fit. */
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60];
const MOST_LINES = 5;
/** What is left free around the pins, as a share; and degrees, where all are at one place. */
const MARGIN = 0.12;
const LEAST = 0.5;
/** So many rows are named, and only those that weigh more than most. */
const NAMED = 3;
const LONGEST = 18;

/** Nothing in it is heard one by one: its label says what it shows. */
export function map() {
  const element = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  element.setAttribute("class", "map");
  element.setAttribute("role", "img");
  const chart = select(element);
  for (const part of ["lines", "pins", "names", "pin"]) chart.append("g").attr("class", part);

  /**
   * @param {{at: number[], weight: number, key: string}[]} places rows, each with latitude and longitude
   * @param {{at: ?number[], answered: number, text: string}} blend where the pin stands, and how much of it is there
   */
  function draw(places, { at, answered, text }) {
    const { x, y, height, degrees } = plane(places.map((place) => place.at));
    chart.attr("viewBox", `0 0 ${WIDTH} ${height}`).attr("aria-label", say("output.map", { count: places.length, value: text }));
    const lines = degrees.map((line) => ({
      ...line,
      d: line.north === undefined ? `M${x(line.east)},${EDGE.top}V${height - EDGE.bottom}` : `M${EDGE.left},${y(line.north)}H${WIDTH - EDGE.right}`,
    }));
    const group = chart.select(".lines");
    group
      .selectAll("path")
      .data(lines)
      .join("path")
      .attr("d", ({ d }) => d);
    group
      .selectAll("text")
      .data(lines)
      .join("text")
      .attr("x", ({ east }) => (east === undefined ? EDGE.left - 4 : x(east)))
      .attr("y", ({ north }) => (north === undefined ? height - 6 : y(north) + 4))
      .attr("text-anchor", ({ east }) => (east === undefined ? "end" : "middle"))
      .text(({ said }) => said);
    chart
      .select(".pins")
      .selectAll("circle")
      .data(places)
      .join("circle")
      .attr("cx", (place) => x(place.at[1]))
      .attr("cy", (place) => y(place.at[0]))
      .attr("r", ({ weight }) => 2.5 + 8 * Math.sqrt(weight))
      .selectAll("title")
      .data((place) => [place])
      .join("title")
      .text(({ key, weight }) => `${key.slice(0, 60)}: ${percent(weight)}`);
    const usual = places.reduce((sum, { weight }) => sum + weight, 0) / places.length;
    const heavy = places
      .filter(({ weight }) => weight > 1.01 * usual)
      .sort((a, b) => b.weight - a.weight)
      .slice(0, NAMED);
    chart
      .select(".names")
      .selectAll("text")
      .data(heavy)
      .join("text")
      .attr("x", (place) => x(place.at[1]))
      .attr("y", (place) => y(place.at[0]) + 13 + 8 * Math.sqrt(place.weight))
      .attr("text-anchor", (place) => (x(place.at[1]) < WIDTH / 3 ? "start" : x(place.at[1]) > (2 * WIDTH) / 3 ? "end" : "middle"))
      .text(({ key }) => clipped(key, LONGEST));
    chart
      .select(".pin")
      .selectAll("path")
      .data(at ? [at] : [])
      .join("path")
      .attr("d", ([north, east]) => `M${x(east)},${y(north)}l-7,-14a8,8 0 1 1 14,0z`)
      .attr("opacity", answered);
  }

  return { element, draw };
}

/** Degrees → the map: equirectangular, true at the middle latitude. @param {number[][]} points */
function plane(points) {
  const range = (/** @type {number} */ axis) => {
    const all = points.map((point) => point[axis]);
    const [low, high] = [Math.min(...all), Math.max(...all)];
    const free = Math.max(LEAST, (high - low) * MARGIN);
    return [low - free, high + free];
  };
  const [south, north] = range(0);
  const [west, east] = range(1);
  const narrowing = Math.max(0.2, Math.cos((((south + north) / 2) * Math.PI) / 180));
  const wide = WIDTH - EDGE.left - EDGE.right;
  const scale = Math.min(wide / ((east - west) * narrowing), (HEIGHT.most - EDGE.top - EDGE.bottom) / (north - south));
  const height = Math.max(HEIGHT.least, Math.round((north - south) * scale) + EDGE.top + EDGE.bottom);
  const middle = EDGE.top + (height - EDGE.top - EDGE.bottom) / 2;
  const x = (/** @type {number} */ at) => EDGE.left + wide / 2 + (at - (west + east) / 2) * narrowing * scale;
  const y = (/** @type {number} */ at) => middle - (at - (south + north) / 2) * scale;
  const [half, tall] = [wide / 2 / (narrowing * scale), (height - EDGE.top - EDGE.bottom) / 2 / scale];
  const degrees = [
    ...between((west + east) / 2 - half, (west + east) / 2 + half).map((line) => ({
      east: line,
      north: undefined,
      said: say(line < 0 ? "output.west" : "output.east", { degrees: Math.abs(line) }),
    })),
    ...between((south + north) / 2 - tall, (south + north) / 2 + tall).map((line) => ({
      east: undefined,
      north: line,
      said: say(line < 0 ? "output.south" : "output.north", { degrees: Math.abs(line) }),
    })),
  ];
  return { x, y, height, degrees };
}

/** Round degrees between two. @param {number} low @param {number} high */
function between(low, high) {
  const step = STEPS.find((one) => (high - low) / one <= MOST_LINES) ?? STEPS[STEPS.length - 1];
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.max(0, Math.floor(high / step) - first + 1) }, (_, i) => Number(((first + i) * step).toFixed(1)));
}
