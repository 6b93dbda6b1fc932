/**
 * The teacher's window: what to say now, what comes next, the clock, and buttons that run the lesson and its room.
 *
 * It keeps nothing: it asks the projector's window for news every few seconds, so that either may be loaded anew.
 */

import { fill, h, put } from "../../../../service/softkv_service/web/shared/element.js";
import { clipped, preferred, reader } from "../../../../service/softkv_service/web/shared/words.js";
import { channel } from "./channel.js";
import { clock, endOf, PARTS, STEPS } from "./steps.js";
import words from "./teacher.json";

/** @typedef {import("./channel.js").News} News */
/** @typedef {import("./channel.js").Order} Order */

const ASK_MS = 1500;
/** After so long without news no projector is there. */
const LOST_MS = 4000;
const LONGEST = 80;

const search = new URLSearchParams(window.location.search);
const language = preferred([search.get("lang") ?? "", ...navigator.languages]);
const say = reader(words[language], language);
const stage = /** @type {HTMLElement} */ (document.querySelector("#stage"));

document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
document.title = `${say("title")} · softkv`;

/** @type {?News} */
let news = null;
let heardAt = 0;
const begunAt = Date.now();

const send = channel(search.get("of") ?? "", (message) => {
  if (!message.news) return;
  news = message.news;
  heardAt = Date.now();
  draw();
});
const order = (/** @type {Order} */ what) => send(what);

const time = h("p.clock", { role: "timer" });
const part = h("p.part");
const number = h("p.soft");
const lost = h("p.notice", { role: "status", hidden: true }, say("lost"));
const words1 = h("p.say", { role: "status" });
const next = h("p.next");
const back = h("button", { type: "button", id: "back", onclick: () => order({ press: -1 }) }, say("back"));
const forward = h("button.strong", { type: "button", id: "forward", onclick: () => order({ press: 1 }) }, say("forward"));
const room = h("section.room", { hidden: true });

fill(
  stage,
  h("header.now", {}, time, h("div", {}, h("h1.unseen", {}, say("title")), part, number)),
  lost,
  h("section", {}, h("h2", {}, say("say")), words1),
  room,
  h("section", {}, h("h2", {}, say("next")), next),
  h("p.presses", {}, back, forward),
  h("p.soft.small", {}, say("keys")),
);
document.addEventListener("keydown", (event) => {
  const by = event.key === "PageDown" ? 1 : event.key === "PageUp" ? -1 : 0;
  if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  order({ press: by });
});
send({ ask: true });
window.setInterval(() => {
  send({ ask: true });
  draw();
}, ASK_MS);
window.setInterval(() => news && tick(news), 500);
draw();

/** @param {News} now */
function tick(now) {
  const { text, isLate } = clock(now.begun, STEPS[now.at].part);
  put(time, text);
  time.classList.toggle("late", isLate);
}

function draw() {
  lost.hidden = Date.now() - Math.max(heardAt, begunAt) < LOST_MS;
  back.disabled = forward.disabled = news === null || !lost.hidden;
  if (!news) return;
  tick(news);
  const { part: at, step } = STEPS[news.at];
  put(part, `${PARTS[at].from}–${endOf(at)}  ${PARTS[at][language]}`);
  put(number, say("place", { at: news.at + 1, all: STEPS.length, shows: step.shows[language] }));
  put(words1, step.say[language]);
  const following = STEPS[news.at + 1];
  put(next, following ? following.step.shows[language] : say("end"));
  if (following && following.part !== at) put(next, `${following.step.shows[language]} (${PARTS[following.part].from}–${endOf(following.part)})`);
  back.disabled ||= news.at === 0;
  forward.disabled ||= !following;
  drawRoom(news.room);
}

let drawn = "";

/** Draw the room: rows and questions that wait, and buttons for them. @param {News["room"]} now */
function drawRoom(now) {
  room.hidden = now === null;
  if (JSON.stringify(now) === drawn) return;
  drawn = JSON.stringify(now);
  if (!now) return void fill(room);
  const focused = document.activeElement?.id;
  const { held, waiting, question } = now;
  fill(
    room,
    h("h2", {}, say("room", { code: now.code })),
    h("p", {}, say("room.here", { listeners: now.listeners, rows: now.rows })),
    question
      ? h(
          "p",
          {},
          h("span.query", { dir: "auto" }, clipped(question.query, LONGEST)),
          ` ${say(question.isAnswered ? "room.answered" : "room.guesses", { count: question.guesses })} `,
          question.isAnswered ? null : button("reveal", "reveal", say("room.reveal"), undefined, true),
        )
      : null,
    h(
      "p",
      {},
      h("label.holding", {}, holding(now.holds), ` ${say("room.hold")}`),
      held.length > 1 ? button("release-all", "release", say("room.release.all", { count: held.length })) : null,
    ),
    h(
      "ul.waits",
      { "aria-label": say("room.held") },
      held.map(({ id, key, value, by }) =>
        h(
          "li",
          {},
          h("span", { dir: "auto" }, by ? h("b", {}, `${by}: `) : null, h("span.key", {}, key), value === key ? null : [" → ", h("span.value", {}, value)]),
          h("span.both", {}, button(`release-${id}`, "release", say("room.release"), id), button(`remove-${id}`, "remove", say("room.remove"), id)),
        ),
      ),
    ),
    waiting.length ? h("h2", {}, say("room.questions")) : null,
    h(
      "ul.waits",
      {},
      waiting.map(({ number: id, query }) => h("li", {}, h("span.query", { dir: "auto" }, query), button(`ask-${id}`, "ask", say("room.ask"), query))),
    ),
  );
  if (focused) document.getElementById(focused)?.focus();
}

/**
 * @param {string} id
 * @param {string} act
 * @param {string} text
 * @param {string} [about]
 * @param {boolean} [isStrong]
 */
function button(id, act, text, about, isStrong = false) {
  return h(isStrong ? "button.strong" : "button", { type: "button", id, onclick: () => order({ act, about }) }, text);
}

/** @param {boolean} holds */
function holding(holds) {
  const box = h("input", { type: "checkbox", id: "hold", checked: holds });
  box.addEventListener("change", () => order({ act: "hold", about: box.checked ? "1" : "" }));
  return box;
}
