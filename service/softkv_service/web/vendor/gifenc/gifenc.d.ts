/** What the page uses of gifenc, whose package has no types. */
type Palette = number[][];
type FrameOptions = { palette?: Palette; delay?: number; transparent?: boolean; transparentIndex?: number; dispose?: number };

/** Choose colours for pixels of red, green, blue and alpha. */
export function quantize(pixels: Uint8Array | Uint8ClampedArray, colours: number): Palette;
/** The index of the nearest colour of each pixel. */
export function applyPalette(pixels: Uint8Array | Uint8ClampedArray, palette: Palette): Uint8Array;
export function GIFEncoder(): {
  writeFrame(indexes: Uint8Array, width: number, height: number, options?: FrameOptions): void;
  finish(): void;
  bytes(): Uint8Array<ArrayBuffer>;
};
