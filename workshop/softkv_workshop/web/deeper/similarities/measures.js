/** One query, six keys with a number each, and the six similarities that the service has. */

/** The query first, then the keys: points of a plane. */
export const SPOTS = [
  [1.6, 0.8],
  [3.0, -0.4],
  [0.7, 0.35],
  [1.7, 1.3],
  [-1.3, 1.8],
  [0.3, 2.5],
  [-1.6, -1.2],
];
export const LETTERS = ["a", "b", "c", "d", "e", "f"];
/** The values of the keys: h, in the notation of Bahdanau et al. */
export const VALUES = [10, 20, 30, 40, 50, 60];

/** In the order of the panels: their names on the wire, how they are written, and the parameters that two of them have. */
/** @type {{name: string, formula: string, parameters?: Record<string, number[] | number[][]>}[]} */
export const MEASURES = [
  { name: "dot", formula: "q · k" },
  { name: "scaled_dot", formula: "q · k / √d" },
  { name: "cosine", formula: "q · k / ‖q‖ ‖k‖" },
  { name: "gaussian", formula: "−‖q − k‖² / 2" },
  {
    name: "bilinear",
    formula: "qᵀ W k",
    parameters: {
      W: [
        [0, 1],
        [-1, 0],
      ],
    },
  },
  {
    name: "additive",
    formula: "vᵀ tanh(W_q q + W_k k)",
    parameters: {
      W_q: [
        [0, -1],
        [0.5, 0],
        [0.6, 0],
      ],
      W_k: [
        [0, 1],
        [1, 0],
        [-1, 0],
      ],
      v: [1, 1, 1],
    },
  },
];

/** A measure by its name; the last one if the name is unknown. @param {string} name */
export function measured(name) {
  return MEASURES.find((one) => one.name === name) ?? MEASURES[MEASURES.length - 1];
}
