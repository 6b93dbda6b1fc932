/** The page, put together: the frame around the view of the current scene.
 *
 * esbuild makes one classic script of this file and all that it imports, `built/scenes.js` (`python -m tests.page`). The
 * service renders the document for each request (`render_page` in `service/api/routes/page.py`): with links below the
 * digest of all files, the words of the browser's language, and the text of the opening scene, which is read before a
 * script runs. `opening.js` runs first: it sets the theme and asks the opening question while the script loads. The rest
 * of a lookup is made when its first answer has been drawn.
 *
 * `asking.js` asks the service. `views/notice.js` says why there is no answer, and tries again if that may pass by
 * itself. A scene asks its own questions by `views/latest.js`, one at a time. In a page that `softkv page export` wrote,
 * `exported/` answers in the service's place.
 */

import { API, SoftkvError, storageOf } from "./api.js";
import { Asker } from "./asking.js";
import { asset, isExported } from "./assets.js";
import { fill, h, put } from "./element.js";
import { ExportedPage } from "./exported/answers.js";
import { keys } from "./keys.js";
import { sceneNamed } from "./scenes.js";
import { Store } from "./state.js";
import { styled } from "./styles.js";
import { clipped, say, speak } from "./words.js";
import { encoder } from "./views/encoder.js";
import { bar, foot } from "./views/frame.js";
import { hopfield } from "./views/hopfield.js";
import { photo } from "./views/images/photo.js";
import { learning } from "./views/lab/learning.js";
import { pairs } from "./views/lab/pairs.js";
import { vision } from "./views/lab/vision.js";
import { lookup } from "./views/lookup.js";
import { lowRank } from "./views/lowrank.js";
import { million } from "./views/million/million.js";
import { notice } from "./views/notice.js";
import { regression } from "./views/regression.js";
import { scores } from "./views/scores/scores.js";
import { shards } from "./views/shards.js";
import { space } from "./views/space/space.js";
import { steps } from "./views/steps.js";
import { story } from "./views/story.js";
import { sure } from "./views/sure/sure.js";

/** @type {Record<string, (context: Page.Context) => Page.View>} */
const VIEWS = {
  lookup,
  sure,
  steps,
  encoder,
  hopfield,
  regression,
  scores,
  photo,
  space,
  million,
  lowrank: lowRank,
  pairs,
  learning,
  vision,
};
const FRAME = ["scene", "lang", "theme", "projector"];
/** Up to so many rem everything of a lookup is in one column; with large type, in which a rem is a quarter more, likewise. */
const WIDE = 75;
const LARGER = 1.25;
/** More of an address is not printed. */
const LONGEST = 600;
/** Where the fonts are; a frame without an origin of its own may load none from a host that does not let any. */
const FONTS = isExported() && window.origin === "null" && window.location.protocol !== "file:" ? null : asset("css/fonts.css");
const AGAIN_MS = 2000;

const store = new Store(window.location, window.history);
const exported = isExported() ? new ExportedPage() : null;
/** @type {Page.Fetcher} */
const fetcher = exported?.fetch ?? ((path, options) => fetch(`.${path}`, options));
const api = new API(fetcher, storageOf(window), window.asked);
/** @type {Page.Shared} */
const shared = { store, api, asker: new Asker(api), origin: new URL(".", document.baseURI).href.replace(/\/$/, ""), answered, exported };
const stage = /** @type {HTMLElement} */ (document.querySelector("#stage"));
const skip = /** @type {HTMLElement} */ (document.querySelector("#skip"));
const header = bar(shared);
const printed = h("p.printed", {});
/** @type {?Page.View} */
let view = null;
let mounted = 0;
/** @type {?ReturnType<typeof story>} */
let told = null;
/** @type {(() => void) | null | undefined} */
let uncover = null;
/** @type {Page.Model} */
let model = { state: store.state };

/** Draw everything for the state as it is: a scene began, or the language changed. */
async function mount() {
  const mine = ++mounted;
  const { state } = store;
  view?.leave?.();
  view = null;
  stage.setAttribute("aria-busy", "true");
  await Promise.all([speak(state.lang), styled(sceneNamed(state.scene).styles)]).catch(broken);
  if (mine !== mounted) return;
  document.title = `${say(`scene.${state.scene}.name`)} · softkv`;
  skip.textContent = say("frame.skip");
  header.show(state);
  fill(/** @type {HTMLElement} */ (document.querySelector("#foot")), foot(shared));
  const noticed = notice(shared, mount, () => (view?.again ?? mount)());
  told = story(shared);
  uncover = null;
  model = { state };
  view = VIEWS[state.view]({ ...shared, notice: noticed, story: told.element, told: shows });
  fill(stage, noticed.element, view.element, printed);
  stage.removeAttribute("aria-busy");
  tell();
  dress(state);
  if (state.view !== "lookup") answered();
}

/** Words did not come: the service is away, or has another version of the page. As soon as it answers, begin anew. @param {unknown} failure */
async function broken(failure) {
  if (!(failure instanceof TypeError)) throw failure;
  for (;;) {
    await new Promise((done) => setTimeout(done, AGAIN_MS));
    try {
      await api.get("/livez");
      break;
    } catch (refused) {
      if (!(refused instanceof SoftkvError)) throw refused;
    }
  }
  window.location.reload();
  return new Promise(() => {});
}

/** The first answer is drawn: now comes what it did without. @param {() => Promise<void>} [rest] */
function answered(rest) {
  requestAnimationFrame(() =>
    setTimeout(() => {
      performance.mark("answered");
      if (FONTS && !document.querySelector("#fonts")) {
        document.head.append(h("link", { id: "fonts", rel: "stylesheet", href: FONTS, onload: () => keep(FONTS) }));
      }
      rest?.().catch(broken);
      if (!exported) shards(shared).catch(broken);
    }),
  );
}

/** From the next visit on the fonts are there with the first line, since they need not come. @param {string} fonts */
function keep(fonts) {
  document.fonts.ready.then(() => {
    try {
      window.localStorage.setItem("softkv-fonts", fonts);
    } catch (failure) {
      if (!(failure instanceof DOMException)) throw failure;
    }
  });
}

/** @param {Page.Model} now what the scene shows */
function shows(now) {
  model = now;
  tell();
}

/** The story follows what the scene shows; what is not revealed is not in the page. */
function tell() {
  if (!view || !told) return;
  if (model.state.revealed) uncover = void uncover?.();
  else if (model.state.view !== "lookup") uncover ??= covered(view.element, told.element);
  told.show(model);
}

/** Take everything but the story out of a view, until what this answers is called. The lookup covers itself: its rows stay. @param {HTMLElement} element @param {HTMLElement} kept the story */
function covered(element, kept) {
  const out = [...element.children].flatMap((section) => [...section.children].filter((child) => child !== kept).map((child) => ({ section, child })));
  element.classList.add("covered");
  for (const { child } of out) child.remove();
  return () => {
    element.classList.remove("covered");
    for (const { section, child } of out) section.append(child);
  };
}

/** @param {Page.State} state */
function dress({ theme, projector }) {
  document.documentElement.dataset.theme = theme;
  document.documentElement.dataset.projector = projector ? "on" : "off";
  /** @type {HTMLLinkElement} */ (document.querySelector("#narrow")).media = `screen and (max-width: ${projector ? WIDE * LARGER : WIDE}rem)`;
}

store.listen((state, changed) => {
  if (changed.has("scene") || changed.has("lang")) {
    mount().then(() => changed.has("scene") && header.arrive(/** @type {HTMLElement} */ (stage.querySelector("h1"))));
  } else {
    if (FRAME.some((name) => changed.has(name))) {
      dress(state);
      header.show(state);
    }
    view?.update(state, changed);
    model = { ...model, state };
    if (changed.has("revealed")) tell();
    else told?.follow(state);
  }
});
/** On paper: what was asked, and where. */
window.addEventListener("beforeprint", () => put(printed, [store.state.query, clipped(window.location.href, LONGEST)].filter(Boolean).join(" — ")));
window.addEventListener("popstate", () => store.reread());
skip.addEventListener("click", (event) => {
  event.preventDefault();
  stage.focus();
});

keys(store);
fill(/** @type {HTMLElement} */ (document.querySelector("#bar")), header.parts);
store.open().then(mount);
