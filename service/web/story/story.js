/** The story: its chapters one below another, the rail beside them, and the state in the address. */

import { API, SoftkvError, storageOf, Unreachable } from "../js/api.js";
import { asset, isExported } from "../js/assets.js";
import { readsChinese } from "../js/chinese.js";
import { fill, h } from "../js/element.js";
import { RecordMissing, recorded } from "../js/recorded.js";
import { addressOf, readAddress, stateOf } from "./address.js";
import { Answers, fromService } from "./answers.js";
import { isAsked } from "../js/purpose.js";
import { Choice } from "./choice.js";
import { bar } from "./frame.js";
import { Lesson } from "./lesson.js";
import { kept, preferences } from "./look.js";
import { REVEAL } from "./parts.js";
import { tracingService } from "./traces.js";
import { speaker } from "./words.js";

/** @typedef {import("./address.js").State} State */

/**
 * @typedef {object} Context what a chapter may use
 * @property {import("./words.js").Say} say
 * @property {Answers} answers
 * @property {any} state the chapter's, as it is now
 * @property {boolean} isRead whether the chapter is the one on the screen
 * @property {(patch: Partial<State>) => void} set changes the chapter's state; then `update` is called
 * @property {<T>(promise: Promise<T>) => Promise<T | null>} patiently waits, and says in the page why nothing came: null
 * @property {(element: Element, told: (width: number, height: number) => void) => void} sized tells the size of an element now and whenever it changes
 * @property {(name: string) => Promise<any>} recorded data of `recorded/NAME.js`
 * @property {import("./traces.js").Tracer} trace what each head of the encoder attends to in a text
 * @property {() => Promise<boolean>} readsChinese whether the encoder does; asked once
 */

/**
 * @typedef {object} View what a chapter has made
 * @property {(state: any, changed: Set<string>) => void} update
 * @property {SVGSVGElement} [picture] what is shared as a picture
 * @property {(share: number) => void} [film] draws a moment of the chapter's moving picture, 0 to 1
 * @property {() => void} [leave] the reader went to another chapter: stop what moves
 * @property {() => void} [play] plays what moves by itself
 * @property {() => void} [arrive] the reader came to it
 */

/**
 * @typedef {object} Chapter
 * @property {string} id its name in the address
 * @property {{en: import("./words.js").Words, zh: import("./words.js").Words}} words `title` among them: the chapter's one name
 * @property {State} defaults
 * @property {(host: HTMLElement, context: Context) => View} mount fills the chapter's element
 */

const WRITE_MS = 250;
/** A chapter is made when it is so near to the screen. */
const NEAR = "100% 0px";

export class Story {
  #chapters;
  #api;
  #exported;
  #answers;
  #trace;
  /** @type {Map<string, State>} */
  #states = new Map();
  /** @type {Map<string, View>} */
  #views = new Map();
  /** @type {Map<string, HTMLElement>} */
  #hosts = new Map();
  /** @type {Map<string, HTMLAnchorElement>} */
  #dots = new Map();
  #look;
  #current;
  #writing = 0;
  #notice = h("p.notice", { role: "alert", hidden: true });
  #bar = h("header.bar");
  #rail = h("nav.rail");
  #main = h("main", { id: "story", tabIndex: -1 });
  /** @type {IntersectionObserver[]} */
  #observers = [];
  /** @type {?Lesson} */
  #lesson = null;
  /** @type {?Choice} */
  #choice = null;

  /** @param {Chapter[]} chapters @param {?import("../js/exported/answers.js").ExportedPage} exported answers in the service's place */
  constructor(chapters, exported = null) {
    this.#chapters = chapters;
    this.#exported = exported;
    this.#api = new API(exported?.fetch ?? ((/** @type {string} */ path, /** @type {object} */ options) => fetch(`.${path}`, options)), storageOf(window));
    this.#answers = new Answers(fromService(this.#api), exported ? "browser" : "service");
    this.#trace = tracingService(this.#api);
    const { chapter, said } = readAddress(window.location.hash);
    this.#current = chapters.some(({ id }) => id === chapter) ? chapter : chapters[0].id;
    for (const { id, defaults } of chapters) this.#states.set(id, id === this.#current ? stateOf(defaults, said) : { ...defaults });
    this.#look = preferences(said);
  }

  /** Put the story into the page. */
  begin() {
    document.body.append(h("a.skip", { href: "#story", onclick: (/** @type {Event} */ event) => this.#skip(event) }), this.#bar, this.#rail, this.#main);
    if (isAsked()) this.#choose();
    this.#draw();
    if (new URLSearchParams(window.location.search).has("lesson")) {
      const chapters = this.#chapters.map(({ id }) => id);
      this.#lesson = new Lesson(this.#say(), this.#look.lang, chapters, (step, isBack) => this.#step(step, isBack));
      document.body.append(this.#lesson.element);
      document.documentElement.dataset.lesson = "";
    }
    if (this.#current !== this.#chapters[0].id) this.#hosts.get(this.#current)?.scrollIntoView({ behavior: "instant", block: "start" });
    window.addEventListener("hashchange", () => this.#reread());
    window.addEventListener("online", () => this.#again());
    // The fonts come after the first picture, so that nothing waits for them.
    requestAnimationFrame(() =>
      setTimeout(() => {
        performance.mark("answered");
        void this.#choice?.look();
        document.head.append(h("link", { rel: "stylesheet", href: asset("css/fonts.css") }));
      }),
    );
  }

  /** Ask what the visitor came for, in a row that the screens leave room for. */
  #choose() {
    const root = document.documentElement;
    const observer = new ResizeObserver(() => root.style.setProperty("--choice", `${choice.element.offsetHeight}px`));
    const choice = new Choice(this.#api, this.#say(), () => {
      observer.disconnect();
      choice.element.remove();
      root.style.removeProperty("--choice");
      this.#choice = null;
      this.#main.focus({ preventScroll: true });
    });
    this.#choice = choice;
    this.#bar.after(choice.element);
    root.style.setProperty("--choice", `${choice.element.offsetHeight}px`);
    observer.observe(choice.element);
  }

  /** What says the words of the frame. */
  #say() {
    return speaker({ en: {}, zh: {} }, this.#look.lang);
  }

  /**
   * Show a step of the lesson. The way back begins where the chapter does, so that no later guess is left.
   *
   * @param {import("./lesson.js").Step} step
   * @param {boolean} isBack
   */
  #step({ chapter = "", screen = 1, state = {}, guess, play, hood, room }, isBack) {
    if (room) {
      if (!isExported()) window.location.assign("room?lesson"); // a room needs a service
      return;
    }
    const host = this.#hosts.get(chapter);
    if (!host) return;
    this.#mountDownTo(chapter);
    this.#enter(chapter);
    const beginning = isBack ? this.#chapters.find(({ id }) => id === chapter)?.defaults : {};
    this.#change(chapter, { ...beginning, ...state });
    const shown = host.querySelectorAll(".screen")[screen - 1];
    shown?.scrollIntoView({ block: "start" });
    if (guess) shown?.querySelector(".prediction")?.dispatchEvent(new Event(REVEAL));
    if (play) this.#views.get(chapter)?.play?.();
    for (const folded of host.querySelectorAll("details")) folded.open = Boolean(hood) && Boolean(shown?.contains(folded));
  }

  /** Everything anew: at the beginning, and in another language. */
  #draw() {
    const { lang, theme, large } = this.#look;
    for (const observer of this.#observers.splice(0)) observer.disconnect();
    for (const view of this.#views.values()) view.leave?.();
    this.#views.clear();
    const say = this.#say();
    const root = document.documentElement;
    root.lang = lang === "zh" ? "zh-Hans" : "en";
    root.dataset.theme = theme;
    root.dataset.projector = large ? "on" : "off";
    document.title = say("title");
    const skip = document.querySelector("a.skip");
    if (skip) skip.textContent = say("skip");
    this.#lesson?.speak(say, lang);
    this.#choice?.speak(say);
    fill(
      this.#bar,
      ...bar(
        say,
        this.#look,
        (look) => this.#dress(look),
        () => this.#views.get(this.#current),
        () => this.#address(),
      ),
    );
    this.#rail.setAttribute("aria-label", say("chapters"));
    fill(
      this.#rail,
      this.#chapters.map(({ id, words }, i) => {
        const name = `${i + 1} ${words[lang].title}`;
        const dot = /** @type {HTMLAnchorElement} */ (h("a", { href: `#${id}`, "aria-label": name, title: name }));
        this.#dots.set(id, dot);
        return dot;
      }),
    );
    fill(
      this.#main,
      // Chapters come as the reader nears them; what all of them are about is said at once.
      this.#chapters.map(({ id, words }) => {
        const host = h("article.chapter", { id, "aria-label": words[lang].title });
        this.#hosts.set(id, host);
        return host;
      }),
    );
    this.#watch();
    this.#mountDownTo(this.#current);
    this.#enter(this.#current);
  }

  /** Make chapters as they come near, and know which one is read. */
  #watch() {
    const near = new IntersectionObserver((entries) => entries.forEach(({ isIntersecting, target }) => isIntersecting && this.#mount(target.id)), {
      rootMargin: NEAR,
    });
    const read = new IntersectionObserver((entries) => entries.forEach(({ isIntersecting, target }) => isIntersecting && this.#enter(target.id)), {
      rootMargin: "-50% 0px -50% 0px",
    });
    for (const host of this.#hosts.values()) {
      near.observe(host);
      read.observe(host);
    }
    this.#observers.push(near, read);
  }

  /** Make a chapter and those above it, so that none of them grows later and moves it on the screen. @param {string} id */
  #mountDownTo(id) {
    for (const chapter of this.#chapters) {
      this.#mount(chapter.id);
      if (chapter.id === id) return;
    }
  }

  /** @param {string} id */
  #mount(id) {
    const chapter = this.#chapters.find((one) => one.id === id);
    const host = this.#hosts.get(id);
    if (!chapter || !host || this.#views.has(id)) return;
    const story = this;
    const context = {
      say: speaker(chapter.words, this.#look.lang),
      answers: this.#answers,
      get state() {
        return story.#states.get(id);
      },
      get isRead() {
        return story.#current === id;
      },
      set: (/** @type {Partial<State>} */ patch) => this.#change(id, patch),
      patiently: (/** @type {Promise<any>} */ promise) => this.#patiently(promise, host),
      sized: (/** @type {Element} */ element, /** @type {(width: number, height: number) => void} */ told) => this.#sized(element, told),
      recorded,
      trace: this.#trace,
      readsChinese: () => readsChinese(this.#api),
    };
    this.#views.set(id, { update() {} });
    this.#views.set(id, chapter.mount(host, context));
  }

  /** @param {string} id */
  #enter(id) {
    if (id !== this.#current) this.#views.get(this.#current)?.leave?.();
    for (const [name, dot] of this.#dots) {
      if (name === id) dot.setAttribute("aria-current", "true");
      else dot.removeAttribute("aria-current");
    }
    if (id === this.#current) return;
    this.#current = id;
    this.#views.get(id)?.arrive?.();
    this.#write();
  }

  /** @param {string} id @param {Partial<State>} patch */
  #change(id, patch) {
    const before = /** @type {State} */ (this.#states.get(id));
    const changed = Object.keys(patch).filter((name) => patch[name] !== before[name]);
    if (!changed.length) return;
    const state = /** @type {State} */ ({ ...before, ...patch });
    this.#states.set(id, state);
    this.#views.get(id)?.update(state, new Set(changed));
    this.#write();
  }

  /** Ask again what the chapter on the screen asked. */
  #again() {
    this.#views.get(this.#current)?.update(this.#states.get(this.#current), new Set(["q"]));
  }

  #address() {
    const { defaults } = /** @type {Chapter} */ (this.#chapters.find(({ id }) => id === this.#current));
    return addressOf(this.#current, /** @type {State} */ (this.#states.get(this.#current)), defaults, kept(this.#look));
  }

  /** The address follows a moment later, so that a dragged knob does not write it sixty times a second. */
  #write() {
    clearTimeout(this.#writing);
    this.#writing = window.setTimeout(() => window.history.replaceState(null, "", this.#address()), WRITE_MS);
  }

  /** Another address: a dot of the rail, back, or a pasted link. */
  #reread() {
    clearTimeout(this.#writing);
    const { chapter, said } = readAddress(window.location.hash);
    const found = this.#chapters.find(({ id }) => id === chapter);
    if (!found) return;
    if (said.size) {
      this.#look = preferences(said);
      this.#states.set(chapter, stateOf(found.defaults, said));
      this.#draw();
    }
    const host = this.#hosts.get(chapter);
    this.#mountDownTo(chapter);
    host?.scrollIntoView({ block: "start" });
    /** @type {?HTMLElement} */ (host?.querySelector("h1, h2") ?? null)?.focus({ preventScroll: true });
  }

  /** @param {Partial<import("./address.js").Look>} patch */
  #dress(patch) {
    const isLanguage = "lang" in patch;
    this.#look = { ...this.#look, ...patch };
    if (isLanguage) {
      this.#draw();
      this.#hosts.get(this.#current)?.scrollIntoView({ behavior: "instant", block: "start" });
    } else {
      document.documentElement.dataset.theme = this.#look.theme;
      document.documentElement.dataset.projector = this.#look.large ? "on" : "off";
    }
    this.#write();
  }

  /** @template T @param {Promise<T>} promise @param {HTMLElement} host the chapter, whose picture fades while it is no answer @returns {Promise<T | null>} */
  async #patiently(promise, host) {
    const say = this.#say();
    try {
      const found = await promise;
      this.#notice.hidden = true;
      host.classList.remove("unanswered");
      return found;
    } catch (failure) {
      if (!(failure instanceof SoftkvError)) throw failure;
      this.#placeNotice(host);
      const code = /** @type {string | undefined} */ (failure.code);
      if (code === "encoder_needed") this.#offerEncoder();
      else if (code === "nothing_to_read") this.#notice.textContent = say("unreadable");
      else this.#notice.textContent = failure instanceof Unreachable ? say("away") : say("refused", { detail: failure.message });
      this.#notice.hidden = false;
      this.#notice.scrollIntoView({ block: "nearest" });
      host.classList.add("unanswered");
      return null;
    }
  }

  /** A notice stands under the picture that is asked about, and so covers nothing. @param {HTMLElement} host */
  #placeNotice(host) {
    const screen = host.querySelector(".asking")?.closest(".screen") ?? host;
    (screen.querySelector(".doing") ?? host).prepend(this.#notice);
  }

  /** An exported page reads a new text by itself, once its encoder is loaded; that is the reader's choice. */
  #offerEncoder() {
    const say = this.#say();
    const load = /** @type {HTMLButtonElement} */ (
      h(
        "button",
        {
          type: "button",
          id: "load-encoder",
          onclick: async () => {
            load.disabled = true;
            try {
              await this.#exported?.loadEncoder((share) => (load.textContent = say("encoder.loading", { share: Math.round(100 * share) })));
              this.#again();
            } catch (failure) {
              if (!(failure instanceof RecordMissing)) throw failure;
              this.#notice.textContent = say("encoder.lost");
            }
          },
        },
        say("encoder.load"),
      )
    );
    fill(this.#notice, say("encoder.needed"), " ", load);
  }

  /** @param {Element} element @param {(width: number, height: number) => void} told */
  #sized(element, told) {
    const observer = new ResizeObserver(([{ contentRect }]) => told(contentRect.width, contentRect.height));
    const { width, height } = element.getBoundingClientRect();
    told(width, height);
    observer.observe(element);
  }

  /** @param {Event} event */
  #skip(event) {
    event.preventDefault();
    this.#main.focus();
  }
}
