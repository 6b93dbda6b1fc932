/**
 * The story: its chapters one below another, the rail beside them, and the state in the address. The pictures of
 * `deeper/` are chapters too; of them, and in a frame of another page, one is shown at a time.
 */

import { API, KeyRefused, SoftkvError, storageOf, Unreachable } from "../../../../service/softkv_service/web/shared/api.js";
import { asset, deeper, isEmbedded, isExported, leave } from "../../../../service/softkv_service/web/shared/assets.js";
import { isForeign } from "../../../../service/softkv_service/web/shared/foreign.js";
import { fill, h } from "../../../../service/softkv_service/web/shared/element.js";
import { recorded } from "../shared/recorded.js";
import { runScript } from "../../../../service/softkv_service/web/shared/script.js";
import { addressOf, readAddress, stateOf } from "./address.js";
import { Answers, fromService } from "./answers.js";
import { onTheWire } from "../../../../service/softkv_service/web/shared/scale.js";
import { isAsked } from "../../../../service/softkv_service/web/shared/purpose.js";
import { Choice } from "./choice.js";
import { bar } from "./frame.js";
import { kept, preferences } from "../../../../service/softkv_service/web/shared/look.js";
import { offer } from "../exported/offer.js";
import { REVEAL } from "./parts.js";
import { tracingService } from "./traces.js";
import { speaker } from "./speaker.js";

/** @typedef {import("./address.js").State} State */

/**
 * @typedef {object} Context what a chapter may use
 * @property {import("../../../../service/softkv_service/web/shared/words.js").Say} say
 * @property {import("../../../../service/softkv_service/web/shared/words.js").Language} language
 * @property {API} api
 * @property {boolean} isExported whether the page has no service, and answers what it can by itself
 * @property {Answers} answers
 * @property {any} state the chapter's, as it is now
 * @property {boolean} isRead whether the chapter is the one on the screen
 * @property {(patch: Partial<State>) => void} set changes the chapter's state; then `update` is called
 * @property {<T>(promise: Promise<T>) => Promise<T | null>} patiently waits, and says in the page why nothing came: null
 * @property {(element: Element, told: (width: number, height: number) => void) => void} sized tells the size of an element now and whenever it changes
 * @property {(name: string) => Promise<any>} recorded data of `recorded/NAME.js`
 * @property {import("./traces.js").Tracer} trace what each head of the encoder attends to in a text
 */

/**
 * @typedef {object} View what a chapter has made
 * @property {(state: any, changed: Set<string>) => void} update
 * @property {SVGSVGElement} [picture] what is shared as a picture
 * @property {(share: number) => void} [film] draws a moment of the chapter's moving picture, 0 to 1
 * @property {() => void} [leave] the reader went to another chapter: stop what moves
 * @property {() => void} [play] plays what moves by itself
 * @property {() => void} [again] asks again what got no answer; without it, `update` is called as if `q` had changed
 * @property {() => void} [arrive] called when the reader arrives
 * @property {() => void} [print] called before the page is printed
 * @property {number} [height] of its frame in another page, in pixels
 */

/**
 * @typedef {object} Chapter
 * @property {string} id its name in the address
 * @property {{en: import("../../../../service/softkv_service/web/shared/words.js").Words, zh: import("../../../../service/softkv_service/web/shared/words.js").Words}} words `title` among them: the chapter's one name
 * @property {State} defaults
 * @property {boolean} [hasModel] whether a model of its own reads its question
 * @property {boolean} [leads] whether it leads to the encoder's numbers without a question
 * @property {Record<string, number>} [screens] the number of the screen, from 1, that a name of the state is about, if not the first
 * @property {(host: HTMLElement, context: Context) => View} mount fills the chapter's element
 */

const WRITE_MS = 250;
/** A service that is away is asked for a sign of life so soon, then after twice the time, and so on. */
const [AWAY_MS, LONGEST_MS] = [1000, 15_000];
/** A chapter is made when it is so near to the screen. */
const NEAR = "100% 0px";
/** A frame without an origin of its own may load no fonts from a plain file server. */
const MAY_LOAD_FONTS = !isExported() || window.origin !== "null" || window.location.protocol === "file:";
/** After a scroll of this length in pixels, a reader reads the story. */
const SCROLLED = 120;
/** The data of chapters has come so long after they were made. */
const SETTLED_MS = 3000;
/** Whether the address asks for a lesson. */
const isLesson = () => new URLSearchParams(window.location.search).has("lesson");

/** In a frame of another page only the picture is shown. */
const IS_EMBEDDED = isEmbedded();

export class Story {
  #chapters;
  #api;
  #exported;
  #isPaged;
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
  #isWaiting = false;
  /** Whether the next address is pasted: no link of the page led to it. */
  #isPasted = true;
  #notice = h("p.notice", { role: "alert", hidden: true });
  /** The line above a frame: whose rows these are. */
  #about = h("p.about", { role: "status" });
  #leave = () => {};
  #bar = h("header.bar");
  #rail = h("nav.rail");
  #main = h("main", { id: "story", tabIndex: -1 });
  /** @type {IntersectionObserver[]} */
  #observers = [];
  /** @type {(() => void)[]} */
  #measures = [];
  /** @type {?InstanceType<NonNullable<typeof window.softkvLesson>["Lesson"]>} */
  #lesson = null;
  /** @type {?Choice} */
  #choice = null;

  /**
   * @param {Chapter[]} chapters
   * @param {?Page.ExportedPage} exported answers in the service's place
   * @param {boolean} [isPaged] whether one chapter is shown at a time
   */
  constructor(chapters, exported = null, isPaged = false) {
    this.#chapters = chapters;
    this.#exported = exported;
    this.#isPaged = isPaged || IS_EMBEDDED;
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
    if (IS_EMBEDDED) this.#embed();
    if (isAsked() && !this.#isPaged) this.#choose();
    this.#draw();
    if (isLesson()) void this.#teach();
    const { said } = readAddress(window.location.hash);
    if (said.size || this.#current !== this.#chapters[0].id) this.#scrollTo(this.#shown(this.#current, said), "instant");
    window.addEventListener("hashchange", ({ newURL }) => this.#reread(new URL(newURL).hash));
    document.addEventListener("click", ({ target }) => target instanceof Element && target.closest("a[href*='#']") && (this.#isPasted = false), true);
    window.addEventListener("online", () => this.#again());
    window.addEventListener("beforeprint", () => {
      this.#mountDownTo(this.#chapters[this.#chapters.length - 1].id);
      for (const view of this.#views.values()) view.print?.();
      for (const measure of this.#measures) measure(); // pictures far from the screen are not laid out before
    });
    document.addEventListener("keydown", (event) => this.#end(event));
    // The fonts come after the first picture, so that nothing waits for them.
    requestAnimationFrame(() =>
      setTimeout(() => {
        performance.mark("answered");
        void this.#choice?.look();
        if (MAY_LOAD_FONTS) document.head.append(h("link", { rel: "stylesheet", href: asset("css/fonts.css") }));
      }),
    );
  }

  /** Be a picture in another page: what leads on is opened beside it, and rows of its address are said to be its own. */
  #embed() {
    document.documentElement.dataset.embed = "";
    for (const kind of ["click", "auxclick"]) document.addEventListener(kind, ({ target }) => target instanceof Element && leave(target.closest("a")), true);
    if (this.#states.get(this.#current)?.rows) this.#about.textContent = this.#say()("linking");
    this.#main.before(this.#about);
  }

  /** Let a presenter's clicker follow the plan of a lesson; few visits need that script. */
  async #teach() {
    document.head.append(h("link", { rel: "stylesheet", href: asset("css/clicker.css") }));
    if (!window.softkvLesson) await runScript("built/clicker.js");
    if (!window.softkvLesson) return;
    const chapters = this.#chapters.map(({ id }) => id);
    this.#lesson = new window.softkvLesson.Lesson(this.#look.lang, { chapters, show: (step, isBack) => this.#step(step, isBack) });
  }

  /** The key End leads to the last chapter; those above are made first, so that none of them grows later. @param {KeyboardEvent} event */
  #end(event) {
    const isTyped = event.target instanceof Element && event.target.closest("input, textarea, select, [role=slider], [role=group] button");
    if (event.key !== "End" || event.defaultPrevented || isTyped || this.#isPaged) return;
    event.preventDefault();
    const { id } = this.#chapters[this.#chapters.length - 1];
    this.#mountDownTo(id);
    this.#scrollTo(this.#hosts.get(id));
  }

  /**
   * The screen of a chapter that an address is about; the chapter itself for the first one.
   * @param {string} id
   * @param {Map<string, string>} said
   */
  #shown(id, said) {
    const { screens = {} } = /** @type {Chapter} */ (this.#chapters.find((one) => one.id === id));
    const last = Math.max(1, ...Array.from(said.keys(), (name) => screens[name] ?? 1));
    const host = this.#hosts.get(id);
    return last > 1 ? /** @type {HTMLElement} */ (host?.querySelectorAll(".screen")[last - 1]) : host;
  }

  /**
   * Scroll to a chapter, and stay there while the data of those above comes and they grow.
   * @param {HTMLElement | undefined} host
   * @param {ScrollBehavior} [behavior]
   */
  #scrollTo(host, behavior = "auto") {
    if (!host) return;
    this.#leave();
    host.scrollIntoView({ behavior, block: "start" });
    const height = this.#main.offsetHeight;
    const observer = new ResizeObserver(() => this.#main.offsetHeight !== height && host.scrollIntoView({ behavior: "instant", block: "start" }));
    observer.observe(this.#main);
    const moves = new AbortController();
    const leave = () => {
      observer.disconnect();
      moves.abort();
    };
    this.#leave = leave;
    // Not for the key that led here, which is still on its way.
    setTimeout(() => {
      for (const kind of ["wheel", "touchstart", "pointerdown", "keydown"]) window.addEventListener(kind, leave, { signal: moves.signal, passive: true });
    });
    setTimeout(leave, SETTLED_MS);
  }

  /** Ask what the visitor came for, in a row that the screens leave room for; it is gone with the first scroll. */
  #choose() {
    const root = document.documentElement;
    const observer = new ResizeObserver(() => root.style.setProperty("--choice", `${choice.element.offsetHeight}px`));
    const dismiss = () => {
      observer.disconnect();
      window.removeEventListener("scroll", scrolled);
      choice.element.remove();
      root.style.removeProperty("--choice");
      this.#choice = null;
    };
    const scrolled = () => {
      if (window.scrollY < SCROLLED || choice.element.contains(document.activeElement)) return;
      const height = choice.element.offsetHeight;
      dismiss();
      window.scrollBy({ top: -height, behavior: "instant" }); // the chapters move up by it, so their place on the screen stays
    };
    const choice = new Choice(this.#api, this.#say(), () => {
      dismiss();
      this.#main.focus({ preventScroll: true });
    });
    window.addEventListener("scroll", scrolled, { passive: true });
    this.#choice = choice;
    this.#bar.after(choice.element);
    root.style.setProperty("--choice", `${choice.element.offsetHeight}px`);
    observer.observe(choice.element);
  }

  /** The function that says the words of the frame. */
  #say() {
    return speaker({ en: {}, zh: {} }, this.#look.lang);
  }

  /**
   * Show a step of the lesson. The way back begins where the chapter does, so that no later guess is left.
   * @param {import("../lesson/steps.js").Step} step
   * @param {boolean} isBack
   */
  #step({ chapter = "", screen = 1, state = {}, guess, play, hood }, isBack) {
    const host = this.#hosts.get(chapter);
    if (!host) return;
    this.#mountDownTo(chapter);
    this.#enter(chapter);
    const beginning = isBack ? this.#chapters.find(({ id }) => id === chapter)?.defaults : {};
    this.#change(chapter, { ...beginning, ...state });
    const shown = /** @type {HTMLElement} */ (host.querySelectorAll(".screen")[screen - 1]);
    this.#scrollTo(shown);
    if (guess) {
      shown?.querySelector(".prediction")?.dispatchEvent(new Event(REVEAL));
      // The verdict comes into view by itself; in a class the heading stays there, too.
      requestAnimationFrame(() => requestAnimationFrame(() => shown?.scrollIntoView({ behavior: "instant", block: "start" })));
    }
    if (play) this.#views.get(chapter)?.play?.();
    for (const folded of this.#main.querySelectorAll("details")) folded.open = Boolean(hood) && Boolean(shown?.contains(folded));
  }

  /** Everything anew: at the beginning, and in another language. */
  #draw() {
    const { lang, theme, large } = this.#look;
    for (const observer of this.#observers.splice(0)) observer.disconnect();
    this.#measures = [];
    for (const view of this.#views.values()) view.leave?.();
    this.#views.clear();
    const say = this.#say();
    const root = document.documentElement;
    root.lang = lang === "zh" ? "zh-Hans" : "en";
    root.dataset.theme = theme;
    root.dataset.projector = large ? "on" : "off";
    if (!this.#isPaged) document.title = say("title");
    const skip = document.querySelector("a.skip");
    if (skip) skip.textContent = say("skip");
    this.#lesson?.speak(lang);
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
        const name = this.#isPaged ? words[lang].title : `${i + 1} ${words[lang].title}`;
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
    if (this.#isPaged) this.#turn(this.#current); // a chapter has no size before it is shown
    this.#mountDownTo(this.#current);
    this.#enter(this.#current);
  }

  /** Make chapters as they come near, and know which one is read. One that is shown alone is the one that is read. */
  #watch() {
    if (this.#isPaged) return;
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
    if (this.#isPaged) return this.#mount(id);
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
      language: this.#look.lang,
      api: this.#api,
      isExported: this.#exported !== null,
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
    };
    this.#views.set(id, { update() {} });
    this.#views.set(id, chapter.mount(host, context));
    if (chapter.leads || ("q" in chapter.defaults && !chapter.hasModel)) this.#lead(id, host);
  }

  /**
   * Lead from the question of a chapter to every number between it and its weights. A lesson stays open.
   * @param {string} id
   * @param {HTMLElement} host
   */
  #lead(id, host) {
    const folded = host.querySelector(".hood");
    if (this.#isPaged || !folded) return;
    const say = this.#say();
    const link = /** @type {HTMLAnchorElement} */ (h("a.to-zoom", { target: isLesson() ? "_blank" : "" }, say("zoom")));
    const follow = () => {
      const { q, t, level, layer, head } = /** @type {State} */ (this.#states.get(id));
      const keys = this.#answers.keys.get(String(q));
      const rows = keys && {
        rows: JSON.stringify(keys.map((key) => [key])),
        ask: JSON.stringify({ temperature: onTheWire(Number(t)), null: level === undefined ? false : "auto" }),
      };
      const said = { ...(q === undefined ? {} : { q }), ...rows, ...(layer ? { layer, head } : {}), back: this.#addressOf(id).slice(1) };
      const parts = Object.entries(said).map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`);
      link.href = `${deeper()}#zoom&${parts.join("&")}`;
    };
    for (const kind of ["pointerdown", "focus", "click"]) link.addEventListener(kind, follow);
    follow();
    folded.after(link);
  }

  /** @param {string} id */
  #enter(id) {
    if (id !== this.#current) this.#views.get(this.#current)?.leave?.();
    if (this.#isPaged) this.#turn(id);
    for (const [name, dot] of this.#dots) {
      if (name === id) dot.setAttribute("aria-current", "true");
      else dot.removeAttribute("aria-current");
    }
    if (id === this.#current) return;
    this.#current = id;
    this.#views.get(id)?.arrive?.();
    this.#write();
  }

  /** Show one chapter alone. @param {string} id */
  #turn(id) {
    for (const [name, host] of this.#hosts) host.hidden = name !== id;
    document.title = `${this.#chapters.find((one) => one.id === id)?.words[this.#look.lang].title} · softkv`;
  }

  /**
   * @param {string} id
   * @param {Partial<State>} patch
   */
  #change(id, patch) {
    const before = /** @type {State} */ (this.#states.get(id));
    const changed = Object.keys(patch).filter((name) => patch[name] !== before[name]);
    if (!changed.length) return;
    const state = /** @type {State} */ ({ ...before, ...patch });
    this.#states.set(id, state);
    this.#views.get(id)?.update(state, new Set(changed));
    this.#write();
  }

  /** Ask again what the chapter with the notice asked, or the one on the screen. */
  #again() {
    const id = (this.#notice.hidden ? null : this.#notice.closest(".chapter")?.id) ?? this.#current;
    const view = this.#views.get(id);
    if (view?.again) view.again();
    else view?.update(this.#states.get(id), new Set(["q"]));
  }

  #address() {
    return this.#addressOf(this.#current);
  }

  /** @param {string} chapter */
  #addressOf(chapter) {
    const { defaults } = /** @type {Chapter} */ (this.#chapters.find(({ id }) => id === chapter));
    return addressOf(chapter, /** @type {State} */ (this.#states.get(chapter)), defaults, kept(this.#look));
  }

  /** The address follows a moment later, so that a dragged knob does not write it sixty times a second. */
  #write() {
    clearTimeout(this.#writing);
    this.#writing = window.setTimeout(() => window.history.replaceState(null, "", this.#address()), WRITE_MS);
  }

  /** Another address: a dot of the rail, back, or a pasted link. @param {string} hash as it was then, since `#write` may have changed it */
  #reread(hash) {
    clearTimeout(this.#writing);
    const { chapter: named, said } = readAddress(hash);
    const chapter = named || !this.#isPaged ? named : this.#chapters[0].id;
    const found = this.#chapters.find(({ id }) => id === chapter);
    if (!found) return;
    if (said.size || this.#isPasted) {
      if (said.size) this.#look = preferences(said);
      this.#states.set(chapter, stateOf(found.defaults, said));
      this.#draw();
    }
    this.#isPasted = true;
    const host = this.#hosts.get(chapter);
    if (this.#isPaged) this.#enter(chapter); // it has no size before it is shown
    this.#mountDownTo(chapter);
    if (this.#isPaged) window.scrollTo(0, 0);
    else this.#scrollTo(this.#shown(chapter, said));
    /** @type {?HTMLElement} */ (host?.querySelector("h1, h2") ?? null)?.focus({ preventScroll: true });
  }

  /** @param {Partial<import("../../../../service/softkv_service/web/shared/look.js").Look>} patch */
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

  /**
   * @template T
   * @param {Promise<T>} promise
   * @param {HTMLElement} host the chapter, whose picture fades while it is no answer
   * @returns {Promise<T | null>}
   */
  async #patiently(promise, host) {
    const say = this.#say();
    try {
      const found = await promise;
      this.#notice.hidden = true;
      host.classList.remove("unanswered");
      void this.#warn(host);
      return found;
    } catch (failure) {
      if (!(failure instanceof SoftkvError)) throw failure;
      if (IS_EMBEDDED && failure instanceof KeyRefused) return this.#begin(host.id);
      this.#placeNotice(host);
      const code = /** @type {string | undefined} */ (failure.code);
      if (code === "encoder_needed") this.#offerEncoder();
      else if (failure instanceof KeyRefused) this.#askKey();
      else if (code === "nothing_to_read") this.#notice.textContent = say("unreadable");
      else this.#notice.textContent = failure instanceof Unreachable ? say("away") : say("refused", { detail: failure.message });
      this.#notice.hidden = false;
      this.#notice.scrollIntoView({ block: "nearest" });
      if (code === "nothing_to_read") void this.#warn(host);
      host.classList.add("unanswered");
      if (failure instanceof Unreachable) void this.#wait();
      return null;
    }
  }

  /** Say under a picture that the encoder does not read its question. @param {HTMLElement} host */
  async #warn(host) {
    const question = () => String(this.#states.get(host.id)?.q ?? "");
    const asked = question();
    if (!(await isForeign(this.#api, asked)) || asked !== question()) return;
    this.#placeNotice(host);
    this.#notice.textContent = this.#say()("english");
    this.#notice.hidden = false;
  }

  /** Wait until a service that is away answers, then ask again. */
  async #wait() {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    for (let pause = AWAY_MS; this.#isWaiting; pause = Math.min(2 * pause, LONGEST_MS)) {
      await new Promise((done) => setTimeout(done, pause));
      try {
        await this.#api.get("/livez");
        this.#isWaiting = false;
        this.#again();
      } catch (failure) {
        if (!(failure instanceof SoftkvError)) throw failure;
      }
    }
  }

  /** A notice stands under the picture that is asked about, and so covers nothing. @param {HTMLElement} host */
  #placeNotice(host) {
    const screen = host.querySelector(".asking")?.closest(".screen") ?? host;
    (screen.querySelector(".doing") ?? host).prepend(this.#notice);
  }

  /** Without a key, a picture in a frame shows the rows that were recorded. @param {string} id */
  #begin(id) {
    this.#about.textContent = this.#say()("recorded");
    this.#change(id, /** @type {Chapter} */ (this.#chapters.find((one) => one.id === id)).defaults);
    return null;
  }

  /** The key stays in this tab, as in the explorer. */
  #askKey() {
    const say = this.#say();
    const field = /** @type {HTMLInputElement} */ (h("input", { type: "password", id: "api-key", autocomplete: "off", "aria-label": say("key") }));
    const use = (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#api.key = field.value.trim();
      this.#again();
    };
    const form = h("form", { onsubmit: use }, field, h("button", { type: "submit" }, say("key.use")));
    fill(this.#notice, say(this.#api.refused ? "key.refused" : "key.needed"), form);
  }

  /** An exported page reads a new text by itself, once its encoder is loaded; that is the reader's choice. */
  #offerEncoder() {
    const exported = /** @type {Page.ExportedPage} */ (this.#exported);
    const load = (/** @type {(share: number) => void} */ report) => exported.loadEncoder(report);
    fill(this.#notice, ...offer(this.#look.lang, load, () => this.#again()));
  }

  /**
   * @param {Element} element
   * @param {(width: number, height: number) => void} told
   */
  #sized(element, told) {
    // On paper a picture is scaled, and not laid out anew.
    const observer = new ResizeObserver(([{ contentRect }]) => window.matchMedia("print").matches || told(contentRect.width, contentRect.height));
    const now = () => {
      const { width, height } = element.getBoundingClientRect();
      if (element.isConnected) told(width, height);
    };
    now();
    this.#measures.push(now);
    observer.observe(element);
    document.fonts.addEventListener("loadingdone", now); // texts have other widths
  }

  /** @param {Event} event */
  #skip(event) {
    event.preventDefault();
    this.#main.focus();
  }
}
