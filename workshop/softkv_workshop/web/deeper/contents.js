/** The index of all pictures, grouped by the chapters of the story. */

import { home } from "../../../../service/softkv_service/web/shared/assets.js";
import { h } from "../../../../service/softkv_service/web/shared/element.js";
import hard from "../story/chapters/hard.json";
import inside from "../story/chapters/inside.json";
import learns from "../story/chapters/learns.json";
import numbers from "../story/chapters/numbers.json";
import share from "../story/chapters/share.json";
import { screen } from "../story/parts.js";
import { s } from "../../../../service/softkv_service/web/shared/svg.js";
import words from "./contents.json";

/** The chapters that have pictures: their places in the story, and their words, by their names in the address. */
const CHAPTERS = {
  "hard-and-soft": { place: 1, words: hard },
  "who-shares": { place: 3, words: share },
  "in-numbers": { place: 5, words: numbers },
  "inside-a-model": { place: 6, words: inside },
  "it-learns": { place: 7, words: learns },
};

/**
 * @param {import("./parts.js").Picture[]} pictures
 * @returns {import("../story/story.js").Chapter}
 */
export function contents(pictures) {
  return {
    id: "pictures",
    words,
    defaults: {},
    mount(host, { say, language }) {
      const groups = Object.entries(CHAPTERS).map(([id, { place, words: chapter }]) =>
        h(
          "section.group",
          {},
          h("h3", {}, h("a", { href: `${home()}#${id}` }, `${place} ${chapter[language].title}`)),
          h("div.cards", {}, ...pictures.filter((picture) => picture.of === id).map((picture) => card(picture, language))),
        ),
      );
      host.append(screen({ title: say("title"), sentence: say("sentence"), picture: h("div.contents", {}, ...groups) }));
      return { update() {} };
    },
  };
}

/**
 * @param {import("./parts.js").Picture} picture
 * @param {import("../../../../service/softkv_service/web/shared/words.js").Language} language
 */
function card({ id, sketch, words: both }, language) {
  const { title, idea } = both[language];
  const drawing = s("svg.sketch", { viewBox: "0 0 120 72", "aria-hidden": "true" }, s("path", { d: sketch }));
  return h("a.card", { href: `#${id}` }, drawing, h("strong", {}, title), h("span", {}, idea));
}
