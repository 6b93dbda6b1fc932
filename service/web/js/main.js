/** The page, put together: the frame around the view of the current scene. */

import { API } from "./api.js";
import { Asker } from "./asking.js";
import { fill } from "./element.js";
import { unpacked } from "./packing.js";
import { keys } from "./keys.js";
import { Store } from "./state.js";
import { say, speak } from "./words.js";
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

const store = new Store(window.location, window.history, await unpacked(window.location.hash));
const api = new API((path, options) => fetch(path, options), window.sessionStorage);
const context = { store, api, asker: new Asker(api), origin: window.location.origin };
const stage = document.querySelector("#stage");
let view = null;
let told = null;
let uncover = null;
let model = null;
context.told = (now) => {
  model = now;
  tell();
};

/** Draw everything for the state as it is: a scene began, or the language changed. */
function mount() {
  const { state } = store;
  view?.leave?.();
  view = null;
  speak(state.lang);
  document.title = `${say(`scene.${state.scene}.name`)} · softkv`;
  document.querySelector("#skip").textContent = say("frame.skip");
  fill(document.querySelector("#bar"), bar(context));
  fill(document.querySelector("#foot"), foot(context));
  context.notice = notice(context, mount);
  told = story(context);
  context.story = told.element;
  uncover = null;
  model = { state };
  view = VIEWS[state.view](context);
  fill(stage, context.notice.element, view.element);
  tell();
  dress(state);
}

/** The story follows what the scene shows; what is not revealed is not in the page. */
function tell() {
  if (!view) return;
  if (model.state.revealed) uncover = uncover?.();
  else if (model.state.view !== "lookup") uncover ??= covered(view.element);
  told.show(model);
}

/** Take everything but the story out of a view, until what this answers is called. The lookup covers itself: its rows stay. */
function covered(element) {
  const out = [...element.children].flatMap((section) => [...section.children].filter((child) => child !== context.story).map((child) => ({ section, child })));
  element.classList.add("covered");
  for (const { child } of out) child.remove();
  return () => {
    element.classList.remove("covered");
    for (const { section, child } of out) section.append(child);
  };
}

function dress({ theme, projector }) {
  document.documentElement.dataset.theme = theme;
  document.documentElement.dataset.projector = projector ? "on" : "off";
}

store.listen((state, changed) => {
  if (changed.has("scene") || changed.has("lang")) mount();
  else {
    if (FRAME.some((name) => changed.has(name))) {
      dress(state);
      fill(document.querySelector("#bar"), bar(context));
    }
    view.update(state, changed);
    model = { ...model, state };
    if (changed.has("revealed")) tell();
    else told.follow(state);
  }
});
window.addEventListener("popstate", () => store.reread());
document.querySelector("#skip").addEventListener("click", (event) => {
  event.preventDefault();
  stage.focus();
});

keys(store);
mount();
