/** The lines between the blocks of the sheet: what goes where, and through which map. */

import { select } from "../../../vendor/d3/d3-selection.js";

/** @typedef {ReturnType<typeof boxOf>} Box */
/** From, to, the side that the line leaves by, the map it passes through. */
const LINES = [
  ["embeddings", "query", "right", "Q"],
  ["embeddings", "key", "right", "K"],
  ["embeddings", "value", "right", "V"],
  ["query", "dot", "right"],
  ["key", "dot", "right"],
  ["dot", "scale", "right"],
  ["scale", "mask", "down"],
  ["mask", "softmax", "right"],
  ["softmax", "blend", "down"],
  ["value", "blend", "right"],
  ["blend", "concat", "down"],
  ["concat", "project", "left", "O"],
  ["project", "residual", "left"],
  ["embeddings", "residual", "around"],
  ["residual", "norm", "left"],
];
/** Of a head: from the first block in it to the last. */
const HEAD = ["query", "key", "value", "dot", "softmax", "blend"];
const ROOM = 9;

/** @param {Map<string, HTMLElement>} blocks by their names, all in one parent that is positioned */
export function flow(blocks) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  element.setAttribute("class", "lines");
  element.setAttribute("aria-hidden", "true");
  const chart = select(element);
  chart
    .append("defs")
    .append("marker")
    .attr("id", "arrow")
    .attr("viewBox", "0 0 8 8")
    .attr("refX", 7)
    .attr("refY", 4)
    .attr("markerWidth", 7)
    .attr("markerHeight", 7)
    .attr("markerUnits", "userSpaceOnUse")
    .attr("orient", "auto")
    .append("path")
    .attr("d", "M0,0L8,4L0,8Z");
  for (const part of ["frames", "paths", "maps"]) chart.append("g").attr("class", part);
  /** @type {?string} */
  let lit = null;
  const watcher = new ResizeObserver(() => draw());
  watcher.observe(element);
  for (const block of blocks.values()) watcher.observe(block);

  function draw() {
    const { clientWidth: width, clientHeight: height } = element;
    if (!width) return;
    chart.attr("viewBox", `0 0 ${width} ${height}`);
    const box = (/** @type {string} */ name) => boxOf(/** @type {HTMLElement} */ (blocks.get(name)));
    const inside = HEAD.map(box);
    const frame = {
      left: Math.min(...inside.map((one) => one.left)) - ROOM,
      top: Math.min(...inside.map((one) => one.top)) - ROOM,
      right: Math.max(...inside.map((one) => one.right)) + ROOM,
      bottom: Math.max(...inside.map((one) => one.bottom)) + ROOM,
    };
    chart
      .select(".frames")
      .selectAll("rect")
      .data([6, 0])
      .join("rect")
      .attr("x", (by) => frame.left + by)
      .attr("y", (by) => frame.top - by)
      .attr("width", frame.right - frame.left)
      .attr("height", frame.bottom - frame.top)
      .attr("rx", 8)
      .attr("class", (by) => (by ? "behind" : "before"));
    const lines = LINES.map(([from, to, side, map]) => ({ to, map, ...between(box(from), box(to), side) }));
    chart
      .select(".paths")
      .selectAll("path")
      .data(lines)
      .join("path")
      .attr("d", (one) => one.path)
      .attr("marker-end", "url(#arrow)")
      .attr("class", (one) => (one.to === lit ? "now" : null));
    const maps = chart
      .select(".maps")
      .selectAll("text")
      .data(lines.filter((one) => one.map))
      .join("text")
      .attr("x", (one) => one.x ?? null)
      .attr("y", (one) => one.y ?? null);
    maps
      .selectAll("tspan")
      .data((one) => ["W", one.map])
      .join("tspan")
      .attr("class", (_, i) => (i ? "lower" : null))
      .attr("dy", (_, i) => (i ? "0.25em" : null))
      .text((letter) => letter);
  }

  /** The lines into a block are lit. @param {string} name */
  function light(name) {
    lit = name;
    draw();
  }

  return { element, light, leave: () => watcher.disconnect() };
}

/** @param {HTMLElement} block */
function boxOf({ offsetLeft: left, offsetTop: top, offsetWidth: width, offsetHeight: height }) {
  return { left, top, right: left + width, bottom: top + height, x: left + width / 2, y: top + height / 2 };
}

/**
 * A line from one box to another, and where its map is named.
 *
 * @param {Box} a
 * @param {Box} b
 * @param {string} side
 * @returns {{path: string, x?: number, y?: number}}
 */
function between(a, b, side) {
  if (side === "down") return { path: `M${a.x},${a.bottom}V${b.top}` };
  if (side === "around") {
    const level = b.top - ROOM - 2;
    const [x, to] = [a.x, b.x];
    return { path: `M${x},${a.bottom}V${level - 6}Q${x},${level} ${x + 6},${level}H${to - 6}Q${to},${level} ${to},${level + 4}V${b.top}` };
  }
  const [x, to] = side === "right" ? [a.right, b.left] : [a.left, b.right];
  const middle = (x + to) / 2;
  // What is above or below a tall box meets it at its own height.
  const y = a.y;
  const end = Math.abs(a.y - b.y) < 4 ? y : b.y;
  return { path: y === end ? `M${x},${y}H${to}` : `M${x},${y}C${middle},${y} ${middle},${end} ${to},${end}`, x: middle, y: (y + end) / 2 + 3 };
}
