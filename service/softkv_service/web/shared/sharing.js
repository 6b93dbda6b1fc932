/** The menu that shares what is on the screen: as a link, a frame for another page, a picture and a film. */

import { h } from "./element.js";
import { runScript } from "./script.js";

/** @typedef {import("./words.js").Say} Say */
/**
 * @typedef {object} Shown what is shared as a picture: `film` draws a moment of it, 0 to 1, and `open` unfolds it; `height`: that of its frame, in pixels
 * @property {SVGSVGElement} [picture]
 * @property {(share: number) => void | Promise<void>} [film]
 * @property {() => void} [open]
 * @property {number} [height]
 */

/** Frames of a moving picture: five seconds. */
const FRAMES = 50;
/** The time for which a finished work is named, in milliseconds. */
const SHOWN_MS = 4000;
/** The size of a frame in another page, in pixels. */
const [WIDTH, HEIGHT] = [800, 520];

/**
 * @param {Say} say
 * @param {() => (Shown | undefined)} view what is on the screen
 * @param {() => (string | Promise<string>)} address of it, after the #
 * @param {string} [framed] what to say of a frame that was copied
 */
export function sharing(say, view, address, framed = "copied") {
  const told = h("p.outcome", { role: "status" });
  const shown = h("p", {});
  /**
   * A button that closes the menu when it is done, and says what is done.
   * @param {string} kind
   * @param {() => Promise<string>} work
   */
  const button = (kind, work) =>
    h(
      "button",
      {
        type: "button",
        "data-kind": kind,
        onclick: async () => {
          told.textContent = shown.textContent = "";
          const done = await work();
          if (shown.textContent) return;
          told.textContent = done;
          menu.open = false;
          summary.focus();
          setTimeout(() => (told.textContent = ""), SHOWN_MS);
        },
      },
      say(kind),
    );
  /**
   * @param {string} text
   * @param {string} [done] what to say then
   */
  const copy = async (text, done = "copied") => {
    try {
      await navigator.clipboard.writeText(text);
    } catch (failure) {
      if (!(failure instanceof DOMException || failure instanceof TypeError)) throw failure;
      shown.textContent = text; // without the right to the clipboard, to be copied by hand
    }
    return say(done);
  };
  const link = button("link", async () => copy(linkOf(window.location, await address())));
  const frame = button("frame", async () => copy(frameOf(linkOf(window.location, await address()), view()?.height), framed));
  const png = button("png", async () => {
    const save = await saves();
    view()?.open?.();
    const { picture } = /** @type {Shown & {picture: SVGSVGElement}} */ (view());
    await save?.savePng(picture, "softkv.png", { caption: captionOf(picture) });
    return "";
  });
  const gif = button("gif", async () => {
    const save = await saves();
    view()?.open?.();
    const { picture, film } = /** @type {Required<Shown>} */ (view());
    await save?.saveGif(async (i) => (await film(i / (FRAMES - 1)), picture), "softkv.gif", {
      frames: FRAMES,
      caption: captionOf(picture),
      told: (done, all) => (told.textContent = `${Math.round((100 * done) / all)}%`),
    });
    return "";
  });
  const summary = h("summary", { "aria-label": say("share"), title: say("share") }, "↗");
  const menu = h("details", {}, summary, h("div.kinds", {}, link, frame, png, gif, shown));
  menu.addEventListener("toggle", () => {
    if (!menu.open) return;
    told.textContent = shown.textContent = "";
    const { picture, film } = view() ?? {};
    png.hidden = !picture;
    gif.hidden = !picture || !film;
  });
  const element = h("div.sharing", {}, menu, told);
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    summary.focus();
  });
  const close = (/** @type {Event} */ event) => {
    if (event.target instanceof Node && !element.contains(event.target)) menu.open = false;
  };
  menu.addEventListener("toggle", () => document[menu.open ? "addEventListener" : "removeEventListener"]("pointerdown", close));
  element.addEventListener("focusout", (event) => {
    if (event.relatedTarget instanceof Node && !element.contains(event.relatedTarget)) menu.open = false;
  });
  return element;
}

/** Load the functions that save pictures and films, if they are not there yet. */
async function saves() {
  if (!window.softkvImages) await runScript("built/images.js");
  return window.softkvImages;
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

/** The element of HTML that shows an address in another page. @param {string} address @param {number} [height] */
export function frameOf(address, height = HEIGHT) {
  const url = new URL(address);
  url.search = "?embed=1"; // the whole query: beside anything else, the service sends the whole page
  const written = url.href.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
  return `<iframe src="${written}" width="${WIDTH}" height="${height}" style="border: 0" loading="lazy" title="softkv"></iframe>`;
}

/** @param {SVGSVGElement} picture */
function captionOf(picture) {
  return picture.closest(".screen")?.querySelector("h1, h2") ?? null;
}
