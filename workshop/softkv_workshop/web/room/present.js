/** The projector's view: the code, the question, the guesses, the answer, and the memory as it grows. */

import { fill, h, put } from "../../../../service/softkv_service/web/shared/element.js";
import { count } from "../../../../service/softkv_service/web/shared/numbers.js";
import { clipped } from "../../../../service/softkv_service/web/shared/words.js";
import { say } from "./words.js";
import { fly } from "./flying.js";
import { isAnswered } from "./model.js";
import { reveal } from "./reveal.js";
import { list, rowWords } from "./rows.js";

const SVG = "http://www.w3.org/2000/svg";
const LONGEST = 60;
const COMMAND = "softkv serve --host 0.0.0.0 --allow-anonymous read";
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/**
 * @param {object} how
 * @param {{code: string, joining: Page.Joining, query?: string}} how.opened
 * @param {object} how.acts
 * @param {(query: string) => Promise<boolean>} how.acts.ask
 * @param {(question: number) => Promise<boolean>} how.acts.reveal
 * @param {(question: number, temperature: number) => Promise<boolean>} how.acts.heat shows the answer at a temperature
 * @param {(question: number, row: string) => Promise<?import("./why.js").Words>} how.acts.words
 * @param {(body: object) => Promise<?Page.Schemas["CompareAnswer"]>} how.acts.compare
 * @param {(row: string) => Promise<boolean>} how.acts.remove
 * @param {(holds: boolean) => Promise<boolean>} how.acts.hold
 * @param {(rows: string[]) => Promise<boolean>} how.acts.release shows held rows to all
 * @param {() => Promise<boolean>} how.acts.close
 */
export function present({ opened: { code, joining, query: before = "" }, acts }) {
  const query = h("input", { type: "text", id: "query", autocomplete: "off", maxLength: 480, value: before });
  const asking = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!query.value.trim()) return;
    acts.ask(query.value.trim());
    query.value = "";
    query.blur(); // a clicker's keys are the field's while it has the focus
  };
  const listeners = h("p.listeners.soft", {});
  const waiting = h("ul.chips", {});
  const waited = h("section.waiting", { hidden: true }, h("h2", {}, say("present.waiting")), waiting);
  const stage = h("section.shown", { id: "shown", "aria-live": "polite" });
  const side = h("div.side", {});
  const memory = h("ul.memory", { tabIndex: 0, "aria-labelledby": "memory" });
  const remembered = h("h2", { id: "memory" });
  const letters = h("p.letters.number", { id: "letters" }, code);
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
  const drawWaiting = list(waiting, (/** @type {{id: string, text: string}} */ { text }) =>
    h("li", {}, h("button", { type: "button", onclick: () => acts.ask(text) }, clipped(text, LONGEST))),
  );
  const holds = h("input", { type: "checkbox", id: "hold", onchange: () => acts.hold(holds.checked) });
  const all = h("button", { type: "button", id: "release-all", onclick: () => acts.release(heldIds) }, say("present.release.all"));
  /** @type {string[]} */
  let heldIds = [];
  const held = h("ul.held", {});
  const heldCount = h("summary", {});
  // Closed until the presenter looks: the class sees the projector.
  const holding = h("details.holding", { hidden: true }, heldCount, all, held);
  const drawHeld = list(held, (/** @type {{id: string, row: ?Page.RoomRow, query: string}} */ { row, query }) =>
    h(
      "li",
      {},
      h("span", { dir: "auto" }, row ? rowWords(row) : h("span.query", {}, query)),
      row
        ? h(
            "span.both",
            {},
            h("button", { type: "button", onclick: () => acts.release([row.id]) }, say("present.release")),
            h(
              "button.plain.remove",
              { type: "button", "aria-label": `${say("present.remove")}: ${clipped(row.key, LONGEST)}`, onclick: () => acts.remove(row.id) },
              "×",
            ),
          )
        : h("button", { type: "button", onclick: () => acts.ask(query) }, say("present.ask")),
    ),
  );
  const drawRows = list(memory, (/** @type {Page.RoomRow} */ { id, key, value, by }) =>
    h(
      "li",
      { id: `row-${id}` },
      h("span", {}, rowWords({ key, value, by })),
      h(
        "button.plain.remove",
        { type: "button", title: say("present.remove"), "aria-label": `${say("present.remove")}: ${clipped(key, LONGEST)}`, onclick: () => acts.remove(id) },
        "×",
      ),
    ),
  );
  let told = "";
  /** @type {?ReturnType<typeof reveal>} */
  let answered = null;
  /** @type {Set<string>} ids of the rows that were here before */
  let known = new Set();

  /**
   * @param {Page.Room} room
   * @param {string} name of the event that changed it
   */
  function show(room, name) {
    put(listeners, say("present.here", { count: count(Math.max(0, room.listeners - 1)) }));
    holds.checked = room.hold;
    const unseen = room.hold ? room.waiting : [];
    holding.hidden = !room.held.length && !unseen.length;
    heldIds = room.held.map(({ id }) => id);
    all.hidden = heldIds.length < 2;
    put(heldCount, say("present.held", { count: room.held.length + unseen.length }));
    drawHeld([
      ...room.held.map((row) => ({ id: row.id, row, query: "" })),
      ...unseen.map(({ number, query: text }) => ({ id: `question ${number}`, row: null, query: text })),
    ]);
    const seen = room.hold ? [] : room.waiting;
    waited.hidden = !seen.length;
    drawWaiting(seen.map(({ number, query: text }) => ({ id: String(number), text })));
    put(remembered, say("present.memory", { count: count(room.rows.size) }));
    const { question } = room;
    element.dataset.shows = question ? (isAnswered(question) ? "answer" : "question") : "rows";
    // While rows come in, each has a place that it keeps; beside a question, the newest is first.
    drawRows(question ? [...room.rows.values()].reverse() : [...room.rows.values()]);
    arrive(room, name);
    const state = JSON.stringify([question?.number, isAnswered(question)]);
    if (state !== told) {
      answered?.stop();
      answered = isAnswered(question) ? reveal({ question, rows: room.rows, acts }) : null;
      fill(
        stage,
        answered ? answered.element : question ? asked(question) : [h("h1.unseen", {}, say("join.here", { code })), h("p.soft", {}, say("present.first"))],
      );
      stage.setAttribute("aria-live", answered ? "off" : "polite"); // the picture's numbers change with each step of the knob
      fill(side, answered ? answered.aside : null);
    } else if (isAnswered(question)) answered?.show(question);
    told = state;
    const guessed = stage.querySelector(".guesses");
    if (guessed && question) put(guessed, say("present.guesses", { count: count(question.guesses) }));
  }

  /**
   * The name of a row that was sent flies from the code to its place.
   * @param {Page.Room} room
   * @param {string} name
   */
  function arrive({ rows }, name) {
    for (const [id, { key }] of name === "row" ? rows : []) {
      const item = known.has(id) ? null : document.getElementById(`row-${id}`);
      if (item) fly(letters, item, clipped(key, LONGEST));
    }
    known = new Set(rows.keys());
  }

  /** @param {Page.RoomQuestion} question */
  function asked(question) {
    const button = h(
      "button.strong",
      {
        type: "button",
        id: "reveal",
        onclick: () => {
          button.disabled = true;
          acts.reveal(question.number).then((done) => (button.disabled = done));
        },
      },
      say("present.reveal"),
    );
    return [h("h1.query", { dir: "auto" }, question.query), h("p.large", {}, say("present.guess")), h("p.guesses.large.weight", {}), button];
  }

  const address = h("span.number.address", {}, joining.address.replace(/^https?:\/\//, "").replace(/\?.*/, ""));

  const element = h(
    "div.present",
    {},
    h(
      "aside.way-in",
      {},
      qr(joining),
      h("div.how-in", {}, h("p", {}, `${say("present.address")} `, address), h("p", {}, say("present.code")), letters, listeners, close),
    ),
    h(
      "div.asking",
      {},
      h(
        "form.ask-class",
        { onsubmit: asking },
        h("div.grow", {}, h("label", { for: "query" }, say("present.query")), query),
        h("button.strong", { type: "submit", id: "ask" }, say("present.ask")),
      ),
      waited,
      h("div.holds", {}, h("label", {}, holds, ` ${say("present.hold")}`), holding),
      LOOPBACK.test(new URL(joining.address).hostname) ? alone() : null,
    ),
    stage,
    h("div.column", {}, side, h("section.remembered", {}, remembered, memory)),
  );
  return { element, show };
}

/** The command that lets phones in, for a service that only its own machine can reach. */
function alone() {
  const copying = h("button", { type: "button", onclick: copy }, say("present.copy"));
  async function copy() {
    try {
      await navigator.clipboard.writeText(COMMAND);
      copying.textContent = say("present.copied");
    } catch (failure) {
      if (!(failure instanceof DOMException || failure instanceof TypeError)) throw failure; // no right to the clipboard: it is copied by hand
    }
  }
  return h("details.alone", { id: "alone" }, h("summary", {}, say("present.alone")), h("p", {}, say("present.alone.how")), h("code", {}, COMMAND), copying);
}

/** A QR code as an SVG that is drawn, never read as text. @param {Page.Joining} joining */
function qr({ address, size, path }) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({
    viewBox: `0 0 ${size} ${size}`,
    role: "img",
    "aria-label": address,
    class: "qr",
    "shape-rendering": "crispEdges",
  }))
    svg.setAttribute(name, value);
  const white = document.createElementNS(SVG, "rect");
  for (const [name, value] of Object.entries({ width: size, height: size, fill: "#fff" })) white.setAttribute(name, String(value));
  const dark = document.createElementNS(SVG, "path");
  for (const [name, value] of Object.entries({ d: path, fill: "#000" })) dark.setAttribute(name, value);
  svg.append(white, dark);
  return svg;
}
