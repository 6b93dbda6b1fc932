/** What the scene is about: its number, a sentence to read out, and what to try. */

import { h } from "../element.js";
import { SCENES } from "../scenes.js";
import { rich, say } from "../words.js";

/** The story of the current scene. */
export function story(state) {
  const place = SCENES.findIndex((scene) => scene.name === state.scene);
  return h("header.story", {},
    h("p.place", {}, `${place + 1} / ${SCENES.length}`),
    h("h1", {}, say(`scene.${state.scene}.title`)),
    h("p.lede", {}, rich(`scene.${state.scene}.lede`)));
}
