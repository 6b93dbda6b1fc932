/**
 * A drawing of the page as a file: a picture (PNG) and a moving picture (GIF). It is a classic script of its own, since few
 * visits need it; its face is `window.softkvImages`.
 *
 * A drawing becomes an image without its page, so all that style sheets say of it is written into its elements first, as
 * attributes. An image loads nothing, so its fonts are put inside; opened from files, where they cannot be read, text is
 * drawn with a font of the system.
 */

import { asset } from "./assets.js";
import { applyPalette, GIFEncoder, quantize } from "../vendor/gifenc/gifenc.js";

/** Properties that style sheets set on a drawing; each is also an attribute of SVG. */
const STYLES = (
  "fill fill-opacity stroke stroke-width stroke-opacity stroke-dasharray stroke-linecap stroke-linejoin " +
  "opacity paint-order stop-color stop-opacity font-family font-size font-weight font-style letter-spacing text-anchor text-decoration dominant-baseline visibility"
).split(" ");
/** And what no attribute of SVG can say. */
const MIXING = ["mix-blend-mode", "isolation"];
const SVG = "http://www.w3.org/2000/svg";
/** Pixels of a picture for each of the screen. */
const SCALE = 2;
/** Around the drawing, in pixels of the screen; a caption takes this many lines of its own type above it. */
const MARGIN = 24;
const LINES = 1.8;
/** The pixels around a drawing whose edges may be overdrawn. */
const OVERDRAWN = 4;
/** @type {Record<string, string>} */
const FONTS = { "Plex Sans": "vendor/plex/sans.woff2", "Plex Mono": "vendor/plex/mono.woff2", "Plex Serif": "vendor/plex/serif.woff2" };
const GIF = { frames: 50, perSecond: 10, width: 720, colours: 255 };
/** The number of frames that make the palette: the others have the same colours. */
const SAMPLES = 4;

/**
 * A drawing as a PNG, on the page's background.
 *
 * @param {SVGSVGElement} svg on the page
 * @param {{scale?: number, caption?: ?Element}} [options] `caption` is the element of the page whose text is put above
 * @returns {Promise<Blob>}
 */
export async function pngOf(svg, { scale = SCALE, caption = null } = {}) {
  const canvas = await painted(svg, scale, caption);
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The browser cannot write this picture."))), "image/png"),
  );
}

/**
 * Moments of a drawing as a GIF that repeats.
 *
 * @param {(i: number) => SVGSVGElement | Promise<SVGSVGElement>} frame draws a moment, 0 to `frames` - 1, on the page
 * @param {{frames?: number, perSecond?: number, width?: number, caption?: ?Element, told?: (done: number, frames: number) => void}} [options]
 *   `width` is the most pixels across; `told` hears of each frame that is done
 * @returns {Promise<Blob>}
 */
export async function gifOf(frame, { frames = GIF.frames, perSecond = GIF.perSecond, width = GIF.width, caption = null, told } = {}) {
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
    encoder.writeFrame(written, image.width, image.height, {
      palette: before ? undefined : palette,
      delay: 1000 / perSecond,
      transparent: before !== null,
      transparentIndex,
      dispose: 1,
    });
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

/**
 * @param {Blob} blob
 * @param {string} name
 */
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
 * @param {SVGSVGElement} svg @param {number} scale @param {?Element} caption
 */
async function painted(svg, scale, caption) {
  const { width, height } = svg.getBoundingClientRect();
  const type = caption && getComputedStyle(caption);
  const top = MARGIN + (type ? Math.round(LINES * parseFloat(type.fontSize)) : 0);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width + 2 * MARGIN, top + height + MARGIN].map((side) => Math.round(side * scale));
  const context = pen(canvas);
  context.fillStyle = ground(svg);
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.scale(scale, scale);
  const edge = getComputedStyle(svg).overflow === "visible" ? OVERDRAWN : 0;
  const text = new XMLSerializer().serializeToString(await alone(svg, scale, edge));
  const image = new Image();
  const address = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  try {
    image.src = address;
    await image.decode();
    context.drawImage(image, MARGIN - edge, top - edge, width + 2 * edge, height + 2 * edge);
  } finally {
    URL.revokeObjectURL(address);
  }
  if (caption && type) {
    Object.assign(context, { font: `${type.fontWeight} ${type.fontSize} ${type.fontFamily}`, fillStyle: type.color, textAlign: "center", textBaseline: "top" });
    context.fillText(caption.textContent ?? "", width / 2 + MARGIN, MARGIN, width);
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
 * @param {SVGSVGElement} svg @param {number} scale of the copy @param {number} edge pixels around it
 */
async function alone(svg, scale, edge) {
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
    for (const name of MIXING) /** @type {SVGElement} */ (copies[i]).style.setProperty(name, style.getPropertyValue(name));
  });
  await Promise.all([...copy.querySelectorAll("image")].map(embed));
  copy.prepend(await fontsOf(svg));
  for (const element of hidden) element.remove();
  copy.setAttribute("xmlns", SVG);
  const box = svg.hasAttribute("viewBox") ? svg.viewBox.baseVal : { x: 0, y: 0, width, height };
  const unit = box.width / width;
  copy.setAttribute("width", String((width + 2 * edge) * scale));
  copy.setAttribute("height", String((height + 2 * edge) * scale));
  copy.setAttribute("viewBox", [box.x - edge * unit, box.y - edge * unit, box.width + 2 * edge * unit, box.height + 2 * edge * unit].join(" "));
  return copy;
}

/** The fonts of a drawing's texts, as a style sheet that has them inside. @param {SVGSVGElement} svg */
async function fontsOf(svg) {
  const used = new Set(Array.from(svg.querySelectorAll("text"), (text) => getComputedStyle(text).fontFamily.split(",")[0].replaceAll('"', "")));
  const families = [...used].filter((family) => family in FONTS);
  const addresses = await Promise.all(families.map((family) => fontAddress(FONTS[family])));
  const sheet = document.createElementNS(SVG, "style");
  sheet.textContent = families
    .map((family, i) => (addresses[i] ? `@font-face { font-family: "${family}"; src: url(${addresses[i]}); font-weight: 100 700; }` : ""))
    .join("");
  return sheet;
}

/** @type {Map<string, Promise<string>>} */
const fonts = new Map();

/** A font as a data URL; empty where it cannot be read. @param {string} path */
function fontAddress(path) {
  let address = fonts.get(path);
  if (!address) {
    address = fetched(asset(path));
    fonts.set(path, address);
  }
  return address;
}

/** Put a picture into the drawing itself: an image loads nothing. One that cannot be read is left out. @param {SVGImageElement} image */
async function embed(image) {
  const address = image.getAttribute("href") ?? "";
  if (address.startsWith("data:")) return;
  const inside = await fetched(address);
  if (inside) image.setAttribute("href", inside);
  else image.remove();
}

/** A file as a data URL; empty where it cannot be read, as from a page that was opened from files. @param {string} address */
async function fetched(address) {
  if (new URL(address, document.baseURI).protocol === "file:") return "";
  try {
    return await read(await (await fetch(address)).blob());
  } catch (failure) {
    if (!(failure instanceof TypeError)) throw failure;
    return "";
  }
}

/**
 * @param {Blob} blob
 * @returns {Promise<string>} a data URL
 */
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

window.softkvImages = { saveGif, savePng };
