/** Lines whose thickness is weight. At each end they are stacked, so that what leaves the query is one whole. */

import { select } from "../../vendor/d3/d3-selection.js";
import { linkHorizontal } from "../../vendor/d3/d3-shape.js";

const WHOLE = 30;
const NARROW = 12;
const THINNEST = 0.75;
const FAINTEST = 0.35;
const curve = linkHorizontal();

/** An SVG layer under the rows. Its coordinates are those of its parent, in CSS pixels. */
export function wires() {
  const element = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  element.setAttribute("class", "wires");
  element.setAttribute("aria-hidden", "true");
  element.setAttribute("preserveAspectRatio", "none");
  const layer = select(element);
  let last = null;
  let places = null;
  const watcher = new ResizeObserver(() => {
    places = null;
    if (last) draw(...last);
  });
  watcher.observe(element);

  /**
   * @param {Element} from the query's node
   * @param {Element} to the output's node
   * @param {{name: string, weight: number, row: Element, kind: string}[]} rows top to bottom
   */
  function draw(from, to, rows) {
    last = [from, to, rows];
    places ??= measured(element, from, to, rows);
    if (!places) return;
    const { frame, start, end, narrow } = places;
    const scale = narrow ? NARROW : Math.min(WHOLE, frame.height / 8);
    let used = -0.5 * rows.filter((row) => row.kind !== "masked").reduce((sum, row) => sum + row.weight, 0) * scale;
    const paths = rows.filter((row) => row.kind !== "masked").flatMap((row) => {
      const thick = row.weight * scale;
      const offset = used + thick / 2;
      used += thick;
      const { key, keyEnd, value, valueEnd } = places.of.get(row.row);
      const leaving = narrow ? gutter(start, offset, key) : curve({ source: [start.x, start.y + offset], target: [key.x, key.y] });
      const through = narrow ? "" : `M${keyEnd.x},${keyEnd.y}H${value.x}`;
      const arriving = narrow ? gutter(end, offset, valueEnd, end.right) : curve({ source: [valueEnd.x, valueEnd.y], target: [end.x, end.y + offset] });
      const parts = [leaving, through, row.kind === "none" ? "" : arriving];
      return parts.map((d, part) => ({ id: `${row.name} ${part}`, d, row, part })).filter(({ d }) => d);
    });
    layer.attr("viewBox", `0 0 ${frame.width} ${frame.height}`)
      .selectAll("path").data(paths, (path) => path.id).join("path")
      .attr("class", ({ row, part }) => `wire ${row.kind}${part === 2 ? " blend" : ""}`)
      .attr("d", ({ d }) => d)
      .attr("stroke-width", ({ row }) => Math.max(THINNEST, row.weight * scale))
      .attr("stroke-opacity", ({ row }) => (row.weight > 0 ? FAINTEST + (1 - FAINTEST) * Math.sqrt(row.weight) : 0.12));
  }

  /** The rows are others now: measure before the next drawing. */
  function forget() {
    places = null;
  }

  return { element, draw, forget, leave: () => watcher.disconnect() };
}

/** Where everything stands; measured once, because a slider that moves changes no place. */
function measured(element, from, to, rows) {
  const frame = element.getBoundingClientRect();
  if (!frame.width) return null;
  const of = new Map(rows.map(({ row }) => {
    const [key, value] = [row.querySelector(".key-cell"), row.querySelector(".value-cell")];
    return [row, { key: edge(key, frame, "left"), keyEnd: edge(key, frame, "right"), value: edge(value, frame, "left"), valueEnd: edge(value, frame, "right") }];
  }));
  const start = edge(from, frame, "right");
  const narrow = rows.length > 0 && start.y < edge(rows[0].row, frame, "left").top;
  return { frame, start, end: edge(to, frame, "left"), narrow, of };
}

function edge(element, frame, side) {
  const box = element.getBoundingClientRect();
  return { x: box[side] - frame.left, y: (box.top + box.bottom) / 2 - frame.top, top: box.top - frame.top, bottom: box.bottom - frame.top, left: box.left - frame.left, right: box.right - frame.left };
}

/** On a phone the nodes are above and below the rows: the line runs down a gutter beside them. */
function gutter(node, offset, cell, x = node.left) {
  const down = cell.y > node.y;
  const at = (x === node.left ? x + 8 : x - 8) + Math.max(-6, Math.min(6, offset / 2));
  const from = down ? node.bottom : node.top;
  return `M${at},${from}C${at},${(from + cell.y) / 2} ${at},${cell.y} ${cell.x},${cell.y}`;
}
