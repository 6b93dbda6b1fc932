/** Characters as values. One that no font of this device has is named, since a box says nothing. */

import { h, penOf } from "../element.js";

/** No character, so no font has it: what is drawn for it is drawn for whatever is missing. */
const MISSING = "\u{10FFFF}";
const SIZE = 24;
/** @type {Map<string, boolean>} */
const seen = new Map();
/** @type {?CanvasRenderingContext2D} */
let pen = null;

/** One character, as the values of the Unicode table are: it goes first, before its long name. @param {string} text */
export function isGlyph(text) {
  return Array.from(text).length <= 2;
}

/** A text as it can be seen: a character that has no font here by its number, `U+1F63A`. @param {string} text */
export function legible(text) {
  const isBare = text.trim() && isGlyph(text) && /[\u0250-\uffff]/.test(text);
  if (!isBare || hasFont(text)) return text;
  return Array.from(text, (letter) => `U+${Number(letter.codePointAt(0)).toString(16).toUpperCase().padStart(4, "0")}`).join(" ");
}

/** Whether a font here has a character: its picture is another than that of a missing one. @param {string} text */
function hasFont(text) {
  const first = Array.from(text)[0];
  const known = seen.get(first) ?? pixels(first) !== pixels(MISSING);
  seen.set(first, known);
  return known;
}

/** @param {string} letter */
function pixels(letter) {
  pen ??= penOf(h("canvas", { width: 2 * SIZE, height: 2 * SIZE }), { willReadFrequently: true });
  pen.clearRect(0, 0, 2 * SIZE, 2 * SIZE);
  pen.font = `${SIZE}px ${getComputedStyle(document.body).fontFamily}`;
  pen.fillText(letter, SIZE / 4, 1.5 * SIZE);
  return pen.getImageData(0, 0, 2 * SIZE, 2 * SIZE).data.join();
}
