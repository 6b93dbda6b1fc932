/** What a lookup shows after its first answer: loaded in one wave, when that is drawn. */

export { addends } from "./addends.js";
export { arithmetic } from "./arithmetic.js";
export { checking } from "./checking.js";
export { copyAsCurl } from "./copying.js";
export { limits } from "./limits.js";
export { sets } from "./sets.js";
export { table } from "./table.js";
