/**
 * The lesson: `?lesson` makes a presenter's clicker follow the plan, with a clock and what comes next at the lower edge.
 *
 * Page Down is the next step, Page Up the one before: it takes back what the later one did. A step is a chapter in a state, its guess revealed, a slide, or
 * the room, which has a page of its own. The clock and the step are kept in the tab, so that they go on when the class is back. The teacher's window
 * (`teacher.js`) follows, and may press in the clicker's place.
 */

import { storageOf } from "../../../../service/softkv_service/web/shared/api.js";
import { home, isExported } from "../../../../service/softkv_service/web/shared/assets.js";
import { fill, h } from "../../../../service/softkv_service/web/shared/element.js";
import { reader } from "../../../../service/softkv_service/web/shared/words.js";
import { channel } from "./channel.js";
import words from "./clicker.json";
import { slide } from "./slide.js";
import { clock, endOf, PARTS, ROOM, STEPS } from "./steps.js";

/** @typedef {import("./steps.js").Step} Step */

/**
 * @typedef {object} Place the page that the lesson is on
 * @property {string[]} [chapters] of the story, in order
 * @property {(step: Step, isBack: boolean) => void} [show] shows a step of the story
 * @property {(by: 1 | -1) => boolean} [press] what a press does in the room → whether it did anything; else it leads back to the story
 * @property {() => ?import("./channel.js").RoomNews} [news] of the room
 * @property {(act: string, about?: string) => void} [act] does in the room what the teacher's window asks for
 */

const KEPT = "softkv-lesson";
const NAME = "softkv-lesson-name";
const CONTROLS = "input, select, textarea, [contenteditable]";

class Lesson {
  #say;
  #place;
  #at = 0;
  #begun = 0;
  #clock = h("span.clock", { role: "timer" });
  #part = h("strong");
  #step = h("span.step");
  #next = h("span.next");
  #number = h("span.place");
  #teacher = h("button", { type: "button", id: "teacher", onclick: () => this.#open() });
  #slide = h("div.slides", { hidden: true });
  #storage = storageOf(window);
  #send;

  /**
   * @param {"en" | "zh"} language
   * @param {Place} place
   */
  constructor(language, place) {
    this.#place = place;
    this.element = h("aside.lesson-bar", {}, this.#clock, this.#part, this.#step, this.#next, this.#number, this.#teacher);
    this.language = language;
    this.#say = reader(words[language], language);
    const [at, begun] = (this.#storage.getItem(KEPT) ?? "0,0").split(",").map(Number);
    this.#at = Math.min(STEPS.length - 1, at || 0);
    this.#begun = begun || 0;
    if (!this.#isStory) this.#at = ROOM;
    else if (STEPS[this.#at].step.room && !isExported()) this.#at++; // the class is back
    this.#send = channel(this.#name, (order) => this.#do(order));
    window.setInterval(() => this.#tell(), 1000);
    document.addEventListener("keydown", (event) => this.#key(event));
    document.body.append(this.#slide, this.element);
    new ResizeObserver(() => this.#fit()).observe(this.element);
    document.documentElement.dataset.lesson = "";
    this.speak(language);
    window.history.scrollRestoration = "manual"; // the step says what is on the screen
    if (this.#begun && this.#isStory) this.#arrive(false);
  }

  get #isStory() {
    return this.#place.show !== undefined;
  }

  /** The lesson's name, by which its windows find one another. */
  get #name() {
    const known = this.#storage.getItem(NAME);
    if (known) return known;
    const made = String(crypto.getRandomValues(new Uint32Array(1))[0]);
    this.#storage.setItem(NAME, made);
    return made;
  }

  /** @param {"en" | "zh"} language */
  speak(language) {
    this.#say = reader(words[language], language);
    this.language = language;
    this.element.setAttribute("aria-label", this.#say("lesson"));
    this.#teacher.textContent = this.#say("teacher.open");
    this.#teacher.title = this.#say("teacher");
    this.#tell();
    this.#slideIn();
    this.told();
  }

  /** Tell the teacher's window what the projector shows. */
  told() {
    this.#send({ news: { at: this.#at, begun: this.#begun, room: this.#place.news?.() ?? null } });
  }

  /** @param {any} order a question for news, or an order of the teacher's window */
  #do(order) {
    if (order.ask) this.told();
    else if (order.press) this.#press(order.press);
    else if (order.act) this.#place.act?.(order.act, order.about);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const by = event.key === "PageDown" ? 1 : event.key === "PageUp" ? -1 : 0;
    if (!by || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target instanceof Element && event.target.closest(CONTROLS)) return;
    event.preventDefault();
    this.#press(by);
  }

  /** @param {1 | -1} by */
  #press(by) {
    if (!this.#begun) this.#begun = Date.now();
    if (!this.#isStory && this.#place.press?.(by)) return this.#keep();
    this.#at = Math.min(STEPS.length - 1, Math.max(0, this.#at + by));
    this.#arrive(by < 0);
  }

  #keep() {
    this.#storage.setItem(KEPT, `${this.#at},${this.#begun}`);
    this.told();
  }

  /** @param {boolean} isBack */
  #arrive(isBack) {
    this.#keep();
    this.#tell();
    const { step } = STEPS[this.#at];
    if (step.room && !isExported()) return window.location.assign(`room?${this.#look({ lesson: "" })}`); // a room needs a service
    if (!this.#isStory) return window.location.assign(`${home()}?lesson#${step.chapter ?? ""}&${this.#look({}, "large")}`);
    this.#slideIn();
    this.#place.show?.(step, isBack);
  }

  /** Leave room for the bar, at once: a step scrolls to its screen. */
  #fit() {
    const height = `${this.element.offsetHeight}px`;
    if (document.documentElement.style.getPropertyValue("--lesson-bar") !== height) document.documentElement.style.setProperty("--lesson-bar", height);
  }

  /** Show the slide of the step in place of the story, or the story. */
  #slideIn() {
    const { step } = STEPS[this.#at];
    const kind = this.#isStory ? (step.room ? "room" : step.slide) : undefined;
    this.#slide.hidden = kind === undefined;
    document.documentElement.toggleAttribute("data-slide", kind !== undefined);
    fill(this.#slide, kind === undefined ? null : slide(kind, this.language, this.#say));
  }

  /**
   * The look of the page, as another page's address says it.
   * @param {Record<string, string>} more
   * @param {string} [enlarged] the name of large type there
   */
  #look(more, enlarged = "projector") {
    const { theme, projector } = document.documentElement.dataset;
    const look = { ...more, lang: this.language, ...(theme === "dark" ? { theme } : {}), ...(projector === "on" ? { [enlarged]: "1" } : {}) };
    return new URLSearchParams(look);
  }

  #open() {
    window.open(`teacher.html?${this.#look({ of: this.#name })}`, `softkv-teacher-${this.#name}`, "popup,width=620,height=800");
  }

  #tell() {
    const { part, step, number } = STEPS[this.#at];
    const { text, isLate } = clock(this.#begun, part);
    fill(this.#clock, text);
    this.#clock.classList.toggle("late", isLate);
    fill(this.#part, `${PARTS[part].from}–${endOf(part)}  ${PARTS[part][this.language]}`);
    const chapter = 1 + (this.#place.chapters ?? []).indexOf(step.chapter ?? "");
    fill(this.#step, chapter ? this.#say("lesson.step", { chapter, step: number + 1, steps: PARTS[part].steps.length }) : "");
    const next = STEPS[this.#at + 1]?.step;
    fill(this.#next, next ? this.#say("next", { title: next.shows[this.language] }) : "");
    fill(this.#number, `${this.#at + 1} / ${STEPS.length}`);
    this.#fit();
  }
}

export const face = { Lesson };
window.softkvLesson = face;
