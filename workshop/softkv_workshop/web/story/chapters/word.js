/** 8 From a row to a word: one zoom over a small language model, whose script is loaded when a reader comes here. */

import { fill, h } from "../../../../../service/softkv_service/web/shared/element.js";
import { runScript } from "../../../../../service/softkv_service/web/shared/script.js";
import { RecordMissing, recordedOnce } from "../../shared/recorded.js";
import { hood, screen } from "../parts.js";
import { styled } from "../styles.js";
import { Threads } from "../../../../../service/softkv_service/web/shared/threads.js";
import words from "./word.json";

/** The height of its frame in another page, in pixels: below the picture are three lines of controls. */
const HEIGHT = 640;

/** Whether the model is in the page already, as after a new address. */
let isLoaded = false;

/** @type {import("../story.js").Chapter} */
export const word = {
  id: "row-to-word",
  words,
  hasModel: true,
  defaults: { z: 0, q: "the dogs near the king", layer: 2, head: 1, half: 1, t: 1 },

  mount(host, context) {
    const { say } = context;
    styled("word");
    /** @type {?import("../story.js").View} */
    let view = null;
    const note = h("p.zoom-note", { role: "status" });
    const place = h("div.zoom-picture", {}, note);
    const doing = h("div.doing.zooming");
    const about = h("p");
    const element = screen({
      title: say("title"),
      sentence: "",
      picture: place,
      hood: hood(say, about, h("p", {}, say("hood.rows")), h("p", {}, say("hood.lens")), h("p", {}, say("hood.weights"))),
    });
    element.querySelector(".doing")?.replaceWith(doing);
    host.append(element);

    /** Load the script and the model, now or at the press of a button. */
    async function load() {
      if (!isLoaded) fill(note, say("loading"));
      try {
        await script();
        view = (await window.softkvWord?.mount(place, doing, context, { Threads, read: recordedOnce, about })) ?? null;
        isLoaded = true;
      } catch (failure) {
        if (!(failure instanceof RecordMissing)) throw failure;
        fill(note, say("lost"), " ", h("button", { type: "button", onclick: () => load() }, say("again")));
      }
    }
    let isBegun = false;
    const begin = () => {
      seen.disconnect();
      if (!isBegun) void load();
      isBegun = true;
    };
    const seen = new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && begin());
    seen.observe(host);

    return {
      height: HEIGHT,
      get picture() {
        return view?.picture;
      },
      update: (state, changed) => view?.update(state, changed),
      film: (share) => view?.film?.(share),
      leave: () => view?.leave?.(),
      print: begin,
    };
  },
};

async function script() {
  if (!window.softkvWord && !(await runScript("built/word.js"))) throw new RecordMissing("built/word.js did not load");
}
