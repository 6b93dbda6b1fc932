/**
 * The map: the query in the centre, each key as far away as it is unlike it, and the temperature as a ring.
 *
 * A key's distance is 1 − cosine, to scale. Its angle is its place in a tour through the keys. The ring is T wider than
 * the distance of the nearest key, so at the ring a weight has fallen to 1/e of the largest. The flat map shows the same
 * keys and weights on the plane of most variance.
 */

import { select } from "../../../vendor/d3/d3-selection.js";
import { penOf } from "../../element.js";
import { percent, temperatureText } from "../../numbers.js";
import { positionOf, STEPS, temperatureAt } from "../../scale.js";
import { clipped, say } from "../../words.js";

/** @typedef {{key: string, turn: number, flat: number[]}} Row turn: its place on the circle, 0 to 1 */
/** @typedef {{rows: Row[], similarities: Float64Array, weights: Float64Array, t: number, spot: ?number[]}} Model spot: the query on the flat map */
/** @typedef {{left: number, right: number, top: number, bottom: number}} Box */

const SHAPE = 0.72;
const LOWEST = 340;
const MOST_HIGH = 0.74;
const EDGE = { x: 12, top: 14 };
/** No key stands around the axis, which points down: room for its numbers on the left, and more for the knob's on the right. */
const ROOM = { left: 0.026, right: 0.1 };
const GRID = 0.2;
const NAMED = 8;
const LETTERS = [34, 22, 14];
/** The height of a line, in that of its letters. */
const LINE = 1.25;
const DOT = { least: 3.5, most: 24 };
const SEEKER = 9;
const KNOB = 9;
const THREAD = { least: 0.003, most: 22 };
const NEAR = 18;
const STOPS = 16;
/** @type {Record<string, number | undefined>} */
const KEYS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 };

/**
 * @param {{warm: (t: number) => void, point: (row: ?number) => void}} on told the temperature of a dragged ring, and
 *   the row that is pointed at
 */
export function chart(on) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const drawn = select(element).attr("class", "chart space-chart").attr("id", "space").attr("role", "group");
  const glow = drawn.append("defs").append("radialGradient").attr("id", "space-glow").attr("gradientUnits", "userSpaceOnUse");
  for (const part of ["ground", "rings", "threads", "dots", "axis", "seeker", "names"]) drawn.append("g").attr("class", part);
  const dots = drawn.select(".dots").attr("tabindex", 0).attr("role", "application");
  const knob = drawn
    .append("g")
    .attr("class", "knob")
    .attr("id", "ring")
    .attr("tabindex", 0)
    .attr("role", "slider")
    .attr("aria-valuemin", 0)
    .attr("aria-valuemax", STEPS);
  knob.append("circle").attr("class", "near");
  knob.append("circle").attr("class", "reach");
  knob.append("text");
  knob.append("circle").attr("class", "grip").attr("r", KNOB);
  const pen = penOf(document.createElement("canvas"));
  /** What is drawn; without rows as long as there is nothing. @type {Model} */
  let model = { rows: [], similarities: new Float64Array(), weights: new Float64Array(), t: 0, spot: null };
  let place = { width: 0, height: 0, x: 0, y: 0, unit: 1, far: 1, line: 20 };
  /** @type {?number} */
  let pointed = null;
  let held = false;

  const watcher = new ResizeObserver(() => model.rows.length > 0 && element.isConnected && draw(model));
  watcher.observe(element);

  element.addEventListener("pointerdown", (event) => {
    held = /** @type {Element} */ (event.target).closest(".knob") !== null;
    if (!held) return follow(event);
    event.preventDefault();
    /** @type {SVGElement} */ (knob.node()).focus({ preventScroll: true });
    element.setPointerCapture(event.pointerId);
  });
  element.addEventListener("pointermove", (event) => (held ? drag(event) : follow(event)));
  element.addEventListener("pointerup", () => (held = false));
  element.addEventListener("pointercancel", () => (held = false));
  element.addEventListener("pointerleave", () => point(null));
  knob.on("keydown", (event) => {
    const by = KEYS[event.key];
    const to = event.key === "Home" ? 0 : event.key === "End" ? STEPS : by ? positionOf(model.t) + 4 * by : null;
    if (to === null) return;
    event.preventDefault();
    on.warm(temperatureAt(Math.min(STEPS, Math.max(0, to))));
  });
  dots.on("keydown", (event) => {
    const by = KEYS[event.key];
    if (!by || !model.rows.length) return;
    event.preventDefault();
    const order = heaviest(model);
    point(order[(order.indexOf(pointed ?? order[0]) + (pointed === null ? 0 : order.length - by)) % order.length]);
  });
  dots.on("blur", () => point(null));

  /** Where a pointer is, in the chart's own units. @param {PointerEvent} event */
  function at(event) {
    const box = element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  /** The ring follows the pointer; past the rim of the map there is no end to it. @param {PointerEvent} event */
  function drag(event) {
    const [x, y] = at(event);
    const distance = Math.hypot(x - place.x, y - place.y) / place.unit;
    const t = Math.max(0, distance - nearest());
    on.warm(distance > place.far ? Infinity : t < 0.001 ? 0 : temperatureAt(positionOf(t)));
  }

  /** @param {PointerEvent} event */
  function follow(event) {
    if (!model.rows.length) return;
    const [x, y] = at(event);
    const away = model.rows.map((_, i) => Math.hypot(...spot(i).map((one, j) => one - [x, y][j])) - radius(i));
    const closest = away.indexOf(Math.min(...away));
    point(away[closest] < NEAR ? closest : null);
  }

  /** @param {?number} row */
  function point(row) {
    if (row === pointed || !model.rows.length) return;
    pointed = row;
    name();
    on.point(row);
  }

  function nearest() {
    return 1 - model.similarities.reduce((most, one) => Math.max(most, one), -1);
  }

  /** Where a row stands, in pixels. @param {number} i @returns {number[]} */
  function spot(i) {
    const { rows, similarities, spot: flat } = model;
    if (flat) return onPlane(rows[i].flat, flat);
    const angle = 2 * Math.PI * (0.25 + ROOM.left + rows[i].turn * (1 - ROOM.left - ROOM.right));
    const distance = (1 - similarities[i]) * place.unit;
    return [place.x + distance * Math.cos(angle), place.y + distance * Math.sin(angle)];
  }

  /** @param {number[]} flat @param {number[]} query the query's spot, which is in sight too */
  function onPlane([a, b], query) {
    const [left, right, low, high] = [0, 1].flatMap((axis) => {
      const all = [query[axis], ...model.rows.map((row) => row.flat[axis])];
      return [Math.min(...all), Math.max(...all)];
    });
    const scale = Math.min((place.width - 80) / (right - left), (place.height - 80) / (high - low));
    return [place.width / 2 + (a - (left + right) / 2) * scale, place.height / 2 - (b - (low + high) / 2) * scale];
  }

  /** @param {number} i */
  function radius(i) {
    return DOT.least + DOT.most * Math.sqrt(model.weights[i]);
  }

  /** One unit of the picture is one pixel of the screen, so that its text has the size of the page's. */
  function measure() {
    const width = element.parentElement?.clientWidth || 800;
    const height = Math.round(Math.max(LOWEST, Math.min(width * SHAPE, MOST_HIGH * window.innerHeight)));
    const far = Math.max(1, Math.ceil(10 * (1 - model.similarities.reduce((least, one) => Math.min(least, one), 1))) / 10);
    const line = LINE * (parseFloat(getComputedStyle(element).fontSize) || 16); // hidden text has no size
    const outer = Math.min(width / 2 - EDGE.x, (height - EDGE.top - 1.7 * line) / 2);
    place = { width, height, far, line, unit: outer / far, x: width / 2, y: EDGE.top + outer };
    element.style.setProperty("height", `${height}px`);
    drawn.attr("viewBox", `0 0 ${width} ${height}`);
  }

  /** @param {Model} now */
  function draw(now) {
    model = now;
    measure();
    ground();
    const { rows, weights, spot: flat } = model;
    const [x, y] = flat ? onPlane(flat, flat) : [place.x, place.y];
    const threads = rows.map((_, i) => i).filter((i) => weights[i] >= THREAD.least);
    drawn
      .select(".threads")
      .selectAll("line")
      .data(threads, (i) => i)
      .join("line")
      .attr("x1", x)
      .attr("y1", y)
      .attr("x2", (i) => spot(i)[0])
      .attr("y2", (i) => spot(i)[1])
      .attr("stroke-width", (i) => Math.max(0.75, THREAD.most * weights[i]));
    dots
      .selectAll("circle")
      .data(rows)
      .join("circle")
      .attr("cx", (_, i) => spot(i)[0].toFixed(2))
      .attr("cy", (_, i) => spot(i)[1].toFixed(2))
      .attr("r", (_, i) => radius(i).toFixed(2))
      .classed("light", (_, i) => weights[i] < THREAD.least);
    dots.attr("aria-label", say("space.rows.label", { count: rows.length }));
    drawn.select(".seeker").selectAll("circle").data([0]).join("circle").attr("cx", x).attr("cy", y).attr("r", SEEKER);
    element.setAttribute("aria-label", say(flat ? "space.label.flat" : "space.label", { count: rows.length }));
    name();
  }

  /** Rings at round distances with the weight of a row there, the light that falls from the query, and the ring of T. */
  function ground() {
    const { t, weights, spot: flat } = model;
    const { x, y, unit, far, line } = place;
    const near = nearest();
    const most = weights.reduce((one, other) => Math.max(one, other), 0);
    const share = (/** @type {number} */ distance) => (distance <= near ? 1 : t === 0 ? 0 : Math.exp((near - distance) / t));
    const reach = Math.min(far, near + t);
    const grid = flat ? [] : Array.from({ length: Math.floor(far / GRID + 1e-9) }, (_, i) => (i + 1) * GRID);
    // On the left the knob itself needs room, on the right its T above it.
    const told = grid.filter((distance) => Math.abs(distance - reach) * unit > KNOB + line / 2);
    const weighed = told.filter((distance) => distance > near && (distance > reach || (reach - distance) * unit > KNOB + 1.5 * line));
    drawn
      .select(".rings")
      .selectAll("circle")
      .data(grid)
      .join("circle")
      .attr("cx", x)
      .attr("cy", y)
      .attr("r", (distance) => distance * unit);
    glow
      .attr("cx", x)
      .attr("cy", y)
      .attr("r", far * unit);
    const stops = Array.from({ length: STOPS + 1 }, (_, i) => near + ((far - near) * i) / STOPS);
    glow
      .selectAll("stop")
      .data(t < 0.02 ? [near, Math.min(far, near + 2 * t + 0.002), far] : stops)
      .join("stop")
      .attr("offset", (distance) => distance / far)
      .attr("stop-opacity", (distance) => 0.3 * share(distance));
    drawn
      .select(".ground")
      .selectAll("circle")
      .data(flat ? [] : [0])
      .join("circle")
      .attr("cx", x)
      .attr("cy", y)
      .attr("r", far * unit)
      .attr("fill", "url(#space-glow)");

    const axis = drawn.select(".axis");
    axis
      .selectAll("line")
      .data(flat ? [] : [0])
      .join("line")
      .attr("x1", x)
      .attr("x2", x)
      .attr("y1", y + SEEKER)
      .attr("y2", y + far * unit);
    axis
      .selectAll(".distance:not(.end)")
      .data(told)
      .join("text")
      .attr("class", "distance")
      .attr("x", x - 6)
      .attr("y", (distance) => y + distance * unit + line / 4)
      .text((distance) => distance.toFixed(1));
    axis
      .selectAll(".there:not(.end)")
      .data(weighed)
      .join("text")
      .attr("class", "there")
      .attr("x", x + 6)
      .attr("y", (distance) => y + distance * unit + line / 4)
      .text((distance) => percent(most * share(distance)));
    const ends = flat
      ? []
      : [
          { side: -1, words: say("space.distance") },
          { side: 1, words: say("space.weight") },
        ];
    axis
      .selectAll(".end")
      .data(ends)
      .join("text")
      .attr("class", ({ side }) => (side < 0 ? "end distance" : "end there"))
      .attr("x", ({ side }) => x + 6 * side)
      .attr("y", place.height - 0.5 * line)
      .text(({ words }) => words);

    knob
      .attr("display", flat ? "none" : null)
      .attr("aria-valuenow", positionOf(t))
      .attr("aria-valuetext", `T = ${temperatureText(t)}`)
      .attr("aria-label", say("space.ring"));
    knob
      .select(".near")
      .attr("cx", x)
      .attr("cy", y)
      .attr("r", near * unit);
    knob
      .select(".reach")
      .attr("cx", x)
      .attr("cy", y)
      .attr("r", reach * unit);
    knob
      .select(".grip")
      .attr("cx", x)
      .attr("cy", y + reach * unit);
    knob
      .select("text")
      .attr("x", x + KNOB + 3)
      .attr("y", y + reach * unit - KNOB)
      .text(`T = ${temperatureText(t)}`);
  }

  /** The nearest keys by name, and the one that is pointed at; a name that finds no free place is shortened or left out. */
  function name() {
    const { line } = place;
    const order = heaviest(model);
    const shown = pointed === null ? order.slice(0, NAMED) : [pointed, ...order.slice(0, NAMED).filter((i) => i !== pointed)];
    pen.font = getComputedStyle(/** @type {Element} */ (drawn.select(".names").node())).font;
    const [sx, sy] = model.spot ? onPlane(model.spot, model.spot) : [place.x, place.y];
    const taken = [box(sx - SEEKER, sx + SEEKER, sy - SEEKER, sy + SEEKER)];
    if (!model.spot)
      taken.push(
        box(place.x - 2.2 * line, place.x + 3.2 * line, place.y + 0.12 * place.unit, place.height),
        box(place.x, place.x + 6 * line, ringY() - KNOB - line, ringY()),
      );
    /** @type {{i: number, text: string, weight: string, box: Box}[]} */
    const names = [];
    for (const i of shown) {
      const spotted = box(spot(i)[0] - radius(i), spot(i)[0] + radius(i), spot(i)[1] - radius(i), spot(i)[1] + radius(i));
      const found = free(i, taken);
      if (!found) continue;
      names.push(found);
      taken.push(found.box, spotted);
    }
    drawn
      .select(".names")
      .selectAll("text")
      .data(names, (one) => one.i)
      .join("text")
      .attr("x", (one) => one.box.left)
      .attr("y", (one) => one.box.bottom - place.line / 4)
      .classed("pointed", (one) => one.i === pointed)
      .text((one) => `${one.text} `)
      .append("tspan")
      .text((one) => one.weight);
    dots.selectAll("circle").classed("pointed", (_, i) => i === pointed);
  }

  function ringY() {
    return place.y + Math.min(place.far, nearest() + model.t) * place.unit;
  }

  /**
   * A free place for a row's name: outward of its dot, shorter where it must be, then above or below, then inward.
   *
   * @param {number} i @param {Box[]} taken
   */
  function free(i, taken) {
    const [x, y] = spot(i);
    const { line } = place;
    const r = radius(i) + 4;
    const weight = percent(model.weights[i]);
    const texts = [...new Set(LETTERS.map((most) => clipped(model.rows[i].key, most)))].map((text) => ({
      text,
      width: pen.measureText(`${text} ${weight}`).width + 2,
    }));
    const beside = (/** @type {number} */ width, /** @type {boolean} */ isLeft) =>
      box(isLeft ? x - r - width : x + r, isLeft ? x - r : x + r + width, y - line / 2, y + line / 2);
    const stacked = (/** @type {number} */ width, /** @type {boolean} */ isUp, /** @type {number} */ share) =>
      box(x - share * width, x + (1 - share) * width, isUp ? y - r - line : y + r, isUp ? y - r : y + r + line);
    const [isLeft, isAbove] = [x < place.x, y < place.y];
    const outward = isLeft ? 0.95 : 0.05;
    const tries = [
      ...texts.map(({ text, width }) => ({ text, box: beside(width, isLeft) })),
      ...[isAbove, !isAbove].flatMap((isUp) => texts.map(({ text, width }) => ({ text, box: stacked(width, isUp, outward) }))),
      ...texts.map(({ text, width }) => ({ text, box: beside(width, !isLeft) })),
      ...[isAbove, !isAbove].flatMap((isUp) => texts.map(({ text, width }) => ({ text, box: stacked(width, isUp, 0.5) }))),
    ];
    const found = tries.find(
      ({ box: one }) => one.left >= 0 && one.right <= place.width && one.top >= 0 && one.bottom <= place.height && !taken.some((other) => meet(one, other)),
    );
    return found && { i, weight, ...found };
  }

  return { element, draw, leave: () => watcher.disconnect() };
}

/** Rows from the heaviest to the lightest; at T = 0 and ∞ too, by similarity. @param {Model} model */
function heaviest({ similarities }) {
  return Array.from(similarities.keys()).sort((i, j) => similarities[j] - similarities[i] || i - j);
}

/** @returns {Box} */
function box(/** @type {number} */ left, /** @type {number} */ right, /** @type {number} */ top, /** @type {number} */ bottom) {
  return { left, right, top, bottom };
}

/** @param {Box} one @param {Box} other */
function meet(one, other) {
  return one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
}
