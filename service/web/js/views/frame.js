/** The bar above every scene, and the line below. */

import { home } from "../assets.js";
import { h, put } from "../element.js";
import { SCENES } from "../scenes.js";
import { say } from "../words.js";

/**
 * Mark, scene picker, language, theme, projector, lesson plan. Made once; `show` says and sets what holds now, so that
 * what was pressed keeps the focus.
 *
 * @param {Page.Shared} shared
 */
export function bar({ store, exported }) {
  const tag = h("span.tag", {});
  const nav = h("nav", {});
  const back = step(-1, "←");
  const next = step(1, "→");
  const options = SCENES.map((scene) => h("option", { value: scene.name }));
  const picker = h("select", { id: "scene", onchange: () => store.go(picker.value) }, options);
  const lesson = h("a", {});
  const room = h("a", {});
  const lang = toggle("lang", () => ({ lang: store.state.lang === "zh" ? "en" : "zh" }));
  const theme = toggle("theme", () => ({ theme: store.state.theme === "dark" ? "light" : "dark" }), h("span.moon"));
  const projector = toggle("projector", () => ({ projector: !store.state.projector }));
  const spoken = h("p.unseen", { role: "status" });
  nav.append(back, picker, next);

  /** @param {number} by @param {string} sign */
  function step(by, sign) {
    return h("button.plain", { type: "button", onclick: () => store.go(SCENES[placeOf(store.state) + by].name) }, sign);
  }

  /** A button that names the other state, and says which it is in. @param {string} name @param {() => Partial<Page.State>} patch @param {Page.Child} [content] */
  function toggle(name, patch, content) {
    return h(`button.toggle-${name}`, { type: "button", id: `toggle-${name}`, onclick: () => store.set(patch()) }, content);
  }

  /** What a scene is called; in an exported page also whether it needs a service. @param {Page.Scene} scene */
  function titled(scene) {
    const name = say(`scene.${scene.name}.name`);
    return exported && scene.served ? say("exported.needs", { name }) : name;
  }

  /** @param {Page.State} state */
  function show(state) {
    const place = placeOf(state);
    put(tag, say("frame.tag"));
    put(lesson, say("frame.lesson"));
    lesson.href = `lesson.html?lang=${state.lang}&theme=${state.theme}`;
    put(room, say("frame.room"));
    room.hidden = Boolean(exported);
    room.href = `room?lang=${state.lang}&theme=${state.theme}`;
    options.forEach((option, i) => put(option, `${i + 1}  ${titled(SCENES[i])}`));
    picker.value = SCENES[place].name;
    back.disabled = place === 0;
    next.disabled = place === SCENES.length - 1;
    /** @type {[HTMLElement, string][]} */
    const named = [
      [nav, "scenes"],
      [picker, "scenes"],
      [back, "previous"],
      [next, "next"],
      [lang, "language"],
      [theme, "dark"],
      [projector, "projector"],
    ];
    for (const [element, name] of named) {
      element.setAttribute("aria-label", say(`frame.${name}`));
      if (element instanceof HTMLButtonElement) element.title = say(`frame.${name}`);
    }
    lang.lang = state.lang === "zh" ? "en" : "zh-Hans";
    put(lang, state.lang === "zh" ? "EN" : "中文");
    put(projector, state.projector ? "A−" : "A+");
    theme.setAttribute("aria-pressed", String(state.theme === "dark"));
    projector.setAttribute("aria-pressed", String(state.projector));
  }

  /** A scene has begun: its title is told once. Whoever walks the list of scenes stays there; others go to the title. @param {HTMLElement} title */
  function arrive(title) {
    window.scrollTo(0, 0);
    if (document.activeElement === picker) return put(spoken, title.textContent);
    put(spoken, "");
    title.tabIndex = -1;
    title.focus({ preventScroll: true });
  }

  return { parts: [h("a.mark", { href: home() }, "softkv"), tag, nav, h("div.tools", {}, lesson, room, lang, theme, projector), spoken], show, arrive };
}

/** @param {Page.State} state */
function placeOf(state) {
  return SCENES.findIndex((scene) => scene.name === state.scene);
}

/** Where the rest is. @param {Page.Shared} shared */
export function foot({ api, exported, store }) {
  if (exported) return [];
  return [
    store.state.scene === SCENES[0].name ? h("span", {}, say("foot.same")) : null, // once is enough
    h("a", { href: "docs/" }, say("foot.documentation")),
    h("a", { href: "docs/api" }, say("foot.docs")),
    h(
      "button.plain",
      { type: "button", id: "key", onclick: () => document.dispatchEvent(new CustomEvent("ask-key")) },
      say(api.key ? "foot.keyed" : "foot.key"),
    ),
  ];
}
