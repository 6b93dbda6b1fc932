/** The phone's view: the question and its guess first, then a row and a question of one's own, then the memory. */

import { fill, h, put } from "../shared/element.js";
import { count, percent } from "../shared/numbers.js";
import { clipped } from "../shared/words.js";
import { say } from "./words.js";
import { bars, wonWords } from "./answer.js";
import { answerAt } from "./live.js";
import { isAnswered, weightOf, winner } from "./model.js";
import { list, rowWords } from "./rows.js";
import { why } from "./why.js";

const MOST_BARS = 4;
const LONGEST = 80;
const NONE = "none of these";

/** @typedef {import("./live.js").Answer} Answer */

/**
 * @param {object} how
 * @param {string} how.code
 * @param {() => Set<string>} how.own ids of this phone's rows
 * @param {{put: (key: string, value: string) => Promise<boolean>, propose: (query: string) => Promise<boolean>, guess: (question: number, row: string | null) => Promise<boolean>, words: (question: number, row: string) => Promise<?import("./why.js").Words>}} how.acts each answers whether it was done; `words` what the service says
 */
export function join({ code, own, acts }) {
  const title = h("h1.query", { dir: "auto" });
  const say1 = h("p.soft", { id: "told", role: "status" });
  const choices = h("ul.choices", {});
  const answered = h("div.answered-of", {});
  const because = why(async (row) => (question === null ? null : acts.words(question, row)));
  const memory = h("ul.memory", { tabIndex: 0, "aria-labelledby": "memory" });
  const remembered = h("summary", { id: "memory" });
  /** @type {?number} */
  let question = null;
  /** The row that was guessed; null: none of these; undefined: nothing yet. @type {string | null | undefined} */
  let guess;
  /** @type {?Page.Room} */
  let room = null;

  const drawChoices = list(choices, (/** @type {{id: string, row: ?Page.RoomRow, chosen: boolean}} */ { id, row, chosen }) =>
    h(
      "li",
      {},
      h(
        "button.choice",
        { type: "button", "aria-pressed": String(chosen), onclick: () => choose(id === NONE ? null : id) },
        row ? h("span", {}, rowWords(row)) : say("answer.none"),
      ),
    ),
  );
  const drawRows = list(memory, (/** @type {Page.RoomRow & {mine: boolean}} */ { key, value, mine }) =>
    h("li", {}, h("span", {}, rowWords({ key, value }), mine ? h("span.yours", {}, ` ${say("join.yours")}`) : null)),
  );

  /** @param {?string} id */
  async function choose(id) {
    if (!room || question === null) return;
    const before = guess;
    guess = id;
    show(room);
    /** @type {?HTMLElement} */ (choices.querySelector('[aria-pressed="true"]'))?.focus();
    if (!(await acts.guess(question, id))) {
      guess = before;
      show(room);
    }
  }

  /** @param {Page.Room} now */
  function show(now) {
    room = now;
    const mine = own();
    if ((now.question?.number ?? null) !== question) {
      question = now.question?.number ?? null;
      guess = undefined;
    }
    put(title, now.question?.query ?? say("join.here", { code }));
    put(say1, told(now));
    const open = now.question && !isAnswered(now.question);
    drawChoices(
      open
        ? [
            ...[...now.rows.values()].map((row) => ({ id: row.id, row, chosen: guess === row.id })),
            ...(now.rows.size ? [{ id: NONE, row: null, chosen: guess === null }] : []),
          ]
        : [],
    );
    const revealed = isAnswered(now.question) ? now.question : null;
    const answer = revealed && answerAt(revealed);
    fill(
      answered,
      revealed && answer
        ? [
            h("p.large.won-words", {}, wonWords(answer, now.rows)),
            h("p", { id: "mine" }, outcome(now, answer, mine)),
            ...bars({ rows: now.rows, question: revealed }, MOST_BARS, mine),
          ]
        : [],
    );
    because.show(answer ? asked(now, answer, mine) : []);
    put(remembered, say("join.memory", { count: count(now.rows.size) }));
    drawRows([...now.rows.values()].reverse().map((row) => ({ ...row, mine: mine.has(row.id) })));
  }

  /** @param {Page.Room} now */
  function told(now) {
    if (!now.question) return say("join.wait");
    if (now.question.answer) return "";
    if (!now.rows.size) return say("join.empty");
    return say(guess === undefined ? "join.guess" : "join.guessed");
  }

  /** The rows that a phone asks "why?" about: the heaviest, and its own. @param {Page.Room} now @param {Answer} answer @param {Set<string>} mine */
  function asked(now, { matches }, mine) {
    return matches.filter(({ id }, i) => i === 0 || mine.has(id)).map(({ id }) => ({ id, key: now.rows.get(id)?.key ?? "…" }));
  }

  /** The result of the learner's guess and rows. @param {Page.Room} now @param {Answer} answer @param {Set<string>} mine */
  function outcome(now, answer, mine) {
    const first = winner(answer);
    const said = [];
    if (guess !== undefined && guess === first) said.push(say("join.right"));
    else if (guess === null) said.push(say("join.wrong.none", { weight: percent(weightOf(answer, null)) }));
    else if (guess !== undefined)
      said.push(say("join.wrong", { key: clipped(now.rows.get(guess)?.key ?? "…", LONGEST), weight: percent(weightOf(answer, guess)) }));
    const best = answer.matches.find(({ id }) => mine.has(id));
    if (best)
      said.push(
        best.id === first
          ? say("join.yours.won")
          : say("join.yours.got", { key: clipped(now.rows.get(best.id)?.key ?? "…", LONGEST), weight: percent(best.weight) }),
      );
    return said.join(" ");
  }

  const element = h(
    "div.joined",
    {},
    h("section.shown", {}, title, say1, choices, answered, because.button, because.element),
    h(
      "section.sends",
      {},
      h("h2", {}, say("join.row")),
      form(
        "row",
        [
          ["row-key", "join.key"],
          ["row-value", "join.value"],
        ],
        "join.send",
        "join.sent",
        ([key, value]) => acts.put(key, value || key),
      ),
    ),
    h(
      "section.sends",
      {},
      h("h2", {}, say("join.ask")),
      form("question", [["own-query", "join.query"]], "join.ask.send", "join.asked", ([query]) => acts.propose(query)),
    ),
    h("details.all-rows", { open: true }, remembered, memory),
  );
  return { element, show };
}

/**
 * Fields and a button; what was sent is cleared, what was refused stays.
 *
 * @param {string} name
 * @param {[id: string, label: string][]} fields
 * @param {string} send
 * @param {string} sent
 * @param {(words: string[]) => Promise<boolean>} act
 */
function form(name, fields, send, sent, act) {
  const inputs = fields.map(([id]) => h("input", { type: "text", id, autocomplete: "off", maxLength: 480 }));
  const done = h("span.soft.small", { role: "status" });
  const button = h("button.strong", { type: "submit", id: `send-${name}` }, say(send));
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const words = inputs.map((input) => input.value.trim());
    if (!words[0]) return inputs[0].focus();
    button.disabled = true;
    const took = await act(words);
    button.disabled = false;
    put(done, took ? say(sent) : "");
    if (!took) return;
    for (const input of inputs) input.value = "";
    inputs[0].focus();
  };
  return h(
    "form.sending",
    { onsubmit: submit },
    fields.map(([id, label], i) => h("div", {}, h(`label.${name === "question" ? "query" : i ? "value" : "key"}`, { for: id }, say(label)), inputs[i])),
    h("p", {}, button, " ", done, name === "row" ? h("span.soft.small", {}, ` ${say("join.english")}`) : null),
  );
}
