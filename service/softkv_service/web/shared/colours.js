/** Colours as linear light, in which they can be added. */

/**
 * #rrggbb → linear light, 0 to 1: light adds up, and the numbers of sRGB do not.
 * IEC 61966-2-1, the transfer function of sRGB; colourOf is its inverse.
 *
 * @param {string} colour
 */
export function lightOf(colour) {
  return [1, 3, 5].map((at) => {
    const share = parseInt(colour.slice(at, at + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
}

/** @param {number[]} light */
export function colourOf(light) {
  const parts = light.map((linear) => {
    const bounded = Math.min(1, Math.max(0, linear));
    const share = bounded <= 0.0031308 ? 12.92 * bounded : 1.055 * bounded ** (1 / 2.4) - 0.055;
    return Math.round(share * 255)
      .toString(16)
      .padStart(2, "0");
  });
  return `#${parts.join("")}`;
}
