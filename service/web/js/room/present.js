/** What the projector shows: how to come in, the question, the guesses, the answer, and the memory as it grows. */

import { fill, h, put } from "../element.js";
import { count } from "../numbers.js";
import { clipped, say } from "../words.js";
import { bars, wonWords } from "./answer.js";
import { guessesOf, winner } from "./model.js";
import { list, rowWords } from "./rows.js";

const SVG = "http://www.w3.org/2000/svg";
const MOST_BARS = 6;
const TEMPERATURES = ["", "0", "0.2", "1"];
const LONGEST = 60;
const LOOPBACK = /^https?:\/\/(localhost|127\.|\[::1\])/;

/**
 * @param {object} how
 * @param {{code: string, joining: object}} how.opened
 * @param {{ask: function(string, ?number), reveal: function(number), remove: function(string), close: function()}} how.acts
 */
export function present({ opened: { code, joining }, acts }) {
  const query = h("input", { type: "text", id: "query", autocomplete: "off", maxLength: 480 });
  const temperature = h("select", { id: "room-temperature" }, TEMPERATURES.map((t) => h("option", { value: t }, t || say("present.own"))));
  const asking = (event) => {
    event.preventDefault();
    if (!query.value.trim()) return;
    acts.ask(query.value.trim(), temperature.value === "" ? null : Number(temperature.value));
    query.value = "";
  };
  const listeners = h("p.listeners.soft", {});
  const waiting = h("ul.chips", {});
  const waited = h("section.waiting", { hidden: true }, h("h2", {}, say("present.waiting")), waiting);
  const stage = h("section.shown", { id: "shown", "aria-live": "polite" });
  const memory = h("ul.memory", { tabIndex: 0, "aria-labelledby": "memory" });
  const remembered = h("h2", { id: "memory" });
  const close = h("button.plain", { type: "button", id: "close" }, say("present.close"));
  close.addEventListener("click", () => {
    if (close.dataset.sure) return acts.close();
    close.dataset.sure = "1";
    close.textContent = say("present.closing");
    setTimeout(() => {
      delete close.dataset.sure;
      close.textContent = say("present.close");
    }, 4000);
  });
  const drawWaiting = list(waiting, ({ text }) => h("li", {}, h("button", { type: "button", onclick: () => acts.ask(text, temperature.value === "" ? null : Number(temperature.value)) }, clipped(text, LONGEST))));
  const drawRows = list(memory, ({ id, key, value }) => h("li", {}, h("span", {}, rowWords({ key, value })), h("button.plain.remove", { type: "button", title: say("present.remove"), "aria-label": `${say("present.remove")}: ${clipped(key, LONGEST)}`, onclick: () => acts.remove(id) }, "×")));
  let told = null;

  function show(room) {
    put(listeners, say("present.here", { count: count(Math.max(0, room.listeners - 1)) }));
    waited.hidden = !room.waiting.length;
    drawWaiting(room.waiting.map(({ number, query: text }) => ({ id: String(number), text })));
    put(remembered, say("present.memory", { count: count(room.rows.size) }));
    drawRows([...room.rows.values()].reverse());
    const { question } = room;
    const state = JSON.stringify([question?.number, Boolean(question?.answer)]);
    if (state !== told) fill(stage, question ? asked(room) : h("p.soft", {}, say("present.first")));
    told = state;
    const guessed = stage.querySelector(".guesses");
    if (guessed) put(guessed, say("present.guesses", { count: count(question.guesses) }));
  }

  function asked(room) {
    const { question } = room;
    const title = h("h1.query", { dir: "auto" }, question.query);
    if (!question.answer) {
      const reveal = h("button.strong", { type: "button", id: "reveal", onclick: () => {
        reveal.disabled = true;
        acts.reveal(question.number).then((done) => (reveal.disabled = done));
      } }, say("present.reveal"));
      return [title, h("p.large", {}, say("present.guess")), h("p.guesses.large.weight", {}), reveal];
    }
    const first = winner(question.answer);
    return [title, h("p.won-words.large", {}, wonWords(room), first === null ? null : ` ${say("present.won")}`),
      h("p.soft", { id: "right" }, say("present.right", { right: count(guessesOf(question.answer, first)), count: count(question.guesses) })),
      bars(room, MOST_BARS)];
  }

  const element = h("div.present", {},
    h("aside.way-in", {}, qr(joining), h("p", {}, `${say("present.address")} `, h("span.number.address", {}, joining.address.replace(/^https?:\/\//, "").replace(/\?.*/, ""))), h("p", {}, say("present.code")), h("p.letters.number", { id: "letters" }, code), listeners,
      LOOPBACK.test(joining.address) ? h("p.soft.small", { id: "alone" }, say("present.alone")) : null, close),
    h("div.middle", {},
      h("form.ask-class", { onsubmit: asking }, h("div.grow", {}, h("label", { for: "query" }, say("present.query")), query), h("div", {}, h("label", { for: "room-temperature" }, say("present.temperature")), temperature), h("button.strong", { type: "submit", id: "ask" }, say("present.ask"))),
      waited, stage),
    h("section.remembered", {}, remembered, memory));
  return { element, show };
}

/** A QR code as an SVG that is drawn, never read as text. */
function qr({ address, size, path }) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({ viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": address, class: "qr", "shape-rendering": "crispEdges" })) svg.setAttribute(name, value);
  const white = document.createElementNS(SVG, "rect");
  for (const [name, value] of Object.entries({ width: size, height: size, fill: "#fff" })) white.setAttribute(name, value);
  const dark = document.createElementNS(SVG, "path");
  for (const [name, value] of Object.entries({ d: path, fill: "#000" })) dark.setAttribute(name, value);
  svg.append(white, dark);
  return svg;
}
