/** Stored pictures for the memory that repairs: eight by eight cells, ink +1, paper −1. */

/** @type {Record<string, string>} */
const DRAWN = {
  A: "..####.. .##..##. ##....## ##....## ######## ##....## ##....## ##....##",
  K: "##...##. ##..##.. ##.##... ####.... ####.... ##.##... ##..##.. ##...##.",
  V: "##....## ##....## ##....## ##....## .##..##. .##..##. ..####.. ...##...",
  Z: "######## ######## .....##. ....##.. ...##... ..##.... ######## ########",
  "☺": "..####.. .#....#. #.#..#.# #......# #.#..#.# #..##..# .#....#. ..####..",
};

/** Their names, in order. */
export const NAMES = Object.keys(DRAWN);

/** Their cells, 64 numbers of ±1 each. */
export const PATTERNS = NAMES.map((name) => [...DRAWN[name].replaceAll(" ", "")].map((cell) => (cell === "#" ? 1 : -1)));

/** A pattern with some of its cells turned: always the same ones for the same seed. @param {number[]} pattern @param {number} turned @param {number} [seed] */
export function damaged(pattern, turned, seed = 1) {
  const cells = [...pattern];
  const order = cells.map((_, i) => i);
  let random = seed;
  for (let i = order.length - 1; i > 0; i--) {
    random = (random * 48271) % 2147483647;
    const j = random % (i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  for (const i of order.slice(0, turned)) cells[i] = -cells[i];
  return cells;
}
