/** The node of the output: a blended swatch, number or pin; of texts the vector, and the stored value nearest to it. */

import { h, penOf, put } from "../element.js";
import { map } from "./map.js";
import { fixed, percent } from "../numbers.js";
import { painted, valuesOf } from "../values.js";
import { clipped, say } from "../words.js";
import { legible } from "./glyphs.js";

const LONGEST = 60;
const NAMED = 24;
/** @type {Map<string, string>} */
const known = new Map();

/** @typedef {{output: Float64Array, values: Extract<Values, {kind: "text"}>, nearest: ?{value: string, similarity: number, of: number}}} TextBlend the value nearest to it, of so many */
/** @typedef {ReturnType<typeof import("../values.js").blendOf> & {values: Exclude<Values, {kind: "text"}>, model: Page.Lookup}} ValueBlend */
/** @typedef {TextBlend | ValueBlend} Blend what arithmetic.js makes of the weights */
/** @typedef {import("../values.js").Values} Values */

/** A colour of this theme, by its name; asked of the style sheet once. @param {string} name */
function colourOf(name) {
  const by = `${document.documentElement.dataset.theme} ${name}`;
  const colour = known.get(by) ?? getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  known.set(by, colour);
  return colour;
}

/** What stands where the lines meet. */
export function output() {
  const strip = barcode(32, 3, 40);
  const swatch = h("span.swatch", { role: "img" });
  const place = h("span.place-of", {});
  /** @type {?ReturnType<typeof map>} */
  let chart = null;
  const large = h("span.blended.number", {});
  const how = h("span.tiny.soft", { id: "output-how" });
  const said = h("span.tiny", { id: "output-words" });
  const nearest = h("bdi.nearest.small", { id: "output-nearest" });
  const element = h("div.node.output", { id: "output-node" }, strip.element, swatch, place, large, how, said, nearest);
  /** @type {Record<Values["kind"], HTMLElement[]>} */
  const parts = { text: [strip.element, nearest], colour: [swatch, large], number: [large], place: [place, large] };

  /** The rows are others: what they blend to takes its room before the lines are measured. @param {Page.Lookup} model */
  function show({ result }) {
    const values = valuesOf(result);
    const { kind } = values;
    const stray = values.kind === "text" ? values.stray : null;
    element.dataset.kind = kind;
    put(how, typeof stray === "string" ? say("output.stray", { value: clipped(stray.trim(), NAMED) || "∅" }) : say("picture.blend"));
    for (const part of new Set(Object.values(parts).flat())) part.toggleAttribute("hidden", !parts[kind].includes(part));
    if (kind === "place" && !chart) bring();
    draw(null);
  }

  /** The map comes when a place does. */
  function bring() {
    chart = map();
    place.append(chart.element);
  }

  /** @param {?Blend} blend null while it must not be seen, or is not known */
  function draw(blend) {
    element.classList.toggle("unknown", !blend);
    element.dataset.vector = blend && "mean" in blend ? blend.output.join(" ") : "";
    if (!blend) {
      strip.draw(null);
      for (const part of [large, said, nearest]) put(part, "");
    } else if ("mean" in blend) drawValue(blend);
    else drawText(blend);
  }

  /** @param {TextBlend} blend */
  function drawText({ output: vector, nearest: found }) {
    const isNothing = vector.every((component) => component === 0); // no value is nearer to it than any other
    const shown = isNothing ? null : found;
    strip.draw(vector);
    put(said, isNothing ? say("output.nothing") : shown ? say("output.nearest", { count: shown.of, similarity: fixed(shown.similarity) }) : "");
    put(nearest, shown ? clipped(legible(shown.value), LONGEST) : "");
    nearest.title = shown?.value.slice(0, 600) ?? "";
  }

  /** A number is shown as it came out, with the null's zero in it; a colour and a pin are the mean of what answered. @param {ValueBlend} blend */
  function drawValue(blend) {
    const {
      values: { kind, vectors, write },
      output: sum,
      answered,
      mean,
      model,
    } = blend;
    const text = mean ? write(kind === "number" ? sum : mean) : "";
    put(large, text);
    put(said, !mean ? say("output.nothing") : answered === 1 ? "" : say(`output.${kind}`, { share: percent(answered), value: write(mean) }));
    if (kind === "colour") {
      const colour = painted(blend, colourOf("--paper"));
      swatch.style.setProperty("--colour", colour);
      swatch.dataset.colour = colour;
      swatch.setAttribute("aria-label", say("output.swatch", { value: colour }));
    }
    if (kind === "place") {
      const { rows } = model.result;
      const places = vectors.flatMap((at, i) => (at ? [{ at, weight: model.answer.weights[i], key: rows[i].key }] : []));
      chart?.draw(places, { at: mean, answered, text: text || say("output.nothing") });
    }
  }

  return { element, show, draw };
}

/**
 * A vector as a strip of cells: the sign by the side of the middle line, the size by the length.
 *
 * @param {number} cells how many of the vector's first components are drawn
 * @param {number} width pixels a cell
 * @param {number} [height]
 */
export function barcode(cells, width, height = 28) {
  const element = h("canvas.barcode", { width: cells * width, height, role: "img", "aria-hidden": "true" });
  const pen = penOf(element);

  /** @param {?ArrayLike<number>} vector */
  function draw(vector) {
    pen.clearRect(0, 0, element.width, height);
    if (!vector) return;
    const shown = Array.from(vector).slice(0, cells);
    const largest = Math.max(...shown.map(Math.abs), 1e-9);
    pen.fillStyle = colourOf("--value");
    pen.globalAlpha = 0.35;
    pen.fillRect(0, height / 2, element.width, 0.5);
    pen.globalAlpha = 1;
    shown.forEach((component, i) => {
      const length = (component / largest) * (height / 2 - 1);
      pen.fillRect(i * width, length > 0 ? height / 2 - length : height / 2, width - 1, Math.abs(length));
    });
  }

  return { element, draw };
}
