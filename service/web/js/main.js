/** The page, put together: the frame around the view of the current scene. */

import { API } from "./api.js";
import { Asker } from "./asking.js";
import { fill, h, put } from "./element.js";
import { Store } from "./state.js";
import { clipped, say, speak } from "./words.js";
import { bar, foot } from "./views/frame.js";
import { notice } from "./views/notice.js";
import { story } from "./views/story.js";
import { encoder } from "./views/encoder.js";
import { hopfield } from "./views/hopfield.js";
import { lookup } from "./views/lookup.js";
import { lowRank } from "./views/lowrank.js";
import { regression } from "./views/regression.js";
import { steps } from "./views/steps.js";

const VIEWS = { lookup, steps, encoder, hopfield, regression, lowrank: lowRank };
const FRAME = ["scene", "lang", "theme", "projector"];
/** Up to so many rem everything of a lookup is in one column; with large type, in which a rem is a quarter more, likewise. */
const WIDE = 75;
const LARGER = 1.25;
/** More of an address is not printed. */
const LONGEST = 600;

const store = new Store(window.location, window.history);
const api = new API((path, options) => fetch(path, options), window.sessionStorage);
const context = { store, api, asker: new Asker(api), origin: window.location.origin };
const stage = document.querySelector("#stage");
const header = bar(context);
const printed = h("p.printed", {});
let view = null;

/** Draw everything for the state as it is: a scene began, or the language changed. */
function mount() {
  const { state } = store;
  view?.leave?.();
  speak(state.lang);
  document.title = `${say(`scene.${state.scene}.title`)} · softkv`;
  document.querySelector("#skip").textContent = say("frame.skip");
  header.show(state);
  fill(document.querySelector("#foot"), foot(context));
  context.notice = notice(context, mount);
  context.story = story(state);
  view = VIEWS[state.view](context);
  fill(stage, context.notice.element, view.element, printed);
  dress(state);
}

function dress({ theme, projector }) {
  document.documentElement.dataset.theme = theme;
  document.documentElement.dataset.projector = projector ? "on" : "off";
  document.querySelector("#narrow").media = `screen and (max-width: ${projector ? WIDE * LARGER : WIDE}rem)`;
}

store.listen((state, changed) => {
  if (changed.has("scene") || changed.has("lang")) {
    mount();
    if (changed.has("scene")) header.arrive(stage.querySelector("h1"));
  } else {
    if (FRAME.some((name) => changed.has(name))) {
      dress(state);
      header.show(state);
    }
    view.update(state, changed);
  }
});
/** On paper: what was asked, and where. */
window.addEventListener("beforeprint", () => put(printed, [store.state.query, clipped(window.location.href, LONGEST)].filter(Boolean).join(" — ")));
window.addEventListener("popstate", () => store.reread());
document.querySelector("#skip").addEventListener("click", (event) => {
  event.preventDefault();
  stage.focus();
});

fill(document.querySelector("#bar"), header.parts);
mount();
