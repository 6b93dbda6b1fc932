/** A slide of the lesson, in place of the story: the three questions, their answers, the sentence to finish, or the way without a room. */

import { h } from "../../../../service/softkv_service/web/shared/element.js";
import check from "./check.json";

/** @typedef {"questions" | "answers" | "sentence" | "room"} Kind */

const LETTERS = "abcd";

/**
 * @param {Kind} kind
 * @param {"en" | "zh"} language
 * @param {import("../../../../service/softkv_service/web/shared/words.js").Say} say
 */
export function slide(kind, language, say) {
  const { questions, sentence } = check[language];
  if (kind === "sentence" || kind === "room")
    return h(
      "section.slide.one",
      { "aria-label": say(`slide.${kind}`) },
      h("p.whole", {}, kind === "room" ? say("slide.room") : sentence),
      h("p", {}, say(`slide.${kind}.how`)),
    );
  const isAnswered = kind === "answers";
  const asked = questions.map(({ ask, choices, right }) =>
    h(
      "li",
      {},
      h("p", {}, ask),
      h(
        "ul",
        {},
        choices.map((choice, i) =>
          h(
            `li${isAnswered ? (i === right ? ".right" : ".left-out") : ""}`,
            {},
            h("b", {}, LETTERS[i]),
            " ",
            choice,
            isAnswered && i === right ? h("span", { "aria-label": say("slide.right") }, " ✓") : null,
          ),
        ),
      ),
    ),
  );
  return h("section.slide", { "aria-label": say(`slide.${kind}`) }, h("h2", { tabIndex: -1 }, say(`slide.${kind}`)), h("ol", {}, asked));
}
