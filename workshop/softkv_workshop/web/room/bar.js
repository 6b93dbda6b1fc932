/** The bar above a room: each switch is a link to the same room, said otherwise. */

import { h } from "../../../../service/softkv_service/web/shared/element.js";
import { say } from "./words.js";

/**
 * @param {(changed: Record<string, ?string>) => string} address of this page with other words
 * @param {Page.Language} language
 * @param {URLSearchParams} asked
 * @param {boolean} isTaught whether a presenter looks at it: the plan of the lesson has all answers
 */
export function bar(address, language, asked, isTaught) {
  const dark = document.documentElement.dataset.theme === "dark";
  const large = asked.get("projector") === "1";
  const other = language === "zh" ? "en" : "zh";
  const theme = dark ? "&theme=dark" : "";
  /** @type {(id: string, href: string, name: string, content: Page.Child, more?: Page.Props) => HTMLElement} */
  const linked = (id, href, name, content, more = {}) => h("a.switch", { id, href, title: say(name), "aria-label": say(name), ...more }, content);
  return [
    h("a.mark", { href: "./" }, "softkv"),
    h("span.tag", {}, say("room.tag")),
    h(
      "div.tools",
      {},
      h("a", { href: `deeper#pictures&lang=${language}${theme}` }, say("room.page")),
      isTaught ? h("a", { href: `lesson.html?lang=${language}${theme}` }, say("room.lesson")) : null,
      linked("toggle-lang", address({ lang: other }), "room.language", other === "zh" ? "中文" : "EN", { lang: other === "zh" ? "zh-Hans" : "en" }),
      linked("toggle-theme", address({ theme: dark ? "light" : "dark" }), "room.dark", h("span.moon")),
      linked("toggle-projector", address({ projector: large ? null : "1" }), large ? "room.small" : "room.projector", large ? "A−" : "A+"),
    ),
  ];
}
