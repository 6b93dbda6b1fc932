/** The lesson plan, in the language that the address asks for. */

import { fill, h } from "./element.js";
import { preferred, say, speak } from "./words.js";
import english from "./words/en/lesson.js";
import chinese from "./words/zh/lesson.js";

const PLANS = { en: english, zh: chinese };
const asked = new URLSearchParams(window.location.search);
const language = preferred([asked.get("lang") ?? "", ...navigator.languages]);
const theme = asked.get("theme") === "dark" ? "dark" : "light";
const plan = PLANS[language];

await speak(language);
document.documentElement.dataset.theme = theme;
document.title = `${plan.title} · softkv`;
fill(document.querySelector("#bar"),
  h("a.mark", { href: `./${permalink("library")}` }, "softkv"), h("span.tag", {}, say("frame.tag")),
  h("div.tools", {}, h("a", { href: `./${permalink("library")}` }, plan.back),
    h("a", { id: "toggle-lang", href: `lesson.html?lang=${language === "zh" ? "en" : "zh"}&theme=${theme}`, lang: language === "zh" ? "en" : "zh-Hans" }, language === "zh" ? "EN" : "中文")));
fill(document.querySelector("#lesson"),
  h("header.story", {}, h("h1", {}, plan.title), h("p.lede", {}, plan.lede)),
  h("section", {}, h("h2", {}, plan.before.title), h("ul", {}, plan.before.points.map((point) => h("li", {}, point)))),
  plan.parts.map(part),
  h("section", {}, h("h2", {}, plan.after.title), h("ul", {}, plan.after.points.map((point) => h("li", {}, point)))));

function part({ minutes, title, show, scenes, questions }) {
  return h("section.part-of", {},
    h("p.minutes", {}, minutes),
    h("div.body", {}, h("h2", {}, title),
      h("p.links", {}, scenes.map((scene) => h("a", { href: `./${permalink(scene)}` }, `→ ${say(`scene.${scene}.name`)}`))),
      show.map((text) => h("p", {}, text)),
      h("dl", {}, questions.map(([question, answer]) => [h("dt", {}, question), h("dd", {}, answer)]))));
}

function permalink(scene) {
  return `#scene=${scene}&lang=${language}${theme === "dark" ? "&theme=dark" : ""}`;
}
