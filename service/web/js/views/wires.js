/**
 * Lines whose thickness is weight. At each end they are stacked, so that what leaves the query is one whole. What stands
 * for many rows is a band of as many threads, up to what can be seen apart: never one rope.
 */

const SVG = "http://www.w3.org/2000/svg";
const WHOLE = 30;
const NARROW = 12;
const THINNEST = 0.75;
const FAINTEST = 0.35;
/** Pixels between two threads of a band, where they end at their row. */
const APART = 3;
/** The thickest thread of a band: there is always as much between two. */
const THREAD = 1;
/** The most threads of a band in the gutter of a phone. */
const IN_GUTTER = 7;

/** @typedef {{name: string, weight: number, row: Element, kind: string, many?: number}} Line from a row: `many` is how many rows it stands for */
/** @typedef {ReturnType<typeof edge>} Edge */
/** @typedef {{key: Edge, keyEnd: Edge, value: Edge, valueEnd: Edge}} Ends of the lines to a row and from it */
/** @typedef {{id: string, d: string, row: Line & {whole: number, count: number}, part: number}} Path */

/** An SVG layer under the rows. Its coordinates are those of its parent, in CSS pixels. */
export function wires() {
  const element = document.createElementNS(SVG, "svg");
  element.setAttribute("class", "wires");
  element.setAttribute("aria-hidden", "true");
  element.setAttribute("preserveAspectRatio", "none");
  /** @type {Map<string, SVGElement>} */
  const drawn = new Map();
  /** @type {?Parameters<typeof draw>} */
  let last = null;
  /** @type {ReturnType<typeof measured>} */
  let places = null;
  const watcher = new ResizeObserver(() => {
    places = null;
    if (last) draw(...last);
  });
  watcher.observe(element);

  /**
   * @param {Element} from the query's node
   * @param {Element} to the output's node
   * @param {Line[]} rows top to bottom
   */
  function draw(from, to, rows) {
    last = [from, to, rows];
    places ??= measured(element, from, to, rows);
    if (!places) return;
    const { frame, start, end, narrow, of: ends } = places;
    const scale = narrow ? NARROW : Math.min(WHOLE, frame.height / 8);
    let used = -0.5 * rows.filter((row) => row.kind !== "masked").reduce((sum, row) => sum + row.weight, 0) * scale;
    const paths = rows
      .filter((row) => row.kind !== "masked")
      .flatMap((row) => {
        const thick = row.weight * scale;
        const at = used;
        used += thick;
        const { key, keyEnd, value, valueEnd } = /** @type {Ends} */ (ends.get(row.row));
        const count = threadsOf(row, key, narrow);
        const threads = Array.from({ length: count }, (_, i) => {
          const offset = at + ((i + 0.5) / count) * thick;
          const by = ((i + 0.5) / count - 0.5) * (count > 1 ? key.bottom - key.top : 0);
          if (narrow) {
            const beside = count > 1 ? (i - (count - 1) / 2) * APART : offset / 2;
            return [gutter(start, beside, key), "", gutter(end, beside, valueEnd, end.right)];
          }
          return [
            curve(start.x, start.y + offset, key.x, key.y + by),
            `M${keyEnd.x},${keyEnd.y + by}H${value.x}`,
            curve(valueEnd.x, valueEnd.y + by, end.x, end.y + offset),
          ];
        });
        const of = { ...row, whole: row.weight, weight: row.weight / Math.max(1, row.many ?? 1), count };
        return (row.kind === "none" ? [0, 1] : [0, 1, 2])
          .map((part) => ({ id: `${row.name} ${part}`, d: threads.map((thread) => thread[part]).join(""), row: of, part }))
          .filter(({ d }) => d);
      });
    element.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
    paint(paths, scale);
  }

  /** Lines that were there move, so that they may glide. @param {Path[]} paths @param {number} scale */
  function paint(paths, scale) {
    const wanted = new Set(paths.map((path) => path.id));
    for (const [id, path] of drawn) if (!wanted.has(id) && drawn.delete(id)) path.remove();
    for (const { id, d, row, part } of paths) {
      const path = drawn.get(id) ?? element.appendChild(document.createElementNS(SVG, "path"));
      drawn.set(id, path);
      path.setAttribute("class", `wire ${row.kind}${part === 2 ? " blend" : ""}`);
      path.setAttribute("d", d);
      path.dataset.threads = String(row.count);
      path.setAttribute("stroke-width", String(Math.max(THINNEST, row.weight * scale, Math.min(THREAD, (row.whole / row.count) * scale))));
      path.setAttribute("stroke-opacity", String(row.weight > 0 ? FAINTEST + (1 - FAINTEST) * Math.sqrt(row.weight) : 0.12));
    }
  }

  /** As many as there are rows, and as have room apart. A row is one. @param {Line} row @param {Edge} key @param {boolean} narrow */
  function threadsOf({ many = 1 }, key, narrow) {
    if (many <= 1) return 1;
    return Math.min(Math.ceil(many), narrow ? IN_GUTTER : Math.max(2, Math.floor((key.bottom - key.top) / APART)));
  }

  /** The rows are others now: measure before the next drawing. */
  function forget() {
    places = null;
  }

  return { element, draw, forget, leave: () => watcher.disconnect() };
}

/**
 * Where everything stands; measured once, because a slider that moves changes no place. Null where there is no room.
 *
 * @param {Element} element @param {Element} from @param {Element} to @param {Line[]} rows
 */
function measured(element, from, to, rows) {
  const frame = element.getBoundingClientRect();
  if (!frame.width) return null;
  const of = new Map(
    rows.map(({ row }) => {
      const [key, value] = [".key-cell", ".value-cell"].map((name) => /** @type {Element} */ (row.querySelector(name)));
      return [
        row,
        { key: edge(key, frame, "left"), keyEnd: edge(key, frame, "right"), value: edge(value, frame, "left"), valueEnd: edge(value, frame, "right") },
      ];
    }),
  );
  const start = edge(from, frame, "right");
  const narrow = rows.length > 0 && start.y < edge(rows[0].row, frame, "left").top;
  return { frame, start, end: edge(to, frame, "left"), narrow, of };
}

/** @param {Element} element @param {DOMRect} frame @param {"left" | "right"} side */
function edge(element, frame, side) {
  const box = element.getBoundingClientRect();
  return {
    x: box[side] - frame.left,
    y: (box.top + box.bottom) / 2 - frame.top,
    top: box.top - frame.top,
    bottom: box.bottom - frame.top,
    left: box.left - frame.left,
    right: box.right - frame.left,
  };
}

/** From a point to another, level at both. @param {number} x @param {number} y @param {number} toX @param {number} toY */
function curve(x, y, toX, toY) {
  const middle = (x + toX) / 2;
  return `M${x},${y}C${middle},${y},${middle},${toY},${toX},${toY}`;
}

/** On a phone the nodes are above and below the rows: the line runs down a gutter beside them. @param {Edge} node @param {number} offset @param {Edge} cell @param {number} [x] */
function gutter(node, offset, cell, x = node.left) {
  const down = cell.y > node.y;
  const at = (x === node.left ? x + 8 : x - 8) + Math.max(-6, Math.min(6, offset));
  const from = down ? node.bottom : node.top;
  return `M${at},${from}C${at},${(from + cell.y) / 2} ${at},${cell.y} ${cell.x},${cell.y}`;
}
