/** Characters as values. One that no font of this device has is named, since a box says nothing. */

/** No character, so no font has it: what is drawn for it is drawn for whatever is missing. */
const MISSING = "\u{10FFFF}";
const SIZE = 24;
const seen = new Map();
let pen = null;

/** One character, as the values of the Unicode table are: it goes first, before its long name. */
export function isGlyph(text) {
  return Array.from(text).length <= 2;
}

/** A text as it can be seen: a character that has no font here by its number, `U+1F63A`. */
export function legible(text) {
  const isBare = text.trim() && isGlyph(text) && /[\u0250-\uffff]/.test(text);
  if (!isBare || hasFont(text)) return text;
  return Array.from(text, (letter) => `U+${letter.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`).join(" ");
}

/** Whether a font here has a character: its picture is another than that of a missing one. */
function hasFont(text) {
  const first = Array.from(text)[0];
  if (!seen.has(first)) seen.set(first, pixels(first) !== pixels(MISSING));
  return seen.get(first);
}

function pixels(letter) {
  pen ??= Object.assign(document.createElement("canvas"), { width: 2 * SIZE, height: 2 * SIZE }).getContext("2d", { willReadFrequently: true });
  pen.clearRect(0, 0, 2 * SIZE, 2 * SIZE);
  pen.font = `${SIZE}px ${getComputedStyle(document.body).fontFamily}`;
  pen.fillText(letter, SIZE / 4, 1.5 * SIZE);
  return pen.getImageData(0, 0, 2 * SIZE, 2 * SIZE).data.join();
}
