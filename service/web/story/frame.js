/** The frame of the story: what is in its bar. */

import { deeper, home, isExported } from "../shared/assets.js";
import { h } from "../shared/element.js";
import { EXPLORE, remember } from "../shared/purpose.js";
import { store } from "../shared/look.js";
import { runScript } from "../shared/script.js";

/** @typedef {import("../shared/address.js").Look} Look */

/** Frames of a moving picture: five seconds. */
const FRAMES = 50;
/**
 * The contents of the bar.
 *
 * @param {import("../shared/words.js").Say} say
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
  const shared = h("p", { role: "status" });
  /** A button that shares the picture on the screen in one way. @param {"png" | "gif"} kind */
  const saving = (kind) =>
    h(
      "button",
      {
        type: "button",
        "data-kind": kind,
        onclick: async () => {
          const { picture, film } = view() ?? {};
          if (!picture || !(window.softkvShare || (await runScript("built/share.js"))) || !window.softkvShare) return;
          const { saveGif, savePng } = window.softkvShare;
          const caption = picture.closest(".screen")?.querySelector("h1, h2");
          if (kind === "png") await savePng(picture, "softkv.png", { caption });
          else
            await saveGif((i) => (film?.(i / (FRAMES - 1)), picture), "softkv.gif", {
              frames: FRAMES,
              caption,
              told: (done, all) => (shared.textContent = `${Math.round((100 * done) / all)}%`),
            });
          shared.textContent = "";
        },
      },
      say(kind),
    );
  const link = h(
    "button",
    {
      type: "button",
      onclick: async () => {
        const text = linkOf(window.location, address());
        try {
          await navigator.clipboard.writeText(text);
          shared.textContent = say("copied");
        } catch (failure) {
          if (!(failure instanceof DOMException || failure instanceof TypeError)) throw failure;
          shared.textContent = text; // without the right to the clipboard, to be copied by hand
        }
      },
    },
    say("link"),
  );
  const gif = saving("gif");
  const close = (/** @type {Event} */ event) => {
    if (event.target instanceof Node && !share.contains(event.target)) share.open = false;
  };
  const share = /** @type {HTMLDetailsElement} */ (
    h("details.share", {}, h("summary", { "aria-label": say("share"), title: say("share") }, "↗"), h("div.kinds", {}, link, saving("png"), gif, shared))
  );
  share.addEventListener("toggle", () => document[share.open ? "addEventListener" : "removeEventListener"]("pointerdown", close));
  share.addEventListener("toggle", () => (gif.hidden = !view()?.film));
  share.addEventListener("keydown", (event) => {
    if (event.key === "Escape") share.open = false;
  });
  share.addEventListener("focusout", (event) => {
    if (event.relatedTarget instanceof Node && !share.contains(event.relatedTarget)) share.open = false;
  });
  return [
    h("h1", {}, h("a.mark", { href: home() }, "softkv")),
    h(
      "nav.tools",
      {},
      isExported() ? null : h("a", { href: EXPLORE, onclick: () => remember("explore") }, say("explore")),
      h("a", { href: deeper() }, say("deeper")),
      isExported() ? null : h("a", { href: "docs/" }, say("docs")),
      language,
      theme,
      large,
      share,
    ),
  ];
}

/**
 * The address of what is on the screen.
 *
 * @param {{href: string}} location
 * @param {string} [hash] the state, where the address does not have it yet
 * @returns {string}
 */
export function linkOf(location, hash) {
  const address = new URL(location.href);
  if (hash !== undefined) address.hash = hash;
  address.searchParams.delete("embed");
  return address.href;
}
