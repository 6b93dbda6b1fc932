/** What the scene is about: its number, its question, a sentence to read out, and what to try. */

import { fill, h } from "../element.js";
import { SCENES, sceneNamed } from "../scenes.js";
import { beginning } from "../state.js";
import { rich, say, unbroken } from "../words.js";
import { practice } from "../practice.js";
import { prediction } from "./prediction.js";

/**
 * The story of the current scene, under the name that the list of scenes has. While it is covered only its question is
 * told: the sentence gives the answer away.
 *
 * @param {Page.Shared} shared
 */
export function story(shared) {
  const { store } = shared;
  const { scene } = store.state;
  const asked = prediction(shared);
  const title = h("h1", {});
  const lede = h("p.lede", {});
  const cover = h(
    "button.plain",
    { type: "button", id: "cover", title: say("story.cover"), onclick: () => store.set({ revealed: false, guess: null }) },
    say("story.cover.short"),
  );
  const undo = h("button.plain", { type: "button", id: "undo", onclick: () => store.undo() }, say("story.undo"));
  const restart = h("button.plain", { type: "button", id: "restart", title: say("story.restart"), onclick: () => store.restart() }, say("story.restart.short"));
  const more = h("div.more", {});
  const place = h("div.place", {}, h("span", {}, `${SCENES.findIndex((one) => one.name === scene) + 1} / ${SCENES.length}`), cover, undo, restart);
  const element = h("header.story", {}, place, title, lede, asked.element, more);
  /** @type {?ReturnType<typeof practice>} */
  let practised = null;
  let titled = "";

  /** The sentence, as long as it is about what is seen. @param {Page.State} state */
  function follow(state) {
    const own = isOwn(state);
    const now = `${state.revealed} ${own}`;
    if (now !== titled) {
      titled = now;
      fill(title, unbroken(say(`scene.${scene}.name`)));
      fill(lede, !state.revealed ? null : own ? rich("story.own.lede") : rich(`scene.${scene}.lede`));
      fill(more, state.revealed ? practised?.element : null);
    }
    lede.hidden = !state.revealed;
    cover.hidden = !state.revealed;
    undo.hidden = !store.undoable;
    restart.hidden = !store.undoable && !own;
    more.hidden = !state.revealed;
  }

  /** @param {Page.Model} model what the scene shows; a state alone while that is still to come */
  function show(model) {
    follow(model.state);
    asked.show(model);
    if (practised) practised.show(model);
    else if (model.state.revealed && Object.keys(model).length > 1) {
      practised = practice(scene);
      titled = "";
      show(model);
    }
  }

  return { element, follow, show };
}

/** Whether the learner has left what the scene's title and sentence speak of. @param {Page.State} state */
function isOwn(state) {
  const start = beginning(state.scene);
  return (sceneNamed(state.scene).about ?? []).some((name) => JSON.stringify(state[name]) !== JSON.stringify(start[name]));
}
