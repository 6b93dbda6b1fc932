/** Small pictures in levels, 0 to 255: one that is made here, noise, patches, and how far two pictures are apart. */

export const SIDE = 48;
export const LEVELS = 255;
/** A patch is a pixel with its neighbours up to so far, in three colours: 27 numbers. */
const REACH = 1;
const SEED = 20;
const COLOURS = { sky: [135, 189, 235], sun: [250, 212, 64], light: [245, 240, 230], red: [191, 51, 51], joint: [224, 214, 194], stone: [89, 128, 97] };

/** A sun, an awning and a wall: a picture in which much repeats. @returns {Uint8ClampedArray} [SIDE, SIDE, 3] */
export function madePicture() {
  return Uint8ClampedArray.from(places().flatMap(([x, y]) => COLOURS[thing(x, y)]));
}

/**
 * @param {number} x
 * @param {number} y
 */
function thing(x, y) {
  if (y >= 24) return y % 8 < 2 || (x + (Math.floor(y / 8) % 2) * 8) % 16 < 2 ? "joint" : "stone";
  if (x >= 24 && y < 20) return Math.floor(x / 4) % 2 ? "light" : "red";
  return (x - 10) ** 2 + (y - 10) ** 2 <= 36 ? "sun" : "sky";
}

/**
 * The picture with Gaussian noise, the same each time.
 *
 * @param {ArrayLike<number>} levels @param {number} noise standard deviation, as a share of the whole range
 */
export function withNoise(levels, noise) {
  const drawn = normals(levels.length);
  return Uint8ClampedArray.from(levels, (level, i) => Math.round(level + noise * LEVELS * drawn[i]));
}

/** Normal numbers by Box and Muller, of mulberry32's uniform ones. @param {number} count */
function normals(count) {
  let seed = SEED;
  const uniform = () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return Float64Array.from({ length: count }, () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()));
}

/**
 * A patch for each pixel, row by row; at the border the picture is mirrored.
 * @returns {number[][]} [SIDE², 27]
 * @param {ArrayLike<number>} levels
 */
export function patchesOf(levels) {
  const mirrored = (/** @type {number} */ at) => (at < 0 ? -at : at >= SIDE ? 2 * SIDE - 2 - at : at);
  const steps = Array.from({ length: 2 * REACH + 1 }, (_, i) => i - REACH);
  return places().map(([x, y]) => steps.flatMap((down) => steps.flatMap((across) => pixel(levels, mirrored(y + down) * SIDE + mirrored(x + across)))));
}

/**
 * The pixels, row by row.
 * @returns {number[][]} [SIDE², 3]
 * @param {ArrayLike<number>} levels
 */
export function pixelsOf(levels) {
  return places().map((_, i) => pixel(levels, i));
}

/**
 * @param {ArrayLike<number>} levels
 * @param {number} at
 */
function pixel(levels, at) {
  return [levels[3 * at], levels[3 * at + 1], levels[3 * at + 2]];
}

function places() {
  return Array.from({ length: SIDE * SIDE }, (_, i) => [i % SIDE, Math.floor(i / SIDE)]);
}

/**
 * Peak signal-to-noise ratio in dB: 10 log₁₀ of the whole range squared over the mean squared difference.
 *
 * @param {ArrayLike<number>} levels
 * @param {Uint8ClampedArray} clean
 */
export function psnr(levels, clean) {
  const squared = clean.reduce((sum, level, i) => sum + (levels[i] - level) ** 2, 0) / clean.length;
  return squared ? 10 * Math.log10(LEVELS ** 2 / squared) : Infinity;
}

/** A picture from a file, its middle square, made small here: the file itself goes nowhere. @param {Blob} file */
export async function smallPicture(file) {
  const whole = await createImageBitmap(file);
  const side = Math.min(whole.width, whole.height);
  const canvas = new OffscreenCanvas(SIDE, SIDE);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingQuality = "high";
  context.drawImage(whole, (whole.width - side) / 2, (whole.height - side) / 2, side, side, 0, 0, SIDE, SIDE);
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  return Uint8ClampedArray.from({ length: 3 * SIDE * SIDE }, (_, i) => data[4 * Math.floor(i / 3) + (i % 3)]);
}
