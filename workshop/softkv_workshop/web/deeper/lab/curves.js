/** The loss of several networks over the seconds, a line each, while they learn. */

import { select } from "../../../../../service/softkv_service/web/vendor/d3/d3-selection.js";
import { line } from "../../../../../service/softkv_service/web/vendor/d3/d3-shape.js";
import { fixed } from "../../../../../service/softkv_service/web/shared/numbers.js";

const SHAPE = 0.46;
const LOWEST = 180;
const EDGE = { left: 3, right: 1, top: 1.2, bottom: 3 };
const FIRST_LOSS = 3;

/**
 * @param {import("../parts.js").Say} say
 * @returns {{element: SVGElement, draw: (first: {name: string, kind: string, points: [number, number][]}[], second: number) => void, leave: () => void}}
 */
export function curves(say) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  element.setAttribute("class", "chart curves");
  element.setAttribute("role", "img");
  const chart = select(element);
  for (const part of ["axes", "lines"]) chart.append("g").attr("class", part);
  /** @type {?Parameters<typeof draw>} */
  let last = null;
  const watcher = new ResizeObserver(() => last && draw(...last));
  watcher.observe(element);

  /**
   * @param {{name: string, kind: string, points: [number, number][]}[]} networks their points [seconds, loss]
   * @param {number} seconds at least as many across
   */
  function draw(networks, seconds) {
    last = [networks, seconds];
    const width = element.clientWidth || 600;
    const height = Math.max(LOWEST, Math.round(width * SHAPE));
    const em = parseFloat(getComputedStyle(element).fontSize) || 13;
    const points = networks.flatMap((one) => one.points);
    const [end, top] = [Math.max(seconds, ...points.map(([at]) => at)), Math.max(FIRST_LOSS, ...points.map(([, loss]) => loss))];
    const [left, right, above, below] = [EDGE.left * em, width - EDGE.right * em, EDGE.top * em, height - EDGE.bottom * em];
    const x = (/** @type {number} */ at) => left + (at / end) * (right - left);
    const y = (/** @type {number} */ loss) => below - (loss / top) * (below - above);
    element.setAttribute("viewBox", `0 0 ${width} ${height}`);
    element.setAttribute(
      "aria-label",
      [say("lab.curves"), ...networks.flatMap(({ name, points: own }) => own.slice(-1).map(([, loss]) => `${name}: ${fixed(loss, 3)}`))].join("; "),
    );
    const marks = [0, 0.25, 0.5, 0.75, 1];
    const texts = [
      ...marks.map((part) => ({ x: x(part * end), y: below + 1.2 * em, anchor: "middle", text: shortest(part * end) })),
      ...[0, 0.5, 1].map((part) => ({ x: left - 0.5 * em, y: y(part * top) + 0.35 * em, anchor: "end", text: shortest(part * top) })),
      { x: right, y: below + 2.5 * em, anchor: "end", text: say("lab.axis.seconds") },
      { x: left + 0.5 * em, y: above, anchor: "start", text: say("lab.axis.loss") },
    ];
    const axes = chart.select(".axes");
    axes.selectAll("path").data([null]).join("path").attr("d", `M${left},${above}V${below}H${right}`);
    axes
      .selectAll("text")
      .data(texts)
      .join("text")
      .attr("x", (one) => one.x)
      .attr("y", (one) => one.y)
      .attr("text-anchor", (one) => one.anchor)
      .text((one) => one.text);
    chart
      .select(".lines")
      .selectAll("path")
      .data(networks)
      .join("path")
      .attr("class", (one) => one.kind)
      .attr("d", (one) =>
        line(
          ([at]) => x(at),
          ([, loss]) => y(loss),
        )(one.points),
      );
  }

  return { element, draw, leave: () => watcher.disconnect() };
}

/** @param {number} number */
function shortest(number) {
  return String(Number(number.toFixed(1)));
}
