/** The whole layer on one sheet: every array of it with the numbers of the moment, in the order they are computed. */

import { fill, h } from "../../element.js";
import { fixed } from "../../numbers.js";
import { rich, say, subscripted } from "../../words.js";
import { flow } from "./flow.js";
import { BLOCKS } from "./blocks.js";

/** @param {(it: number) => void} choose told the step of the block that was chosen @param {Element} copying repeats the call */
export function sheet(choose, copying) {
  const places = BLOCKS.map((block, i) => {
    const numbers = h("span.figures", { "aria-hidden": "true" });
    const title = h("span.of", {});
    const button = h(`button.block.${block.kind}.at-${block.name}`, { type: "button", onclick: () => choose(i) }, title, numbers);
    return { block, numbers, title, button };
  });
  const heads = h("span.one-head", {});
  const drawing = flow(new Map(places.map(({ block, button }) => [block.name, button])));
  const plane = h(
    "div.flow",
    {},
    drawing.element,
    heads,
    places.map(({ button }) => button),
  );
  const scroller = h("div.scrolling", { tabIndex: 0, role: "group", "aria-label": say("sheet.title") }, plane);
  const element = h(
    "section.sheet",
    { id: "sheet", "aria-label": say("sheet.title") },
    h("div.across", {}, h("h2", {}, say("sheet.title")), copying),
    scroller,
    h("p.small.soft", {}, rich("sheet.own")),
    h("p.small", { id: "sheet-gpt" }, rich("sheet.gpt")),
  );

  /** @param {Page.Arrays} numbers every array by the name of its block @param {number} step the block that is lit @param {{t: number, heads: number, walked: number}} state */
  function show(numbers, step, state) {
    const { t, heads: count, walked } = state;
    fill(heads, say("sheet.head", { head: walked + 1, heads: count }));
    plane.classList.toggle("several", count > 1);
    places.forEach(({ block, numbers: figures, title, button }, i) => {
      const rows = block.of(numbers, state);
      const named = block.title(t);
      fill(title, h("b", {}, String(i + 1)), " ", subscripted(named));
      button.setAttribute("aria-label", say("sheet.block", { step: i + 1, name: say(`steps.${block.name}`).replaceAll("_", "") }));
      if (i === step) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
      figures.style.setProperty("--columns", String(rows[0].length + (block.labels ? 1 : 0)));
      fill(
        figures,
        rows.flatMap((row, r) => [
          block.labels ? h("i", {}, numbers.words[r]) : null,
          ...row.map((number, c) => figure(block, number, c, rows[0].length / count)),
        ]),
      );
    });
    drawing.light(BLOCKS[step].name);
    follow(places[step].button);
  }

  /** On a small screen the lit block is brought into sight, sideways alone. @param {HTMLElement} button */
  function follow(button) {
    const room = scroller.clientWidth;
    if (plane.offsetWidth <= room) return;
    scroller.scrollLeft = button.offsetLeft + button.offsetWidth / 2 - room / 2;
  }

  return { element, show, leave: drawing.leave };
}

/** @param {typeof BLOCKS[0]} block @param {?number} number @param {number} column @param {number} ofHead */
function figure(block, number, column, ofHead) {
  /** @type {Record<string, string>} */
  const weight = block.kind === "weight" ? { "--share": String(number) } : {};
  const begins = block.name === "concat" && column > 0 && column % ofHead === 0;
  return h(begins ? "span.begins" : "span", { style: weight }, number === null ? "−∞" : fixed(number));
}
