/** All heads of all layers as small pictures of their weights; one is chosen, and perhaps a second. */

import { fill, h, penOf, put } from "../../element.js";
import { say } from "../../words.js";
import { HEADS, LAYERS } from "./traced.js";

const SIDE = 48;
/** @type {Record<string, number | undefined>} */
const MOVES = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: HEADS, ArrowUp: -HEADS };

/** @param {(place: Page.Head, isSecond: boolean) => void} choose @param {() => void} drop told that the second is to go */
export function model(choose, drop) {
  let isSecond = false;
  const [first, other] = [false, true].map((second) => h(`button.picking.${second ? "second" : "first"}`, { type: "button", onclick: () => pick(second) }));
  const away = h("button.plain", { type: "button", id: "drop-second", "aria-label": say("heads.drop"), onclick: () => (pick(false), drop()) }, "×");
  const grid = h("div.heads-of", { role: "group", "aria-label": say("heads.all") });
  const pictures = Array.from({ length: LAYERS * HEADS }, (_, at) => {
    const [layer, head] = [Math.floor(at / HEADS), at % HEADS];
    const canvas = h("canvas", { width: SIDE, height: SIDE });
    const name = say("heads.one", { layer: layer + 1, head: head + 1 });
    const button = h(
      "button.thumbnail",
      { type: "button", tabIndex: -1, title: name, "aria-label": name, onclick: () => chosen(at), onkeydown: (event) => walk(event, at) },
      canvas,
    );
    return { layer, head, canvas, button };
  });
  fill(
    grid,
    Array.from({ length: LAYERS }, (_, layer) => [
      h("span.layer-of.tiny.soft", { "aria-hidden": "true" }, String(layer + 1)),
      ...pictures.slice(layer * HEADS, (layer + 1) * HEADS).map((one) => one.button),
    ]),
  );
  const element = h(
    "div.labelled",
    {},
    h("div.across", {}, h("span.small.soft", {}, say("heads.all"))),
    h("div.pickers", { role: "group", "aria-label": say("heads.which") }, first, other, away),
    grid,
    h("p.tiny.soft", {}, say("heads.map")),
  );

  /** @param {boolean} second */
  function pick(second) {
    isSecond = second;
    first.setAttribute("aria-pressed", String(!second));
    other.setAttribute("aria-pressed", String(second));
  }

  /** @param {number} at */
  function chosen(at) {
    choose({ layer: pictures[at].layer, head: pictures[at].head }, isSecond);
  }

  /** @param {KeyboardEvent} event @param {number} at */
  function walk(event, at) {
    const next = pictures[at + (MOVES[event.key] ?? NaN)];
    if (!next) return;
    event.preventDefault();
    event.stopPropagation();
    next.button.focus();
  }

  /** @param {?Map<number, number[][][]>} layers the weights by layer @param {Page.Head} one the head @param {?Page.Head} two the second */
  function show(layers, one, two) {
    put(first, `● ${say("heads.one", { layer: one.layer + 1, head: one.head + 1 })}`);
    put(other, two ? `◌ ${say("heads.one", { layer: two.layer + 1, head: two.head + 1 })}` : say("heads.second"));
    away.hidden = !two;
    const is = (/** @type {?Page.Head} */ place, /** @type {Page.Head} */ { layer, head }) => place?.layer === layer && place?.head === head;
    for (const picture of pictures) {
      picture.button.setAttribute("aria-pressed", String(is(one, picture)));
      picture.button.classList.toggle("second", is(two, picture));
      picture.button.tabIndex = is(one, picture) ? 0 : -1;
    }
    if (layers) paint(layers);
  }

  /** Rows are queries, columns keys, ink is weight. @param {Map<number, number[][][]>} layers */
  function paint(layers) {
    const ink = getComputedStyle(document.documentElement).getPropertyValue("--weight");
    for (const { layer, head, canvas } of pictures) {
      const pen = penOf(canvas);
      pen.clearRect(0, 0, SIDE, SIDE);
      const weights = layers.get(layer)?.[head];
      if (!weights) continue;
      const cell = SIDE / weights.length;
      pen.fillStyle = ink;
      weights.forEach((row, i) =>
        row.forEach((weight, j) => {
          pen.globalAlpha = Math.sqrt(weight);
          pen.fillRect(j * cell, i * cell, Math.ceil(cell), Math.ceil(cell));
        }),
      );
    }
  }

  pick(false);
  return { element, show };
}
