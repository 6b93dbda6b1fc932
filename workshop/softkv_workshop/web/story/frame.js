/** The frame of the story: what is in its bar. */

import { deeper, explorer, home, isExported, roomOf } from "../../../../service/softkv_service/web/shared/assets.js";
import { h } from "../../../../service/softkv_service/web/shared/element.js";
import { EXPLORE, remember } from "../../../../service/softkv_service/web/shared/purpose.js";
import { store } from "../../../../service/softkv_service/web/shared/look.js";
import { sharing } from "../../../../service/softkv_service/web/shared/sharing.js";

/** @typedef {import("../../../../service/softkv_service/web/shared/look.js").Look} Look */

/**
 * The contents of the bar.
 *
 * @param {import("../../../../service/softkv_service/web/shared/words.js").Say} say
 * @param {Look} look
 * @param {(patch: Partial<Look>) => void} dress
 * @param {() => (import("./story.js").View | undefined)} view the chapter on the screen, for a picture of it
 * @param {() => string} address of what is on the screen
 */
export function bar(say, look, dress, view, address) {
  let now = look;
  const become = (/** @type {Partial<Look>} */ patch) => {
    now = { ...now, ...patch };
    store(now);
    theme.setAttribute("aria-pressed", String(now.theme === "dark"));
    large.setAttribute("aria-pressed", String(now.large));
    dress(patch);
  };
  const theme = h(
    "button.icon",
    {
      type: "button",
      "aria-label": say("theme"),
      title: say("theme"),
      "aria-pressed": String(look.theme === "dark"),
      onclick: () => become({ theme: now.theme === "dark" ? "light" : "dark" }),
    },
    h("span.moon"),
  );
  const large = h(
    "button.icon",
    { type: "button", "aria-label": say("large"), title: say("large"), "aria-pressed": String(look.large), onclick: () => become({ large: !now.large }) },
    "A+",
  );
  const language = h(
    "button",
    { type: "button", lang: look.lang === "en" ? "zh-Hans" : "en", onclick: () => become({ lang: now.lang === "en" ? "zh" : "en" }) },
    say("language"),
  );
  const room = roomOf();
  return [
    h("h1", {}, h("a.mark", { href: home() }, "softkv")),
    h(
      "nav.tools",
      {},
      isExported() ? h("a", { href: `${explorer()}#tab=new` }, say("rows.own")) : h("a", { href: EXPLORE, onclick: () => remember("explore") }, say("explore")),
      h("a", { href: deeper() }, say("deeper")),
      isExported() ? room && h("a", { href: room }, say("room")) : h("a", { href: "docs/" }, say("docs")),
      language,
      theme,
      large,
      sharing(say, view, address),
    ),
  ];
}
