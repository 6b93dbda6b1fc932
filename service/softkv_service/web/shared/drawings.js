/**
 * Small drawn pictures, which are the values of some rows. A picture is a ground and shapes upon it, in two to four flat
 * colours. It is drawn as elements of the page's own SVG, so that a picture of the page has it too.
 */

import { s } from "./svg.js";

/** @typedef {[string, string] | [string, string, number]} Shape a colour and a path, which is filled; with a width it is a line */

/** Every picture is so wide and so high, in the numbers of its paths. */
export const WIDTH = 96;
export const HEIGHT = 60;

/**
 * @param {number} x
 * @param {number} y
 * @param {number} across
 * @param {number} [down]
 */
function oval(x, y, across, down = across) {
  return `M${x - across} ${y}a${across} ${down} 0 1 0 ${2 * across} 0a${across} ${down} 0 1 0 ${-2 * across} 0Z`;
}

/** @type {Record<string, {ground: string, shapes: Shape[]}>} */
const PICTURES = {
  plant: {
    ground: "#f3ead2",
    shapes: [
      ["#e0d2ac", "M0 50H96V60H0Z"],
      ["#6f8f45", "M48 36C48 18 44 9 34 9C24 9 20 16 19 27", 2.5],
      ["#6f8f45", "M48 36C48 20 54 13 62 13C72 13 76 20 77 30", 2.5],
      ["#8aa24f", "M19 24C11 29 12 40 18 45C25 40 26 29 19 24ZM31 9C25 15 26 25 32 30C38 24 37 14 31 9Z"],
      ["#b9a43c", "M77 28C69 33 70 43 77 48C84 43 84 33 77 28ZM65 13C59 19 60 28 66 33C72 27 71 18 65 13Z"],
      ["#b9a43c", "M16 54C22 49 30 50 33 53C28 57 20 57 16 54Z"],
      ["#c8623a", "M36 38H60L57 55H39Z"],
      ["#a94d2b", "M34 34H62V41H34Z"],
    ],
  },
  tomato: {
    ground: "#cfe6c3",
    shapes: [
      ["#b6d5a6", "M0 48H96V60H0Z"],
      ["#d8392b", oval(48, 34, 25, 21)],
      ["#ee7263", "M30 30C31 24 36 20 41 20C38 24 35 28 34 33C33 35 30 34 30 30Z"],
      ["#3f7d3a", "M48 18L53 11L57 13L53 19L63 18L57 24L62 30L53 26L48 34L43 26L34 30L39 24L33 18L44 19Z"],
    ],
  },
  bee: {
    ground: "#cbe4f4",
    shapes: [
      ["#ffffff", oval(45, 17, 8, 12)],
      ["#e8f4fb", oval(60, 18, 8, 11)],
      ["#f4b92f", oval(53, 34, 22, 14)],
      ["#4a3320", "M44 21.5C41 29 41 39 44 46.5L50 47.9C47 39 47 29 50 20.1ZM57 20.2C60 29 60 39 57 47.8L63 46.5C66 39 66 29 63 21.5Z"],
      ["#4a3320", "M73 30L82 34L73 38Z"],
      ["#4a3320", oval(30, 34, 9)],
      ["#ffffff", oval(27, 32, 2.4)],
      ["#4a3320", "M28 26C26 20 22 18 18 18M32 25C32 19 29 15 25 13", 1.8],
    ],
  },
  loaf: {
    ground: "#f0d9b5",
    shapes: [
      ["#8a5a34", "M6 48H90V54H6Z"],
      ["#b36d2c", "M15 48C8 24 26 12 48 12C70 12 88 24 81 48Z"],
      ["#d89a4e", "M24 40C20 26 32 18 48 18C64 18 76 26 72 40C60 34 36 34 24 40Z"],
      ["#f9e6c2", "M33 21C38 25 39 31 37 37M46 18C51 23 52 29 50 35M60 20C64 24 65 30 63 36", 3.5],
    ],
  },
  bicycle: {
    ground: "#dfe0f2",
    shapes: [
      ["#c5c7e4", "M0 53H96V60H0Z"],
      ["#2f3a56", oval(24, 39, 14), 3],
      ["#2f3a56", "M59 51C56 46 55 42 55 38A15 13 0 0 1 85 38C85 42 84 46 81 51C76 54 64 54 59 51Z", 3],
      ["#d2572a", "M24 39L37 19H61L46 39ZM37 19L46 39M58 12L70 39", 3.5],
      ["#2f3a56", "M31 15H42M58 12H66", 3.5],
    ],
  },
  guitar: {
    ground: "#bfe0db",
    shapes: [
      ["#5a3420", "M50 27H84V33H50ZM82 23H93V37H82Z"],
      ["#c0702f", `${oval(24, 30, 19)}${oval(45, 30, 14)}`],
      ["#5a3420", oval(38, 30, 6.5)],
      ["#5a3420", "M13 22H17V38H13Z"],
      ["#f6e3c0", "M15 28H88M15 32H88", 0.9],
    ],
  },
  lightning: {
    ground: "#2b2f5c",
    shapes: [
      ["#8a91c7", `${oval(33, 21, 13)}${oval(50, 16, 14)}${oval(66, 22, 12)}`],
      ["#8a91c7", "M33 20H66V34H33Z"],
      ["#ffd84a", "M51 24L36 43H46L40 59L62 37H51L59 24Z"],
    ],
  },
  volcano: {
    ground: "#7a2e4d",
    shapes: [
      ["#2a1728", "M0 60C18 54 32 42 38 28H58C64 42 78 54 96 60Z"],
      ["#ff7a2a", "M42 29C43 18 36 13 27 17C34 6 44 8 46 17C46 11 46 7 48 2C50 7 51 11 50 17C52 8 62 6 69 17C60 13 53 18 54 29Z"],
      ["#ffc95c", `${oval(25, 27, 2.6)}${oval(72, 27, 2.6)}${oval(34, 8, 2)}${oval(62, 7, 2)}`],
      [
        "#ff7a2a",
        "M38 28H58C60 33 61 36 60 40C59 43 56 42 56 39C56 36 53 36 53 39V50C53 54 47 54 47 50V40C47 36 44 36 44 39C44 43 40 43 39 40C38 37 37 33 38 28Z",
      ],
    ],
  },
};

/**
 * A picture, drawn into a box, which it fills: what is too high or too wide is cut off.
 *
 * @param {string} name
 * @param {{x: number, y: number, width: number, height: number}} box
 * @returns {SVGSVGElement}
 */
export function drawing(name, box) {
  const { ground, shapes } = PICTURES[name];
  return s(
    "svg.drawing",
    { ...box, viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "xMidYMid slice" },
    s("rect", { width: WIDTH, height: HEIGHT, fill: ground }),
    ...shapes.map(([colour, d, width]) =>
      width === undefined
        ? s("path", { d, fill: colour })
        : s("path", { d, fill: "none", stroke: colour, "stroke-width": width, "stroke-linecap": "round", "stroke-linejoin": "round" }),
    ),
  );
}
