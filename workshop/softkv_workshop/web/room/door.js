/** The door: four letters to join by, and a button for the presenter. */

import { h } from "../../../../service/softkv_service/web/shared/element.js";
import { say } from "./words.js";

const CODE = /^[A-Z]{4}$/;

/** @param {{code: string, problem: string, isTaught: boolean, join: (code: string) => void, open: () => void}} how `problem`: why the code leads nowhere; `isTaught`: in a lesson the presenter comes first */
export function door({ code, problem, isTaught, join, open }) {
  const input = h("input", {
    type: "text",
    id: "code",
    className: "code",
    value: code,
    maxLength: 4,
    autocomplete: "off",
    autocapitalize: "characters",
    spellcheck: false,
    "aria-describedby": "code-wrong",
    "aria-invalid": problem ? "true" : null,
  });
  const wrong = h("p.wrong", { id: "code-wrong", role: "status" }, problem);
  const enter = (/** @type {Event} */ event) => {
    event.preventDefault();
    const letters = input.value.trim().toUpperCase();
    wrong.textContent = CODE.test(letters) ? "" : say("door.wrong");
    if (CODE.test(letters)) join(letters);
  };
  const opening = h(
    "section",
    {},
    h(isTaught ? "button.strong" : "button", { type: "button", id: "open", onclick: open }, say("door.open")),
    h("p.soft.small", {}, say("door.present"), isTaught ? ` ${say("door.press")}` : ""),
  );
  return h(
    "div.door",
    {},
    h("header.story", {}, h("h1", {}, say("door.title")), h("p.lede", {}, say.rich("door.lede"))),
    isTaught ? opening : null,
    h(
      "section",
      {},
      h("h2", {}, say("door.join")),
      h(
        "form.join",
        { onsubmit: enter },
        h("label", { for: "code" }, say("door.code")),
        input,
        h(isTaught ? "button" : "button.strong", { type: "submit", id: "join" }, say("door.enter")),
      ),
      wrong,
    ),
    isTaught ? null : opening,
  );
}
