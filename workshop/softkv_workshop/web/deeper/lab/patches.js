/** A picture of 16 × 16 pixels. */

import { h, penOf } from "../../../../../service/softkv_service/web/shared/element.js";

export const SIDE = 16;

/** The picture alone, pixel by pixel. @param {number[][]} picture 0 paper, 1 ink */
export function painted(picture) {
  const canvas = h("canvas.pixels", { width: SIDE, height: SIDE, "aria-hidden": "true" });
  const pen = penOf(canvas);
  pen.fillStyle = "#000";
  picture.forEach((row, y) =>
    row.forEach((ink, x) => {
      pen.globalAlpha = Math.min(1, Math.max(0, ink));
      pen.fillRect(x, y, 1, 1);
    }),
  );
  return canvas;
}
