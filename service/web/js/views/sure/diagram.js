/** A reliability diagram: a dot for each label, a bar for each bin, and its gap to the diagonal. */

import { select } from "../../../vendor/d3/d3-selection.js";
import { fixed, percent } from "../../numbers.js";
import { say } from "../../words.js";
import { BINS } from "./calibration.js";

/** In letters' heights: what stands around the square, and how far a dot reaches. */
const EDGE = { left: 4, right: 1.6, top: 4.4, bottom: 6.2 };
const DOT = 0.42;
/** As high dots may stack; more of them in one place stand closer. */
const STACK = 1.7;
const LOW = 260;
const TICKS = [0, 0.25, 0.5, 0.75, 1];
/** From a gap of so many points on it is written beside its line. */
const TOLD = 5;
const CROSS = "M-1,-1L1,1M-1,1L1,-1";
const DISC = "M-1,0a1,1 0 1,0 2,0a1,1 0 1,0 -2,0";

/** @typedef {import("./calibration.js").Bin} Bin */
/** @typedef {import("./calibration.js").Label & {query: string}} Label */
/** @typedef {{em: number, x: (share: number) => number, y: (share: number) => number}} Place */

/** @returns {{element: SVGElement, draw: (labels: Label[], numbers: ?import("./calibration.js").Calibration) => void, leave: () => void}} */
export function diagram() {
  const element = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  element.setAttribute("class", "chart reliability");
  element.setAttribute("id", "reliability");
  element.setAttribute("role", "img");
  const chart = select(element);
  for (const part of ["bars", "axes", "gaps", "dots"]) chart.append("g").attr("class", part);
  /** @type {?Parameters<typeof draw>} */
  let last = null;
  const watcher = new ResizeObserver(() => last && draw(...last));
  watcher.observe(element);

  /** @param {Label[]} labels @param {?import("./calibration.js").Calibration} numbers null without a label */
  function draw(labels, numbers) {
    last = [labels, numbers];
    const em = parseFloat(getComputedStyle(element).fontSize) || 13;
    const width = Math.max(LOW, element.clientWidth || 480);
    const side = width - (EDGE.left + EDGE.right) * em;
    const tall = Math.min(side, 26 * em);
    element.setAttribute("viewBox", `0 0 ${width} ${tall + (EDGE.top + EDGE.bottom) * em}`);
    /** @type {Place} */
    const place = { em, x: (share) => EDGE.left * em + share * side, y: (share) => EDGE.top * em + (1 - share) * tall };
    axes(place);
    bins(numbers?.bins.filter((bin) => bin.labels.length) ?? [], numbers?.bins ?? [], place);
    dots(labels, place);
    element.setAttribute("aria-label", described(numbers));
  }

  /** @param {Place} place */
  function axes({ em, x, y }) {
    const lines = [`M${x(0)},${y(0)}H${x(1)}`, `M${x(0)},${y(0)}V${y(1)}`, ...TICKS.slice(1, -1).map((share) => `M${x(share)},${y(0)}V${y(1)}`)];
    /** @type {{x: number, y: number, anchor: string, text: string, kind?: string}[]} */
    const texts = [
      ...TICKS.map((share) => ({ x: x(share), y: y(0) + 3.6 * em, anchor: "middle", text: percent(share) })),
      ...[0, 0.5, 1].map((share) => ({ x: x(0) - 0.5 * em, y: y(share) + 0.35 * em, anchor: "end", text: percent(share) })),
      { x: x(0.5), y: y(0) + 5.3 * em, anchor: "middle", text: say("sure.axis.weight"), kind: "weight" },
      { x: x(0), y: em, anchor: "start", text: say("sure.axis.right"), kind: "value" },
      { x: x(0) - 0.5 * em, y: y(1) - 1.1 * em, anchor: "end", text: say("sure.right"), kind: "value" },
      { x: x(0) - 0.5 * em, y: y(0) + 1.6 * em, anchor: "end", text: say("sure.wrong"), kind: "wrong" },
    ];
    const group = chart.select(".axes");
    group
      .selectAll("path")
      .data([...lines, `M${x(0)},${y(0)}L${x(1)},${y(1)}`])
      .join("path")
      .attr("d", (d) => d)
      .attr("class", (_, i) => (i < 2 ? "axis" : i < lines.length ? "between" : "diagonal"));
    group
      .selectAll("text")
      .data(texts)
      .join("text")
      .attr("class", (one) => one.kind ?? "")
      .attr("x", (one) => one.x)
      .attr("y", (one) => one.y)
      .attr("text-anchor", (one) => one.anchor)
      .text((one) => one.text);
  }

  /** A bar is as high as the share that is right; the gap is from there to the diagonal, at the mean weight. @param {Bin[]} full @param {Bin[]} all @param {Place} place */
  function bins(full, all, { em, x, y }) {
    const left = (/** @type {Bin} */ bin) => all.indexOf(bin) / BINS;
    chart
      .select(".bars")
      .selectAll("path")
      .data(full)
      .join("path")
      .attr("d", (bin) => `M${x(left(bin)) + 1},${y(0)}V${y(bin.right)}H${x(left(bin) + 1 / BINS) - 1}V${y(0)}`);
    const gaps = chart.select(".gaps");
    gaps
      .selectAll("path")
      .data(full)
      .join("path")
      .attr("d", (bin) => `M${x(bin.mean)},${y(bin.right)}V${y(bin.mean)}`);
    gaps
      .selectAll("circle")
      .data(full)
      .join("circle")
      .attr("r", 0.3 * em)
      .attr("cx", (bin) => x(bin.mean))
      .attr("cy", (bin) => y(bin.mean));
    const far = full.filter((bin) => Math.abs(points(bin)) >= TOLD);
    const told = [
      ...full.map((bin) => ({
        x: x(left(bin) + 0.5 / BINS),
        y: y(0) + 3.6 * em,
        anchor: "middle",
        kind: "count",
        text: say("sure.of", { right: bin.labels.filter((one) => one.right).length, n: bin.labels.length }),
      })),
      ...far.map((bin) => {
        const isLate = bin.mean > 0.9;
        return {
          x: x(bin.mean) + (isLate ? -0.5 : 0.5) * em,
          y: y((bin.mean + bin.right) / 2) + 0.35 * em,
          anchor: isLate ? "end" : "start",
          kind: "gap",
          text: fixed(points(bin), 0).replace(/^(?=\d)/, "+"),
        };
      }),
    ];
    gaps
      .selectAll("text")
      .data(told)
      .join("text")
      .attr("class", (one) => one.kind)
      .attr("x", (one) => one.x)
      .attr("y", (one) => one.y)
      .attr("text-anchor", (one) => one.anchor)
      .text((one) => one.text);
  }

  /** Right ones above the square, wrong ones below it; where they meet they stand one behind another. @param {Label[]} labels @param {Place} place */
  function dots(labels, { em, x, y }) {
    /** @type {{right: number[], wrong: number[]}} */
    const rows = { right: [], wrong: [] };
    const order = labels.map((label, i) => ({ ...label, i })).sort((a, b) => a.weight - b.weight);
    const placed = order.map((label) => {
      const taken = label.right ? rows.right : rows.wrong;
      const free = taken.findIndex((end) => x(label.weight) - end >= 2 * DOT * em);
      const row = free < 0 ? taken.length : free;
      taken[row] = x(label.weight);
      return { ...label, row };
    });
    const highest = Math.max(1, ...placed.map(({ row }) => row));
    const height = (/** @type {typeof placed[0]} */ { row, right }) => {
      const away = (0.8 + row * Math.min(2 * DOT, STACK / highest)) * em;
      return right ? y(1) - away : y(0) + away;
    };
    chart
      .select(".dots")
      .selectAll("g")
      .data(placed, (one) => /** @type {typeof placed[0]} */ (one).i)
      .join((enter) => {
        const group = enter.append("g");
        group.append("path");
        group.append("title");
        return group;
      })
      .attr("class", (one) => (one.right ? "right-one" : "wrong-one"))
      .attr("transform", (one) => `translate(${x(one.weight)},${height(one)}) scale(${DOT * em})`)
      .attr("data-weight", (one) => one.weight)
      .each((one, i, groups) => {
        const group = select(groups[i]);
        group.select("path").attr("d", one.right ? DISC : CROSS);
        group.select("title").text(`${one.query}: ${percent(one.weight)}`);
      });
  }

  return { element, draw, leave: () => watcher.disconnect() };
}

/** How far the share that is right lies above the mean weight, in points of a hundred. @param {Bin} bin */
function points({ mean, right }) {
  return 100 * (right - mean);
}

/** @param {?import("./calibration.js").Calibration} numbers */
function described(numbers) {
  if (!numbers) return say("sure.diagram.empty");
  const bins = numbers.bins.flatMap((bin, i) =>
    bin.labels.length
      ? [
          say("sure.diagram.bin", {
            from: percent(i / BINS),
            to: percent((i + 1) / BINS),
            n: bin.labels.length,
            mean: percent(bin.mean),
            right: percent(bin.right),
          }),
        ]
      : [],
  );
  return [say("sure.diagram", { n: numbers.n }), ...bins].join(" ");
}
