/** The lesson plan, and the learners' worksheet, in the language that the address asks for. */

import { home, roomOf } from "../../../../service/softkv_service/web/shared/assets.js";
import { fill, h } from "../../../../service/softkv_service/web/shared/element.js";
import check from "./check.json";
import { preferred, subscripted } from "../../../../service/softkv_service/web/shared/words.js";
import { endOf, PARTS } from "./steps.js";
import words from "./words.json";

const asked = new URLSearchParams(window.location.search);
const language = preferred([asked.get("lang") ?? "", ...navigator.languages]);
const theme = document.documentElement.dataset.theme ?? "light";
const plan = words[language];
const roomAddress = roomOf();
const room = roomAddress && page(roomAddress);
const { questions } = check[language];
const stage = /** @type {HTMLElement} */ (document.querySelector("#lesson"));
const isSheet = stage.classList.contains("sheet");
/** @typedef {typeof words.en} Plan */
/** @typedef {{title: string, points: string[]}} Section */
/** @typedef {(typeof questions)[number]} Question */

const LETTERS = ["a", "b", "c", "d"];

document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
draw();

function draw() {
  document.title = `${isSheet ? plan.worksheet.title : plan.title} · softkv`;
  fill(
    /** @type {HTMLElement} */ (document.querySelector("#bar")),
    h("a.mark", { href: home() }, "softkv"),
    h("span.tag", {}, plan.tag),
    h(
      "div.tools",
      {},
      isSheet
        ? h("a", { href: page("lesson.html") }, plan.worksheet.back)
        : [
            h("a", { href: permalink("hard-and-soft") }, plan.back),
            h("a", { href: page("worksheet.html") }, plan.sheet),
            room && h("a", { href: room }, plan.room),
          ],
      h(
        "a",
        {
          id: "toggle-lang",
          href: page(isSheet ? "worksheet.html" : "lesson.html", language === "zh" ? "en" : "zh"),
          lang: language === "zh" ? "en" : "zh-Hans",
        },
        language === "zh" ? "EN" : "中文",
      ),
    ),
  );
  fill(stage, isSheet ? worksheet(plan.worksheet) : lesson());
  openInPrint();
}

function lesson() {
  const [homework, answers] = plan.after.homework;
  return [
    h("header.story", {}, h("h1", {}, plan.title), h("p.lede", {}, plan.lede)),
    listed(plan.objectives),
    h(
      "section",
      { id: "check" },
      h("h2", {}, plan.check.title),
      h("p", {}, plan.check.how),
      h(
        "ol",
        {},
        questions.map((question) => h("li", {}, question.ask, choices(question), folded(plan.answer, question.choices[question.right]))),
      ),
    ),
    h(
      "section",
      {},
      h("h2", {}, plan.before.title),
      points(plan.before),
      plan.before.commands.map((command) => h("pre.class-command", { tabIndex: 0 }, h("code", {}, command))),
      h("p.failing", {}, plan.before.failing),
    ),
    listed(plan.minutes),
    plan.parts.map(part),
    h("section", {}, h("h2", {}, plan.after.title), points(plan.after), folded(homework, answers)),
  ];
}

/** @param {Section} section */
function listed(section) {
  return h("section", {}, h("h2", {}, section.title), points(section));
}

/** @param {Omit<Section, "title">} section */
function points(section) {
  return h(
    "ul",
    {},
    section.points.map((point) => h("li", {}, subscripted(point))),
  );
}

/**
 * A part of the lesson: its minutes, its name and its chapters are the timetable's, which the clicker follows too.
 * @param {Plan["parts"][number]} words
 * @param {number} i
 */
function part({ show, questions: pairs }, i) {
  const { from, [language]: title, steps } = PARTS[i];
  const chapters = [...new Set(steps.map(({ chapter }) => chapter).filter((chapter) => chapter !== undefined))];
  const links = [...chapters.map((chapter) => link(permalink(chapter), title)), ...(room && steps.some((step) => step.room) ? [link(room, plan.room)] : [])];
  return h(
    "section.part-of",
    {},
    h("p.minutes", {}, `${from}–${endOf(i)}`),
    h(
      "div.body",
      {},
      h("h2", {}, title),
      links.length ? h("p.links", {}, links) : null,
      show.map((text) => h("p", {}, subscripted(text))),
      pairs.map(([question, answer]) => folded(question, answer)),
    ),
  );
}

/**
 * @param {string} href
 * @param {string} text
 */
function link(href, text) {
  return h("a", { href, target: "softkv-story", title: plan.tab }, `→ ${text} ↗`);
}

/**
 * A question with its answer folded away: the plan can be projected.
 * @param {string} question
 * @param {string} answer
 */
function folded(question, answer) {
  return h("details.answer-of", {}, h("summary", {}, subscripted(question)), h("p", {}, subscripted(answer)));
}

/** @param {Question} question */
function choices({ choices: given }) {
  return h(
    "p.choices-of",
    {},
    given.map((choice, i) => h("span", {}, h("b", {}, `${LETTERS[i]} `), choice)),
  );
}

/** @param {Plan["worksheet"]} sheet */
function worksheet({ title, name, sections }) {
  return [
    h("header.story", {}, h("h1", {}, title), h("p", {}, blanks(name))),
    sections.map((section) =>
      h(
        "section",
        {},
        h("h2", {}, section.title),
        section.check
          ? h(
              "ol",
              {},
              questions.map((question) => h("li", {}, question.ask, choices(question))),
            )
          : null,
        (section.lines ?? []).map((line) => h("p", {}, blanks(line))),
        section.table
          ? h(
              "div.scrolling",
              { tabIndex: 0, role: "region", "aria-label": section.title },
              h(
                "table",
                {},
                section.table.map((row, i) =>
                  h(
                    "tr",
                    {},
                    row.map((cell, j) => (i && j ? h("td", {}, cell) : h("th", { scope: i ? "row" : "col" }, cell))),
                  ),
                ),
              ),
            )
          : null,
      ),
    ),
  ];
}

/** Text with places to write in. @param {string} text */
function blanks(text) {
  return text.split(/(__+)/).flatMap((part, i) => (i % 2 ? h("span.blank", { style: { "--letters": String(part.length) } }) : subscripted(part)));
}

/** Closed on the screen, open on paper. */
function openInPrint() {
  /** @type {HTMLDetailsElement[]} */
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details")].filter((one) => !one.open);
    for (const one of opened) one.open = true;
  });
  window.addEventListener("afterprint", () => opened.forEach((one) => (one.open = false)));
}

/**
 * @param {string} file
 * @param {Page.Language} [other]
 */
function page(file, other = language) {
  return `${file}?lang=${other}&theme=${theme}`;
}

/** @param {string} chapter */
function permalink(chapter) {
  return `${home()}#${chapter}&lang=${language}${theme === "dark" ? "&theme=dark" : ""}`;
}
