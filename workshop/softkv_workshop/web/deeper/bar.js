/** An error on a scale of powers of ten: how large it may be, as a bar, and how large it was, as a mark. */

import { h } from "../../../../service/softkv_service/web/shared/element.js";
import { fixed, power } from "../../../../service/softkv_service/web/shared/numbers.js";

/** The scale goes from this power of ten to 1. */
const LOWEST = -16;

/**
 * @param {?number} was
 * @param {number} most the bound
 */
export function bar(was, most) {
  const mark = was === null ? null : h("span.was", { style: { "--at": String(along(was)) } });
  return h("div.error-bar", { "aria-hidden": "true" }, h("span.most", { style: { "--at": String(along(most)) } }), mark);
}

/** A bound with one digit: never smaller than it is. @param {number} bound */
export function upTo(bound) {
  const unit = 10 ** Math.floor(Math.log10(bound));
  return bound > 0 ? power(Math.ceil((bound / unit) * (1 - Number.EPSILON)) * unit * (1 + 1e-9)) : power(0);
}

/** A weight in three digits: what the bound leaves open is far behind them. @param {number} weight */
export function inThreeDigits(weight) {
  return weight > 0 ? fixed(weight, Math.min(14, 2 - Math.floor(Math.log10(weight)))) : "0";
}

/** @param {number} error */
function along(error) {
  return Math.min(1, Math.max(0, 1 - Math.log10(Math.max(error, 10 ** LOWEST)) / LOWEST));
}
