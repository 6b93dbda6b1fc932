/** The numbers of a picture: those of a row at its thread, and all of them as a table under the hood. */

import { fill, h } from "../../../../service/softkv_service/web/shared/element.js";
import { fixed, percent, threeDigits } from "../../../../service/softkv_service/web/shared/numbers.js";

/** @typedef {{key: string, isMasked?: boolean}} Row */

/**
 * @param {import("../../../../service/softkv_service/web/shared/words.js").Say} say
 * @param {import("../../../../service/softkv_service/web/shared/threads.js").Threads} threads where a row is pointed at
 * @param {boolean} [areFocused] whether the rows have the focus themselves: no buttons lie over them
 * @returns {{element: HTMLElement, card: HTMLElement, show: (rows: Row[], similarities: ArrayLike<number>, weights: ArrayLike<number>, temperature: number) => void}}
 */
export function numbers(say, threads, areFocused = false) {
  const body = h("tbody");
  const names = ["similarity", "logit", "exp", "weight"].map((name) => say(`table.${name}`));
  const heads = [say("table.key"), ...names].map((name) => h("th", { scope: "col" }, name));
  const element = h("table.numbers", {}, h("thead", {}, h("tr", {}, ...heads)), body);
  const card = h("div.at-thread", { role: "status", hidden: true });
  /** @type {Row[]} */
  let shown = [];
  /** The numbers of a row. @type {(row: number) => string[]} */
  let cells = () => [];
  let pointed = -1;
  // A folded table is not drawn while a knob is dragged, but when it is opened.
  const draw = () =>
    (element.closest("details")?.open ?? true) &&
    fill(
      body,
      shown.map(({ key }, i) => h("tr", {}, h("th", { scope: "row" }, key), ...cells(i).map((text, j) => h(`td.number${j === 3 ? ".weight" : ""}`, {}, text)))),
    );
  const point = () => {
    const box = shown[pointed] ? threads.element.querySelector(`[data-row="${pointed}"] .key`)?.getBoundingClientRect() : undefined;
    const frame = threads.element.getBoundingClientRect();
    card.hidden = !box;
    if (!box) return;
    const texts = cells(pointed);
    fill(card, h("b", {}, shown[pointed].key), h("dl", {}, ...names.map((name, i) => h("div", {}, h("dt", {}, name), h("dd", {}, texts[i])))));
    const { y, height } = threads.queryBox;
    // No number of another row is below it: it is beside the rows, under the question, or on a narrow page over the question.
    const isBeside = box.left - frame.left > card.offsetWidth;
    card.style.setProperty("top", `${isBeside ? Math.min(y + height + 8, frame.height - card.offsetHeight) : y + height - card.offsetHeight}px`);
  };
  requestAnimationFrame(() => {
    element.closest("details")?.addEventListener("toggle", draw);
    card.parentElement?.addEventListener("keydown", ({ key }) => key === "Escape" && threads.point(-1));
  });
  threads.onPoint((row) => {
    pointed = row;
    point();
  }, areFocused);
  threads.element.addEventListener("keydown", (event) => {
    const row = event.target instanceof Element ? event.target.closest("[role=img][data-row]") : null;
    const next = event.key === "ArrowDown" ? row?.nextElementSibling : event.key === "ArrowUp" ? row?.previousElementSibling : null;
    if (!row || !(next instanceof SVGElement)) return;
    event.preventDefault();
    next.focus();
  });
  return {
    element,
    card,
    show(rows, similarities, weights, temperature) {
      shown = rows;
      cells = (i) => {
        const isMasked = rows[i].isMasked ?? false;
        const logit = isMasked ? -Infinity : similarities[i] / temperature;
        const isWritten = temperature > 0 && !Number.isNaN(logit);
        const exp = isMasked ? "0" : threeDigits(Math.exp(logit), logit * Math.LOG10E);
        return [fixed(similarities[i], 3), ...(isWritten ? [fixed(logit, 2), exp] : ["–", "–"]), percent(weights[i])];
      };
      draw();
      if (pointed >= 0) point();
    },
  };
}
