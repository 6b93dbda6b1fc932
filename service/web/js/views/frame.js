/** The bar above every scene, and the line below. */

import { h } from "../element.js";
import { SCENES } from "../scenes.js";
import { say } from "../words.js";

/** Mark, scene picker, language, theme, projector, lesson plan. */
export function bar({ store }) {
  const { state } = store;
  const place = SCENES.findIndex((scene) => scene.name === state.scene);
  const step = (by, name, sign) => {
    const target = SCENES[place + by];
    return h("button.plain", { type: "button", disabled: !target, "aria-label": say(name), title: say(name), onclick: () => store.go(target.name) }, sign);
  };
  const picker = h("select", { id: "scene", "aria-label": say("frame.scenes"), onchange: (event) => store.go(event.target.value) },
    SCENES.map((scene, i) => h("option", { value: scene.name, selected: i === place }, `${i + 1}  ${say(`scene.${scene.name}.name`)}`)));
  return [
    h("a.mark", { href: "./" }, "softkv"),
    h("span.tag", {}, say("frame.tag")),
    h("nav", { "aria-label": say("frame.scenes") }, step(-1, "frame.previous", "←"), picker, step(1, "frame.next", "→")),
    h("div.tools", {},
      h("a", { href: `lesson.html?lang=${state.lang}&theme=${state.theme}` }, say("frame.lesson")),
      toggle("中文", "EN", state.lang === "zh", say("frame.language"), () => store.set({ lang: state.lang === "zh" ? "en" : "zh" }), "lang"),
      toggle(h("span.moon"), h("span.moon"), state.theme === "dark", say("frame.dark"), () => store.set({ theme: state.theme === "dark" ? "light" : "dark" }), "theme"),
      toggle("A+", "A−", state.projector, say("frame.projector"), () => store.set({ projector: !state.projector }), "projector", state.projector)),
  ];
}

/** A button that names the other state, and says which it is in. */
function toggle(off, on, isOn, label, onclick, name, pressed = null) {
  const properties = { type: "button", id: `toggle-${name}`, title: label, "aria-label": label, onclick };
  if (name === "lang") properties.lang = isOn ? "en" : "zh-Hans";
  else properties["aria-pressed"] = String(pressed ?? isOn);
  return h(`button.toggle-${name}`, properties, isOn ? on : off);
}

/** Where the rest is. */
export function foot({ api }) {
  return [
    h("span", {}, say("foot.same")),
    h("a", { href: "/docs" }, say("foot.docs")),
    h("button.plain", { type: "button", id: "key", onclick: () => document.dispatchEvent(new CustomEvent("ask-key")) }, say(api.key ? "foot.keyed" : "foot.key")),
  ];
}
