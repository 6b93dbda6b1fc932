/** The explorer: its collections, the tabs of the one that is chosen, the document beside it, and the address. */

import { API, isAborted, SoftkvError, storageOf, Unreachable } from "../shared/api.js";
import { deeper, home, isAlone, isEmbedded, roomOf } from "../shared/assets.js";
import { fill, h, put } from "../shared/element.js";
import { LEARN } from "../shared/purpose.js";
import { kept, preferences, store } from "../shared/look.js";
import { elsewhere, patched, readAddress, writtenAddress } from "./address.js";
import { Collections } from "./collections.js";
import { packed } from "./link.js";
import { isUnread } from "./question.js";
import { sharing } from "../shared/sharing.js";
import { speaker as pictureSpeaker } from "../shared/speaker.js";
import { speaker } from "./speaker.js";

/** @typedef {import("../shared/look.js").Look} Look */
/** @typedef {import("../shared/words.js").Say} Say */
/** @typedef {import("../shared/words.js").Words} Words */
/** @typedef {import("./address.js").Patch} Patch */
/** @typedef {import("./address.js").Said} Said */

/**
 * @typedef {object} Collection as `GET /v1/collections/{name}` describes it
 * @property {string} name
 * @property {string} similarity
 * @property {number | null} dimension
 * @property {number | null} value_dimension
 * @property {string | null} encoder
 * @property {string} value_from
 * @property {number} temperature
 * @property {string | number | false} null
 * @property {number | null} null_similarity
 * @property {any} calibration
 * @property {{rank: number, at: string, trained: {pairs: number} | null} | null} [projection] of its queries
 * @property {{filter?: any, bias?: any, full_text?: number | string, top_k?: number, include?: string[]} | null} defaults
 * @property {number} documents
 * @property {number} keyless
 * @property {number} expired
 * @property {number | null} keys
 * @property {boolean} ready
 * @property {boolean} [late] whether questions without `rerank` have late interaction
 * @property {boolean} [own] in an exported page: whether the reader made it
 */

/**
 * @typedef {object} Context what a tab may use; all of it is as it is now
 * @property {API} api
 * @property {Say} say
 * @property {import("../shared/words.js").Language} language
 * @property {string} origin the address of the service, for commands
 * @property {boolean} isExported whether the page has no service, and answers what it can by itself
 * @property {number} mostRows of a collection, Infinity with a service
 * @property {() => Promise<void>} encoder resolves when texts can be encoded; an exported page offers its encoder
 * @property {Collection | null} collection the chosen one; null if none is chosen, and in a tab of the service
 * @property {boolean} canWrite
 * @property {boolean} canJudge whether the key may give feedback
 * @property {boolean} isKeyed whether the service was given a key
 * @property {Said} said what the address says
 * @property {(patch: Patch) => void} go changes the address; another collection, tab or document is shown
 * @property {(name?: string) => Promise<void>} refresh reads the collections again and updates the tab; a name becomes the chosen one
 * @property {<T>(call: Promise<T> | (() => Promise<T>)) => Promise<T | undefined>} patiently waits, and tells why nothing came: undefined. A function is called again when a lost service is back: give one that only reads
 */

/**
 * @typedef {object} Mounted what a tab does when the collection or the address is another, and before it goes; and its picture
 * @property {(collection: Collection | null) => void} update
 * @property {() => void} [leave]
 * @property {import("../shared/sharing.js").Shown} [shown]
 */

/**
 * @typedef {object} Tab
 * @property {string} id its name in the address
 * @property {{en: Words, zh: Words}} words `name` is its label
 * @property {"read" | "write"} needs a key that only reads sees no tab that writes
 * @property {"collection" | "service" | "own"} [of] what it is about: the chosen collection, if it says nothing; `own`: if the reader made that in an exported page
 * @property {(host: HTMLElement, context: Context) => Mounted} mount
 */

const AWAY_MS = 1000;
const LONGEST_MS = 15_000;
/** In a frame of another page only the question and its picture are shown. */
const IS_EMBEDDED = isEmbedded();
/** A text that no exported page has read: reading it takes the encoder. */
const UNREAD = "softkv reads rows";

export class Explorer {
  #tabs;
  #panel;
  /** The stored answers of an exported page. */
  #shelf;
  #api;
  /** @type {Look} */
  #look;
  /** @type {Said} */
  #said;
  /** @type {"read" | "feedback" | "write"} */
  #access = "read";
  /** The last name that was looked for outside the list. */
  #looked = "";
  /** @type {Collections} */
  #collections;
  /** @type {{tab: Tab, view: Mounted} | null} */
  #mounted = null;
  /** @type {Mounted | null} */
  #document = null;
  /** When the encoder of an exported page is loaded. @type {Promise<void> | null} */
  #encoder = null;
  /** When a lost service is back. @type {Promise<void> | null} */
  #back = null;
  #bar = h("div.bar");
  #notice = h("div.notices", { role: "status", "aria-live": "polite" });
  #keyBox = h("div.keybox");
  #side = h("nav.side", { id: "collections" });
  /** Opens the list of collections on a narrow screen. */
  #drawer = h("button.drawer", {
    type: "button",
    id: "drawer",
    "aria-controls": "collections",
    "aria-expanded": "false",
    onclick: () => this.#openDrawer(true),
  });
  #heading = h("h2.unseen");
  #list = h("div.tabs", { role: "tablist" });
  #host = h("section.middle", { id: "stage", tabIndex: -1 });
  #aside = h("aside.document", { id: "document", hidden: true });

  /**
   * @param {Tab[]} tabs in their order
   * @param {Tab | null} panel what shows the document whose id is in the address
   * @param {Page.ExportedShelf | null} shelf answers in the service's place
   */
  constructor(tabs, panel = null, shelf = null) {
    this.#tabs = tabs;
    this.#panel = panel;
    this.#shelf = shelf;
    this.#api = new API(shelf?.page.fetch ?? ((path, options) => fetch(`.${path}`, options)), storageOf(window));
    this.#said = readAddress(window.location.hash);
    this.#look = preferences(this.#said);
    this.#collections = new Collections(this.#api, this.#side, (name) => this.#hrefOf(name));
  }

  /** Says the words of the frame. */
  get #say() {
    return speaker({ en: {}, zh: {} }, this.#look.lang);
  }

  get #canWrite() {
    return this.#access === "write";
  }

  async begin() {
    if (IS_EMBEDDED) document.documentElement.dataset.embed = "";
    const main = h("main.panes", {}, this.#side, h("div.center", {}, this.#drawer, this.#heading, this.#list, this.#host), this.#aside);
    const head = h("header", {}, this.#bar, this.#keyBox, this.#notice);
    document.body.prepend(h("a.skip", { href: "#stage", onclick: (event) => this.#skip(event) }), head, main);
    window.addEventListener("hashchange", () => this.#reread());
    this.#side.addEventListener("keydown", ({ key }) => {
      if (key === "Escape") this.#openDrawer(false);
    });
    document.addEventListener("pointerdown", ({ target }) => {
      if (this.#side.classList.contains("open") && target instanceof Node && !this.#side.contains(target)) this.#openDrawer(false);
    });
    this.#dress();
    await this.refresh();
    this.#first();
  }

  /** @param {boolean} isOpen */
  #openDrawer(isOpen) {
    this.#side.classList.toggle("open", isOpen);
    this.#drawer.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) /** @type {HTMLElement | null} */ (this.#side.querySelector("[aria-current], a"))?.focus();
    else this.#drawer.focus();
  }

  /** The address of a collection in the list; a tab of the service is left for it. @param {string} name */
  #hrefOf(name) {
    const isOfService = this.#tabs.some(({ id, of }) => of === "service" && id === this.#said.get("tab"));
    return writtenAddress(patched(elsewhere(this.#said, name), isOfService ? { tab: null } : {}));
  }

  /** An address that names nothing shows the first collection. */
  #first() {
    const [name] = this.#collections.names;
    if (!name || this.#said.has("collection") || this.#said.has("tab")) return;
    this.#write(patched(this.#said, { collection: name }), false);
    this.#draw();
  }

  /** @param {Event} event */
  #skip(event) {
    event.preventDefault(); // the address has other uses for what follows its #
    this.#host.focus();
  }

  /** Theme, type and language; all that is mounted is made anew in the words of the language. */
  #dress() {
    const { lang, theme, large } = this.#look;
    const root = document.documentElement;
    root.lang = lang === "zh" ? "zh-Hans" : "en";
    root.dataset.theme = theme;
    root.dataset.projector = large ? "on" : "off";
    const say = this.#say;
    document.title = say("title");
    put(/** @type {Element} */ (document.querySelector("a.skip")), say("skip"));
    this.#side.setAttribute("aria-label", say("collections"));
    this.#list.setAttribute("aria-label", say("tabs"));
    this.#drawBar(say);
  }

  /** @param {Say} say */
  #drawBar(say) {
    const { lang, theme, large } = this.#look;
    const room = roomOf();
    /**
     * @param {string} id
     * @param {boolean} isOn
     * @param {Partial<Look>} patch
     * @param {Page.Child} face
     */
    const icon = (id, isOn, patch, face) =>
      h("button.icon", { type: "button", id, "aria-label": say(id), title: say(id), "aria-pressed": String(isOn), onclick: () => this.#become(patch) }, face);
    const ofService = [h("a", { href: "docs/" }, say("docs")), h("button", { type: "button", id: "key", onclick: () => this.#askKey(say, false) }, say("key"))];
    fill(
      this.#bar,
      h("h1", {}, h("a.mark", { href: home() }, "softkv")),
      h(
        "nav.tools",
        { "aria-label": "softkv" },
        isAlone() ? [] : [h("a", { href: this.#shelf ? home() : LEARN }, say("learn")), h("a", { href: deeper() }, say("deeper"))],
        this.#shelf ? room && h("a", { href: room }, say("room")) : ofService,
        h(
          "button",
          { type: "button", id: "language", lang: lang === "en" ? "zh-Hans" : "en", onclick: () => this.#become({ lang: lang === "en" ? "zh" : "en" }) },
          say("language"),
        ),
        icon("theme", theme === "dark", { theme: theme === "dark" ? "light" : "dark" }, h("span.moon")),
        icon("large", large, { large: !large }, "A+"),
        sharing(
          pictureSpeaker(lang),
          () => this.#mounted?.view.shown,
          () => this.#address(),
          "copied.frame",
        ),
      ),
    );
  }

  /** The address as a link: it brings the reader's own rows along, if they are few. */
  async #address() {
    const { chosen } = this.#collections;
    const rows = chosen?.own && this.#shelf ? await packed(await this.#shelf.rows(chosen.name)) : null;
    return writtenAddress(patched(this.#said, { rows, lang: this.#look.lang }));
  }

  /** @param {Partial<Look>} patch */
  #become(patch) {
    const focused = document.activeElement?.id;
    this.#look = { ...this.#look, ...patch };
    store(this.#look);
    this.#dress();
    if ("lang" in patch) {
      this.#unmount();
      this.#draw();
    }
    this.#write(this.#said, false);
    if (focused) document.getElementById(focused)?.focus();
  }

  /**
   * @param {Said} said
   * @param {boolean} isNew whether the browser's Back leads to what was before
   */
  #write(said, isNew) {
    this.#said = said;
    const look = Object.entries(kept(this.#look)).map(([name, value]) => [name, typeof value === "boolean" ? String(Number(value)) : value]);
    const next = patched(said, { lang: null, theme: null, large: null, ...Object.fromEntries(look) });
    const hash = writtenAddress(next);
    if (hash === window.location.hash) return;
    if (isNew) window.history.pushState(null, "", hash);
    else window.history.replaceState(null, "", hash);
  }

  /** Another address: a link of the list, Back, or one that was pasted. */
  #reread() {
    const before = this.#look;
    this.#said = readAddress(window.location.hash);
    this.#look = preferences(this.#said);
    if (this.#side.classList.contains("open")) this.#openDrawer(false);
    if (before.lang !== this.#look.lang) this.#unmount();
    this.#dress();
    this.#draw();
  }

  /** @param {Patch} patch */
  #go(patch) {
    const next = patched(this.#said, patch);
    const isAnother = (/** @type {string} */ name) => (next.get(name) ?? "") !== (this.#said.get(name) ?? "");
    if (["filter", "sort"].some(isAnother)) next.delete("page");
    const isOther = ["collection", "tab", "doc", "filter", "sort", "show", "page"].some(isAnother);
    this.#write(next, isOther);
    if (isOther) this.#draw();
  }

  /** Read the collections again, and what this key may do. @param {string} [name] */
  async refresh(name) {
    if (name !== undefined) this.#write(patched(elsewhere(this.#said, name), { doc: null }), true);
    const context = this.#context(this.#say);
    this.#looked = this.#said.get("collection") ?? "";
    const access = await context.patiently(() => this.#collections.read(this.#looked));
    if (access === undefined) return;
    // An address may name a collection by its alias; from here on it names the collection itself.
    const behind = this.#collections.chosen?.name;
    if (behind !== undefined && this.#said.get("collection") === this.#looked && behind !== this.#looked) {
      this.#looked = behind;
      this.#write(patched(this.#said, { collection: behind }), false);
    }
    if (access !== this.#access) this.#unmount();
    this.#access = access;
    fill(this.#keyBox);
    this.#draw();
  }

  /**
   * @param {Say} say
   * @returns {Context}
   */
  #context(say) {
    const explorer = this;
    return {
      api: this.#api,
      say,
      language: this.#look.lang,
      origin: new URL(".", window.location.href).href.replace(/\/$/, ""),
      isExported: this.#shelf !== null,
      mostRows: this.#shelf?.mostRows ?? Infinity,
      encoder: async () => {
        if (this.#shelf) await this.#patiently(say, () => this.#api.post("/v1/encode", { texts: [UNREAD] }));
      },
      get collection() {
        return explorer.#collections.chosen;
      },
      get canWrite() {
        return explorer.#canWrite;
      },
      get canJudge() {
        return explorer.#access !== "read";
      },
      get isKeyed() {
        return explorer.#api.key !== "";
      },
      get said() {
        return explorer.#said;
      },
      go: (patch) => this.#go(patch),
      refresh: (name) => this.refresh(name),
      patiently: (call) => this.#patiently(say, call),
    };
  }

  /** The list, the tabs and what is mounted, as the address and the service say. */
  #draw() {
    const { lang } = this.#look;
    const say = this.#say;
    const wanted = this.#said.get("tab") ?? "";
    const may = this.#tabs.filter((tab) => tab.needs === "read" || this.#canWrite);
    const ofService = may.filter((tab) => tab.of === "service");
    let tab = ofService.find(({ id }) => id === wanted) ?? null;
    this.#collections.draw(say, tab ? "" : (this.#said.get("collection") ?? ""), {
      tabs: ofService.map(({ id, words }) => ({ id, name: words[lang].name, isChosen: id === tab?.id })),
      canWrite: this.#canWrite || this.#shelf !== null,
    });
    const { chosen } = this.#collections;
    const ofCollection = may.filter(({ of }) => of !== "service" && (of !== "own" || chosen?.own));
    if (tab) this.#looked = "";
    if (!tab && !chosen) this.#lookFor(this.#said.get("collection") ?? "");
    if (!tab && chosen) tab = ofCollection.find(({ id }) => id === wanted) ?? ofCollection[0] ?? null;
    // A file may come before its collection, and a service without collections begins with one.
    const isFirst = !this.#said.has("collection") && (this.#collections.isEmpty || wanted === "upload");
    // A link may bring rows along, or wait for the file that they are in.
    const isOwn = this.#shelf !== null && (this.#said.has("rows") || (this.#said.has("collection") && this.#collections.isRead && !chosen));
    if ((!tab && isFirst) || isOwn) tab = ofService.find(({ id }) => id === "new") ?? null;
    const name = (tab?.of === "service" ? tab.words[lang].name : chosen?.name) ?? say("collections");
    put(this.#heading, name);
    fill(this.#drawer, h("span", { "aria-hidden": "true" }, "☰"), name);
    this.#drawTabs(tab, chosen ? ofCollection : []);
    this.#show(tab, say);
    this.#showDocument(tab);
  }

  /** A collection that the list has not: it may be on a later page, or new. @param {string} name */
  #lookFor(name) {
    if (!name || this.#looked === name || !this.#collections.isRead) return;
    this.#looked = name;
    void this.refresh();
  }

  /**
   * @param {Tab | null} chosen
   * @param {Tab[]} tabs
   */
  #drawTabs(chosen, tabs) {
    this.#list.hidden = !chosen || chosen.of === "service" || !tabs.length;
    const had = this.#list.contains(document.activeElement);
    fill(
      this.#list,
      tabs.map((tab) =>
        h(
          "button",
          {
            type: "button",
            id: `tab-${tab.id}`,
            role: "tab",
            "aria-selected": String(tab === chosen),
            "aria-controls": "stage",
            tabIndex: tab === chosen ? 0 : -1,
            onclick: () => this.#go({ tab: tab.id }),
            onkeydown: (event) => this.#walk(event, tabs, tabs.indexOf(tab)),
          },
          tab.words[this.#look.lang].name,
        ),
      ),
    );
    if (had && chosen) document.getElementById(`tab-${chosen.id}`)?.focus();
    const isTab = !this.#list.hidden && chosen;
    for (const [name, value] of [
      ["role", isTab ? "tabpanel" : "region"],
      ["aria-labelledby", isTab ? `tab-${chosen.id}` : ""],
      ["aria-label", isTab ? "" : (chosen?.words[this.#look.lang].name ?? this.#say("collections.choose"))],
    ])
      value ? this.#host.setAttribute(name, value) : this.#host.removeAttribute(name);
  }

  /**
   * The arrow keys walk the tabs.
   * @param {KeyboardEvent} event
   * @param {Tab[]} tabs
   * @param {number} at
   */
  #walk(event, tabs, at) {
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.#go({ tab: tabs[(to + tabs.length) % tabs.length].id });
  }

  /**
   * @param {Tab | null} tab
   * @param {Say} say
   */
  #show(tab, say) {
    const { chosen } = this.#collections;
    if (!tab) {
      this.#unmount();
      const name = this.#said.get("collection");
      const missing = name && this.#collections.isRead && !chosen ? say("collections.missing", { name }) : "";
      fill(this.#host, h("p.empty", {}, missing || say(this.#collections.isEmpty ? "collections.none" : "collections.choose")));
      return;
    }
    if (this.#mounted?.tab !== tab) {
      this.#unmount();
      const inside = h(`div.tab.${tab.id}`);
      fill(this.#host, inside);
      this.#mounted = { tab, view: tab.mount(inside, this.#context(speaker(tab.words, this.#look.lang))) };
    }
    this.#mounted.view.update(tab.of === "service" ? null : chosen);
  }

  /** @param {Tab | null} tab */
  #showDocument(tab) {
    const isShown = Boolean(this.#panel && this.#said.has("doc") && this.#collections.chosen && tab?.of !== "service");
    this.#aside.hidden = !isShown;
    if (!isShown || !this.#panel) {
      this.#document?.leave?.();
      this.#document = null;
      fill(this.#aside);
      return;
    }
    this.#document ??= this.#panel.mount(this.#aside, this.#context(speaker(this.#panel.words, this.#look.lang)));
    this.#document.update(this.#collections.chosen);
  }

  #unmount() {
    this.#mounted?.view.leave?.();
    this.#mounted = null;
    this.#document?.leave?.();
    this.#document = null;
    fill(this.#aside);
  }

  /**
   * @template T
   * @param {Say} say
   * @param {Promise<T> | (() => Promise<T>)} call
   * @returns {Promise<T | undefined>}
   */
  async #patiently(say, call) {
    try {
      const answer = await (typeof call === "function" ? call() : call);
      if (!this.#back && !this.#notice.querySelector("#load-encoder:enabled")) fill(this.#notice);
      return answer;
    } catch (failure) {
      if (isAborted(failure)) return undefined;
      if (!(failure instanceof SoftkvError)) throw failure;
      if (failure.status === 401) return void this.#askKey(say, true);
      if (isUnread(failure)) {
        await this.#offered();
        return typeof call === "function" ? this.#patiently(say, call) : undefined;
      }
      if (failure instanceof Unreachable || failure.again) {
        this.#back ??= this.#lost(say, failure);
        if (typeof call !== "function") return undefined;
        await this.#back;
        return this.#patiently(say, call);
      }
      fill(this.#notice, h("p.notice", { id: "refused" }, say("refused", { detail: failure.detail })));
      return undefined;
    }
  }

  /** Offer the encoder of an exported page, and wait until it is loaded. @returns {Promise<void>} */
  #offered() {
    const { page, offer } = /** @type {Page.ExportedShelf} */ (this.#shelf);
    return (this.#encoder ??= new Promise((loaded) => {
      const notice = offer(this.#look.lang, (report) => page.loadEncoder(report), loaded);
      fill(this.#notice, h("p.notice", { id: "unread" }, notice));
      this.#notice.scrollIntoView({ block: "nearest" });
    }));
  }

  /**
   * Say that the service is away or busy, and wait until it answers.
   * @param {Say} say
   * @param {SoftkvError} failure
   */
  async #lost(say, failure) {
    const isAway = failure instanceof Unreachable;
    fill(this.#notice, h("p.notice", { id: isAway ? "away" : "busy" }, isAway ? say("away") : say("busy", { detail: failure.detail })));
    let pause = failure.retryAfter ? failure.retryAfter * AWAY_MS : AWAY_MS;
    for (;;) {
      await sleep(pause);
      pause = Math.min(pause * 2, LONGEST_MS);
      try {
        await this.#api.get("/livez");
        break;
      } catch (again) {
        if (!(again instanceof SoftkvError)) throw again;
      }
    }
    this.#back = null;
    fill(this.#notice, isAway ? h("p.notice.good", { id: "back" }, say("back")) : null);
  }

  /**
   * The key box; it is the one of the page, and stays in this tab of the browser.
   * @param {Say} say
   * @param {boolean} isWanted
   */
  #askKey(say, isWanted) {
    const input = h("input", { type: "password", id: "api-key", autocomplete: "off", value: this.#api.key });
    const close = () => {
      fill(this.#keyBox);
      document.getElementById("key")?.focus();
    };
    const use = (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#api.key = input.value.trim();
      close();
      this.#unmount();
      void this.refresh().then(() => this.#first());
    };
    fill(
      this.#keyBox,
      h(
        "form.notice",
        { onsubmit: use, onkeydown: (event) => void (event.key === "Escape" && close()) },
        h("label", { for: "api-key" }, say(isWanted ? (this.#api.refused ? "key.refused" : "key.wanted") : "key.kept")),
        input,
        h("button", { type: "submit" }, say("key.use")),
        isWanted ? null : h("button", { type: "button", onclick: close }, say("key.close")),
      ),
    );
    input.focus();
  }
}

/**
 * Wait; a network that is back ends it early.
 * @param {number} ms
 * @returns {Promise<void>}
 */
function sleep(ms) {
  return new Promise((done) => {
    const end = () => {
      window.clearTimeout(timer);
      window.removeEventListener("online", end);
      done();
    };
    const timer = window.setTimeout(end, ms);
    window.addEventListener("online", end);
  });
}
