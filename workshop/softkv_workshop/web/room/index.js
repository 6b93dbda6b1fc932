/** A room is a document of its own: this file chooses the door, the projector's view or the phone's.
 *
 * It chooses by the address and by what the tab keeps. The projector's view is `present.js`, the phone's `join.js`.
 * `listening.js` hears the room's events; `model.js` says what each event changes; `live.js` has the answer at any
 * temperature. The projector's picture is that of the story, in `reveal.js`; `why.js` says why a row won.
 */

import { API, SoftkvError, storageOf } from "../../../../service/softkv_service/web/shared/api.js";
import { asset } from "../../../../service/softkv_service/web/shared/assets.js";
import { fill, h } from "../../../../service/softkv_service/web/shared/element.js";
import { isForeign } from "../../../../service/softkv_service/web/shared/foreign.js";
import { runScript } from "../../../../service/softkv_service/web/shared/script.js";
import { bar } from "./bar.js";
import { door } from "./door.js";
import { join } from "./join.js";
import { fresh, Kept } from "./kept.js";
import { listen } from "./listening.js";
import { after, isAnswered, unknown } from "./model.js";
import { notice } from "./notice.js";
import { present } from "./present.js";
import { language, say } from "./words.js";

const AGAIN_MS = 1000;
const asked = new URLSearchParams(window.location.search);
const storage = storageOf(window);
const api = new API((path, options) => fetch(`.${path}`, options), storage);
const kept = new Kept(storage);
const stage = /** @type {HTMLElement} */ (document.querySelector("#stage"));
let listening = new AbortController();
/** The notice for when the room is there again. @type {?Parameters<typeof told.tell>} */
let news = null;

document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
document.documentElement.dataset.projector = asked.get("projector") === "1" ? "on" : "off";
document.title = `${say("room.title")} · softkv`;
const told = notice(api, begin);
/** The room that this tab presents, as it is now, and what its presenter can do there. @type {?{room: Page.Room, acts: Record<string, (about?: string) => unknown>}} */
let presenting = null;
/** @type {?InstanceType<NonNullable<typeof window.softkvLesson>["Lesson"]>} */
let lesson = null;
begin();
if (asked.has("lesson")) void teach();

function begin() {
  listening.abort();
  listening = new AbortController();
  presenting = null;
  const presented = kept.presented;
  if (asked.has("lesson") && !asked.has("code") && presented) asked.set("code", presented.code); // back from the story
  const code = (asked.get("code") ?? "").toUpperCase();
  const isPresenter = presented !== null && presented.code === code;
  fill(/** @type {HTMLElement} */ (document.querySelector("#bar")), bar(address, language, asked, isPresenter || (asked.has("lesson") && !code)));
  if (isPresenter) presents(presented);
  else if (/^[A-Z]{4}$/.test(code)) joins(code);
  else doors("", "");
}

/**
 * The door, and why a code led to it.
 * @param {string} code
 * @param {string} problem
 */
function doors(code, problem) {
  listening.abort();
  fill(stage, told.element, door({ code, problem, isTaught: asked.has("lesson"), join: enter, open: () => opens({ hold: asked.has("lesson") }) }));
  if (problem) /** @type {HTMLInputElement} */ (stage.querySelector("#code")).select();
}

/** In a lesson the clicker opens the room, then shows an answer that is waited for, and else leads back to the story (`lesson/clicker.js`). */
async function teach() {
  document.head.append(h("link", { rel: "stylesheet", href: asset("css/clicker.css") }));
  await runScript("built/clicker.js");
  if (!window.softkvLesson) return;
  lesson = new window.softkvLesson.Lesson(language, {
    press(by) {
      if (by < 0) return false;
      const button = /** @type {?HTMLButtonElement} */ (stage.querySelector(presenting ? "#reveal" : "#open"));
      if (!button || button.disabled) return false;
      button.click();
      return true;
    },
    news() {
      if (!presenting) return null;
      const { code, rows, held, hold, waiting, listeners, question } = presenting.room;
      const guessed = question && { query: question.query, guesses: question.guesses, isAnswered: isAnswered(question) };
      return { code, held, waiting, holds: hold, rows: rows.size, listeners: Math.max(0, listeners - 1), question: guessed };
    },
    act: (act, about) => presenting?.acts[act]?.(about),
  });
}

/** The address of this page with other words. @param {Record<string, ?string>} changed */
function address(changed) {
  const next = new URLSearchParams(asked);
  for (const [name, value] of Object.entries(changed)) value ? next.set(name, value) : next.delete(name);
  return `room${next.size ? `?${next}` : ""}`;
}

/** @param {string} code */
function enter(code) {
  window.history.pushState(null, "", address({ code }));
  asked.set("code", code);
  told.clear();
  begin();
}

/** Do what the service may refuse → whether it was done. @param {() => Promise<unknown>} act */
async function doing(act) {
  return (await answering(() => act().then(() => true))) !== null;
}

/**
 * The service's answer; null if it refused, which the notice reports.
 * @template T
 * @param {() => Promise<T>} act
 * @returns {Promise<?T>}
 */
async function answering(act) {
  try {
    return await act();
  } catch (failure) {
    told.refused(failure);
    return null;
  }
}

/** @param {{rows?: Page.RoomRow[], hold?: boolean}} wanted */
function opens(wanted) {
  return doing(async () => {
    /** @type {Page.Schemas["OpenedRoom"]} */
    const opened = await api.post("/v1/rooms", wanted);
    kept.presented = { code: opened.code, secret: opened.secret, joining: opened.joining, rows: wanted.rows ?? [] };
    enter(opened.code);
  });
}

/**
 * The room, drawn as it changes. It is shown after the service's first event, so that a wrong code shows nothing.
 *
 * @param {string} code
 * @param {{element: HTMLElement, show: (room: Page.Room, name: string) => void}} view
 * @param {{changed?: (room: Page.Room, name: string) => void, missing: (isOver: boolean) => void, headers?: Record<string, string>}} how `missing`: there is no room
 */
function follows(code, view, { changed = () => {}, missing, headers }) {
  let room = unknown(code);
  fill(stage, told.element);
  listen(api, `/v1/rooms/${code}/events`, {
    signal: listening.signal,
    headers,
    heard(event) {
      const { name } = event;
      if (name === "over" || name === "problem") return;
      room = after(room, /** @type {Page.RoomEvent} */ (event));
      if (name === "room") arrived();
      changed(room, name);
      view.show(room, name);
    },
    lost(failure) {
      view.element.classList.add("lost");
      if (failure.status === 404) missing(failure.code === "room_over");
      else told.refused(failure);
    },
  });

  function arrived() {
    if (!view.element.isConnected) stage.append(view.element);
    view.element.classList.remove("lost");
    if (news) told.tell(...news);
    else told.clear();
    news = null;
  }
}

/** @param {import("./kept.js").Presented} before */
function presents(before) {
  const { code } = before;
  const path = `/v1/rooms/${code}`;
  const secret = { "X-Room-Secret": before.secret };
  const changes = (/** @type {Page.Schemas["RoomChange"]} */ change) => doing(() => api.send("PATCH", path, change, secret));
  const acts = {
    hold: (/** @type {boolean} */ hold) => changes({ hold }),
    release: (/** @type {string[]} */ released) => changes({ released }),
    remove: (/** @type {string} */ id) => doing(() => api.send("DELETE", `${path}/rows/${id}`, undefined, secret)),
    ask: (/** @type {string} */ query) =>
      doing(async () => {
        await api.send("POST", `${path}/questions`, { query }, secret);
        (await isForeign(api, query)) ? told.tell("notice.english") : told.clear();
      }),
    reveal: (/** @type {number} */ number) => changes({ question: { number, revealed: true } }),
  };
  const view = present({
    opened: before,
    acts: {
      ...acts,
      heat: (number, temperature) => changes({ question: { number, shown_temperature: temperature } }),
      words: (question, row) => answering(() => api.post(`${path}/words`, { question, row })),
      compare: (body) => answering(() => api.post("/v1/compare", body)),
      close: () =>
        doing(async () => {
          listening.abort();
          await api.send("DELETE", path, undefined, secret);
          kept.presented = null;
          enter("");
        }),
    },
  });

  follows(code, view, {
    headers: secret,
    changed(room, name) {
      presenting = {
        room,
        acts: {
          hold: (about) => acts.hold(Boolean(about)),
          release: (about) => acts.release(about === undefined ? room.held.map(({ id }) => id) : [about]),
          remove: (about = "") => acts.remove(about),
          ask: (about = "") => acts.ask(about),
          reveal: () => room.question && acts.reveal(room.question.number),
        },
      };
      lesson?.told();
      if (["room", "row", "removed", "question"].includes(name)) kept.presented = { ...before, rows: [...room.rows.values()], query: room.question?.query };
    },
    /** The service was started again: the tab's own record opens the room once more. A room that has ended stays closed. */
    missing(isOver) {
      listening.abort();
      if (isOver) told.tell("notice.ended", {}, h("button", { type: "button", id: "again", onclick: again }, say("notice.again")));
      else again();
    },
  });
}

/** Open the room that this tab presented once more, with its rows and under its code where that is free. */
async function again() {
  if (!kept.presented) return;
  const { code, rows, query } = kept.presented;
  try {
    /** @type {Page.Schemas["OpenedRoom"]} */
    const { secret, joining } = await api.post("/v1/rooms", { code, rows, hold: asked.has("lesson") });
    kept.presented = { code, secret, joining, rows, query };
    news = ["notice.back", { rows: String(rows.length) }];
    begin();
  } catch (failure) {
    if (failure instanceof SoftkvError && failure.status === 409)
      told.tell("notice.taken", { code }, h("button", { type: "button", id: "another", onclick: () => opens({ rows }) }, say("notice.another")));
    else {
      told.refused(failure);
      setTimeout(begin, AGAIN_MS);
    }
  }
}

/** @param {string} code */
function joins(code) {
  const path = `/v1/rooms/${code}`;
  const view = join({
    code,
    own: () => kept.own(code),
    guessed: (question) => kept.guessed(code, question),
    name: kept.name,
    acts: {
      put: (key, value, by) =>
        answering(async () => {
          const id = fresh();
          kept.add(code, id);
          kept.name = by;
          return api.send("PUT", `${path}/rows/${id}`, { key, value, ...(by ? { by } : {}) }, { "X-Room-Secret": kept.secret });
        }),
      propose: (query) => doing(() => api.post(`${path}/questions`, { query })),
      guess: (question, row) =>
        doing(async () => {
          await api.send("PUT", `${path}/guesses/${kept.who}`, { question, row });
          kept.guess(code, question, row);
        }),
      words: (question, row) => answering(() => api.post(`${path}/words`, { question, row })),
    },
  });
  follows(code, view, {
    changed: () => kept.join(code),
    missing(isOver) {
      if (kept.joined(code)) told.tell(isOver ? "notice.over" : "notice.forgotten", { code });
      else doors(code, say(isOver ? "door.over" : "door.missing", { code }));
    },
  });
}
