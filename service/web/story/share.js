/**
 * A state of the story to take away: its address, a picture (PNG) and a moving picture (GIF).
 *
 * A drawing becomes an image without its page, so all that style sheets say of it is written into its elements first, as
 * attributes. Text is drawn with a font of the system: an image loads none.
 */

import { applyPalette, GIFEncoder, quantize } from "../vendor/gifenc/gifenc.js";

/** What style sheets say of a drawing; each is an attribute of SVG, too. */
const STYLES = [
  "fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "opacity", "paint-order",
  "stop-color", "stop-opacity", "font-family", "font-size", "font-weight", "font-style", "letter-spacing", "text-anchor", "text-decoration", "dominant-baseline", "visibility",
];
const SVG = "http://www.w3.org/2000/svg";
/** Pixels of a picture for each of the screen. */
const SCALE = 2;
/** Around the drawing, in pixels of the screen; above it is room for a caption of so many lines of its own type. */
const MARGIN = 24;
const CAPTION = { size: 26, lines: 1.8 };
const GIF = { frames: 50, perSecond: 10, width: 720, colours: 255 };
/** Of so many frames the palette is made: the colours of the others are among theirs. */
const SAMPLES = 4;

/**
 * The address of what is on the screen.
 *
 * @param {{href: string}} location
 * @param {string} [hash] the state, where the address does not have it yet
 * @returns {string}
 */
export function linkOf(location, hash) {
  const address = new URL(location.href);
  if (hash !== undefined) address.hash = hash;
  address.searchParams.delete("embed");
  return address.href;
}

/**
 * A drawing as a PNG, on the page's background.
 *
 * @param {SVGSVGElement} svg on the page
 * @param {{scale?: number, caption?: string}} [options]
 * @returns {Promise<Blob>}
 */
export async function pngOf(svg, { scale = SCALE, caption = "" } = {}) {
  const canvas = await painted(svg, scale, caption);
  return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The browser cannot write this picture."))), "image/png"));
}

/**
 * Moments of a drawing as a GIF that repeats.
 *
 * @param {(i: number) => SVGSVGElement | Promise<SVGSVGElement>} frame draws a moment, 0 to `frames` - 1, on the page
 * @param {{frames?: number, perSecond?: number, width?: number, caption?: string, told?: (done: number, frames: number) => void}} [options]
 *   `width` is the most pixels across; `told` hears of each frame that is done
 * @returns {Promise<Blob>}
 */
export async function gifOf(frame, { frames = GIF.frames, perSecond = GIF.perSecond, width = GIF.width, caption = "", told } = {}) {
  const pixels = async (/** @type {number} */ i) => {
    const svg = await frame(i);
    const canvas = await painted(svg, Math.min(1, width / (svg.getBoundingClientRect().width + 2 * MARGIN)), caption);
    return pen(canvas).getImageData(0, 0, canvas.width, canvas.height);
  };
  const samples = [];
  for (let i = 0; i < SAMPLES; i++) samples.push(await pixels(Math.round((i * (frames - 1)) / (SAMPLES - 1))));
  const palette = quantize(joined(samples.map(({ data }) => data)), GIF.colours);
  // A pixel that does not change is transparent in all frames but the first: the file is a fifth as large.
  const transparentIndex = palette.push([0, 0, 0]) - 1;
  const encoder = GIFEncoder();
  /** @type {?Uint8Array} */
  let last = null;
  for (let i = 0; i < frames; i++) {
    const image = await pixels(i);
    const indexes = applyPalette(image.data, palette.slice(0, transparentIndex));
    const before = last;
    const written = before ? indexes.map((index, at) => (index === before[at] ? transparentIndex : index)) : indexes;
    encoder.writeFrame(written, image.width, image.height, { palette: before ? undefined : palette, delay: 1000 / perSecond, transparent: before !== null, transparentIndex, dispose: 1 });
    last = indexes;
    told?.(i + 1, frames);
  }
  encoder.finish();
  return new Blob([encoder.bytes()], { type: "image/gif" });
}

/**
 * Save a drawing as a file of that name.
 *
 * @param {SVGSVGElement} svg
 * @param {string} name such as `softkv.png`
 * @param {Parameters<typeof pngOf>[1]} [options]
 */
export async function savePng(svg, name, options) {
  save(await pngOf(svg, options), name);
}

/**
 * Save moments of a drawing as a file of that name.
 *
 * @param {(i: number) => SVGSVGElement | Promise<SVGSVGElement>} frame as `gifOf` takes it
 * @param {string} name such as `softkv.gif`
 * @param {Parameters<typeof gifOf>[1]} [options]
 */
export async function saveGif(frame, name, options) {
  save(await gifOf(frame, options), name);
}

/** @param {Blob} blob @param {string} name */
function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser reads the file after this task.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/**
 * A drawing in pixels, on the background that it has on the page, with a margin and its caption above.
 *
 * @param {SVGSVGElement} svg @param {number} scale @param {string} caption
 */
async function painted(svg, scale, caption) {
  const { width, height } = svg.getBoundingClientRect();
  const top = MARGIN + (caption ? Math.round(CAPTION.size * CAPTION.lines) : 0);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width + 2 * MARGIN, top + height + MARGIN].map((side) => Math.round(side * scale));
  const context = pen(canvas);
  context.fillStyle = ground(svg);
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.scale(scale, scale);
  const text = new XMLSerializer().serializeToString(await alone(svg, scale));
  const image = new Image();
  const address = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  try {
    image.src = address;
    await image.decode();
    context.drawImage(image, MARGIN, top, width, height);
  } finally {
    URL.revokeObjectURL(address);
  }
  if (caption) {
    const { fontFamily, color } = getComputedStyle(document.querySelector("h1") ?? document.body);
    Object.assign(context, { font: `500 ${CAPTION.size}px ${fontFamily}`, fillStyle: color, textAlign: "center", textBaseline: "top" });
    context.fillText(caption, width / 2 + MARGIN, MARGIN, width);
  }
  return canvas;
}

/** @param {HTMLCanvasElement} canvas */
function pen(canvas) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
}

/**
 * A copy that looks the same without its page: with its styles as attributes, its pictures inside, and nothing hidden.
 *
 * @param {SVGSVGElement} svg @param {number} scale of the copy
 */
async function alone(svg, scale) {
  const { width, height } = svg.getBoundingClientRect();
  const copy = /** @type {SVGSVGElement} */ (svg.cloneNode(true));
  const originals = [svg, ...svg.querySelectorAll("*")];
  const copies = [copy, ...copy.querySelectorAll("*")];
  /** @type {Element[]} */
  const hidden = [];
  originals.forEach((original, i) => {
    const style = getComputedStyle(original);
    if (style.display === "none") hidden.push(copies[i]);
    for (const name of STYLES) copies[i].setAttribute(name, style.getPropertyValue(name));
    if (style.transform !== "none" && !original.hasAttribute("transform") && i) copies[i].setAttribute("transform", style.transform);
    copies[i].removeAttribute("style");
    copies[i].removeAttribute("class");
  });
  await Promise.all([...copy.querySelectorAll("image")].map(embed));
  for (const element of hidden) element.remove();
  copy.setAttribute("xmlns", SVG);
  copy.setAttribute("width", String(width * scale));
  copy.setAttribute("height", String(height * scale));
  if (!copy.hasAttribute("viewBox")) copy.setAttribute("viewBox", `0 0 ${width} ${height}`);
  return copy;
}

/** Put a picture into the drawing itself: an image loads nothing. One that cannot be read is left out. @param {SVGImageElement} image */
async function embed(image) {
  const address = image.getAttribute("href") ?? "";
  if (address.startsWith("data:")) return;
  try {
    const blob = await (await fetch(address)).blob();
    image.setAttribute("href", await read(blob));
  } catch (failure) {
    if (!(failure instanceof TypeError)) throw failure;
    image.remove();
  }
}

/** @param {Blob} blob @returns {Promise<string>} a data URL */
function read(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

/** The nearest background that is not transparent. @param {Element} element */
function ground(element) {
  for (let at = /** @type {?Element} */ (element); at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (!/^(transparent|rgba\(.*, 0\))$/.test(colour)) return colour;
  }
  return "#fff";
}

/** @param {Uint8ClampedArray[]} parts */
function joined(parts) {
  const all = new Uint8ClampedArray(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
