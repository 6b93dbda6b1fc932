/**
 * The lesson: `?lesson` makes a presenter's clicker follow the plan, with a clock and the next part at the edge.
 *
 * Page Down is the next step, Page Up the one before: it takes back what the later one did. A step is a chapter in a state, its guess revealed, or the room,
 * which has a page of its own; the clock and the step are kept in the tab, so that they go on when the class is back.
 */

import { fill, h } from "../shared/element.js";
import { storageOf } from "../shared/api.js";
import { reader } from "../shared/words.js";
import words from "./clicker.json";
import plan from "./plan.json";

/**
 * @typedef {object} Step
 * @property {string} [chapter]
 * @property {number} [screen] of the chapter, from 1
 * @property {import("../shared/address.js").State} [state] what is shown of it
 * @property {boolean} [guess] whether its guess is revealed
 * @property {boolean} [play] whether it plays what moves
 * @property {boolean} [hood] whether the hood is open
 * @property {boolean} [room] the class goes to the room
 */

/** @typedef {{from: number, en: string, zh: string, steps: Step[]}} Part */

const KEPT = "softkv-lesson";
const MINUTE = 60_000;
const CONTROLS = "input, select, textarea, [contenteditable]";

/** Every step of the plan, with the number of its part and its own number there, from 0. */
export const STEPS = /** @type {Part[]} */ (plan.parts).flatMap(({ steps }, part) => steps.map((step, number) => ({ step, part, number })));

export class Lesson {
  #say;
  #chapters;
  #show;
  #at = 0;
  #begun = 0;
  #clock = h("span.clock", { role: "timer" });
  #part = h("strong");
  #step = h("span.step");
  #next = h("span.next");
  #place = h("span.place");
  #storage = storageOf(window);

  /**
   * @param {"en" | "zh"} language
   * @param {string[]} chapters of the story, in order
   * @param {(step: Step, isBack: boolean) => void} show
   */
  constructor(language, chapters, show) {
    this.#say = reader(words[language], language);
    this.#chapters = chapters;
    this.#show = show;
    this.language = language;
    this.element = h("aside.lesson-bar", { "aria-label": this.#say("lesson") }, this.#clock, this.#part, this.#step, this.#next, this.#place);
    const [at, begun] = (this.#storage.getItem(KEPT) ?? "0,0").split(",").map(Number);
    this.#at = Math.min(STEPS.length - 1, at || 0);
    this.#begun = begun || 0;
    if (STEPS[this.#at].step.room) this.#at++; // the class is back
    this.#tell();
    window.setInterval(() => this.#tell(), 1000);
    document.addEventListener("keydown", (event) => this.#key(event));
    document.body.append(this.element);
    if (this.#begun) this.#arrive(false);
  }

  /** @param {"en" | "zh"} language */
  speak(language) {
    this.#say = reader(words[language], language);
    this.language = language;
    this.element.setAttribute("aria-label", this.#say("lesson"));
    this.#tell();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const by = { PageDown: 1, PageUp: -1 }[event.key];
    if (!by || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target instanceof Element && event.target.closest(CONTROLS)) return;
    event.preventDefault();
    if (!this.#begun) this.#begun = Date.now();
    this.#at = Math.min(STEPS.length - 1, Math.max(0, this.#at + by));
    this.#arrive(by < 0);
  }

  /** @param {boolean} isBack */
  #arrive(isBack) {
    this.#storage.setItem(KEPT, `${this.#at},${this.#begun}`);
    this.#tell();
    this.#show(STEPS[this.#at].step, isBack);
  }

  #tell() {
    const { part, step, number } = STEPS[this.#at];
    const passed = this.#begun ? (Date.now() - this.#begun) / MINUTE : 0;
    const now = plan.parts[part];
    const next = plan.parts[part + 1];
    const end = next?.from ?? plan.minutes;
    const [minutes, seconds] = [Math.floor(passed), Math.floor((passed % 1) * 60)];
    fill(this.#clock, `${minutes}:${String(seconds).padStart(2, "0")}`);
    this.#clock.classList.toggle("late", passed > end);
    fill(this.#part, `${now.from}–${end}  ${now[this.language]}`);
    const chapter = 1 + this.#chapters.indexOf(step.chapter ?? "");
    fill(this.#step, chapter ? this.#say("lesson.step", { chapter, step: number + 1, steps: plan.parts[part].steps.length }) : "");
    fill(this.#next, next ? this.#say("next", { title: next[this.language] }) : "");
    fill(this.#place, `${this.#at + 1} / ${STEPS.length}`);
  }
}

window.softkvLesson = { Lesson };
