/** Words with dots: a press opens the one line of `glossary.json` that says what they mean; Escape closes it. */

import { fill, h } from "../../../../service/softkv_service/web/shared/element.js";
import glossary from "./glossary.json";

/** The texts in which words have dots; not questions, which have buttons of their own. */
const TEXTS = ".sentence, .told, .inside > p:not(.formula), .numbers thead th";
/** Room for a line below its word, as a share of the window's height. */
const BELOW = 0.7;
/** A line, above everything else. */
const card = h("p.gloss-line", { popover: "auto", "aria-live": "polite" });

/** Give words of a part of a screen their dots, each at its first place, also when its sentences change. @param {HTMLElement} part */
export function gloss(part) {
  const lines = Object.entries(glossary[document.documentElement.lang === "en" ? "en" : "zh"]);
  const words = lines.map(([word, line]) => {
    const written = word.replace(/[[\]]/g, "\\$&").replace(/^[a-z]/, (letter) => `[${letter}${letter.toUpperCase()}]`);
    return { word, line, written: new RegExp(`(?<![\\w/])${written}(?![a-rt-z])`) };
  });
  const mark = () => {
    for (const text of part.querySelectorAll(TEXTS)) {
      for (const { word, line, written } of words) if (!part.querySelector(`[data-word="${word}"]`)) dot(text, written, word, line);
    }
  };
  mark();
  new MutationObserver(mark).observe(part, { childList: true, subtree: true });
}

/**
 * Make a button of the first place of a word.
 * @param {Element} text
 * @param {RegExp} written
 * @param {string} word
 * @param {string} line
 */
function dot(text, written, word, line) {
  const walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const found = written.exec(/** @type {Text} */ (node).data);
    if (!found || node.parentElement?.closest("a, button")) continue;
    const part = /** @type {Text} */ (node).splitText(found.index);
    part.splitText(found[0].length);
    const button = h("button.gloss", { type: "button", "data-word": word, popoverTargetElement: card, onclick: () => show(button, line) }, found[0]);
    part.replaceWith(button);
    return;
  }
}

/**
 * Write a line and place it at its word, before the browser opens it.
 * @param {HTMLElement} word
 * @param {string} line
 */
function show(word, line) {
  if (!card.isConnected) document.body.append(card);
  fill(card, line);
  const { left, top, bottom } = word.getBoundingClientRect();
  const isBelow = bottom < window.innerHeight * BELOW;
  card.style.setProperty("--left", `${left}px`);
  card.style.setProperty("top", isBelow ? `${bottom + window.scrollY + 6}px` : "auto");
  card.style.setProperty("bottom", isBelow ? "auto" : `${window.innerHeight - top - window.scrollY + 6}px`);
}
