/** Lines whose thickness is weight. At each end they are stacked, so that what leaves the query is one whole. */

const SVG = "http://www.w3.org/2000/svg";
const WHOLE = 30;
const NARROW = 12;
const THINNEST = 0.75;
const FAINTEST = 0.35;

/** An SVG layer under the rows. Its coordinates are those of its parent, in CSS pixels. */
export function wires() {
  const element = document.createElementNS(SVG, "svg");
  element.setAttribute("class", "wires");
  element.setAttribute("aria-hidden", "true");
  element.setAttribute("preserveAspectRatio", "none");
  const drawn = new Map();
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
      const leaving = narrow ? gutter(start, offset, key) : curve(start.x, start.y + offset, key.x, key.y);
      const through = narrow ? "" : `M${keyEnd.x},${keyEnd.y}H${value.x}`;
      const arriving = narrow ? gutter(end, offset, valueEnd, end.right) : curve(valueEnd.x, valueEnd.y, end.x, end.y + offset);
      const parts = [leaving, through, row.kind === "none" ? "" : arriving];
      return parts.map((d, part) => ({ id: `${row.name} ${part}`, d, row, part })).filter(({ d }) => d);
    });
    element.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
    paint(paths, scale);
  }

  /** Lines that were there move, so that they may glide. */
  function paint(paths, scale) {
    const wanted = new Set(paths.map((path) => path.id));
    for (const [id, path] of drawn) if (!wanted.has(id) && drawn.delete(id)) path.remove();
    for (const { id, d, row, part } of paths) {
      if (!drawn.has(id)) drawn.set(id, element.appendChild(document.createElementNS(SVG, "path")));
      const path = drawn.get(id);
      path.setAttribute("class", `wire ${row.kind}${part === 2 ? " blend" : ""}`);
      path.setAttribute("d", d);
      path.setAttribute("stroke-width", Math.max(THINNEST, row.weight * scale));
      path.setAttribute("stroke-opacity", row.weight > 0 ? FAINTEST + (1 - FAINTEST) * Math.sqrt(row.weight) : 0.12);
    }
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

/** From a point to another, level at both. */
function curve(x, y, toX, toY) {
  const middle = (x + toX) / 2;
  return `M${x},${y}C${middle},${y},${middle},${toY},${toX},${toY}`;
}

/** On a phone the nodes are above and below the rows: the line runs down a gutter beside them. */
function gutter(node, offset, cell, x = node.left) {
  const down = cell.y > node.y;
  const at = (x === node.left ? x + 8 : x - 8) + Math.max(-6, Math.min(6, offset / 2));
  const from = down ? node.bottom : node.top;
  return `M${at},${from}C${at},${(from + cell.y) / 2} ${at},${cell.y} ${cell.x},${cell.y}`;
}
