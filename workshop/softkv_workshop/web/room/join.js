/** The phone's view: the question and its guess first, then a row and a question of one's own, then the memory. */

import { fill, h, put } from "../../../../service/softkv_service/web/shared/element.js";
import { count, percent } from "../../../../service/softkv_service/web/shared/numbers.js";
import { clipped } from "../../../../service/softkv_service/web/shared/words.js";
import { say } from "./words.js";
import { bars, wonWords } from "./answer.js";
import { answerAt } from "./live.js";
import { isAnswered, isTie, leaders, weightOf } from "./model.js";
import { list, rowWords } from "./rows.js";
import { why } from "./why.js";

const MOST_BARS = 4;
/** The number of rows that are offered at a time, if there are more; a field finds the others. */
const FEW = 8;
const LONGEST_NAME = 24;
const LONGEST = 80;
const NONE = "none of these";
/** The place of the sender's name among the fields of a row. */
const BY = 2;

/** @typedef {import("./live.js").Answer} Answer */

/**
 * @param {object} how
 * @param {string} how.code
 * @param {() => Set<string>} how.own ids of this phone's rows
 * @param {(question: number) => string | null | undefined} how.guessed what this phone guessed before it was loaded again
 * @param {string} how.name what this phone's rows are signed with; "" for nothing
 * @param {{put: (key: string, value: string, by: string) => Promise<?Page.RoomRow>, propose: (query: string) => Promise<boolean>, guess: (question: number, row: string | null) => Promise<boolean>, words: (question: number, row: string) => Promise<?import("./why.js").Words>}} how.acts each answers whether it was done, `put` the row; `words` what the service says
 */
export function join({ code, own, guessed, name, acts }) {
  const title = h("h1.query", { dir: "auto" });
  const say1 = h("p.soft", { id: "told", role: "status" });
  const choices = h("ul.choices", {});
  const answered = h("div.answered-of", {});
  const because = why(async (row) => (question === null ? null : acts.words(question, row)));
  const memory = h("ul.memory", { tabIndex: 0, "aria-labelledby": "memory" });
  const remembered = h("summary", { id: "memory" });
  const find = h("input", {
    type: "text",
    id: "find",
    autocomplete: "off",
    "aria-label": say("join.find"),
    placeholder: say("join.find"),
    oninput: () => room && show(room),
  });
  const others = h("button", {
    type: "button",
    id: "others",
    onclick: () => {
      from += FEW;
      find.value = "";
      if (room) show(room);
    },
  });
  const finding = h("div.finding", { hidden: true }, find, others);
  /** The first of the rows that are offered; another one on each phone, so that the class looks at all. */
  let from = 0;
  /** @type {?number} */
  let question = null;
  /** The row that was guessed; null: none of these; undefined: nothing yet. @type {string | null | undefined} */
  let guess;
  /** @type {?Page.Room} */
  let room = null;
  /** The row that was sent last, while the presenter looks at it. */
  let waits = "";

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
  const drawRows = list(memory, (/** @type {Page.RoomRow & {mine: boolean}} */ { key, value, by, mine }) =>
    h("li", {}, h("span", {}, rowWords({ key, value, by }), mine ? h("span.yours", {}, ` ${say("join.yours")}`) : null)),
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
    if (now.rows.has(waits)) put(/** @type {HTMLElement} */ (element.querySelector("#send-row + [role=status]")), say("join.sent"));
    if ((now.question?.number ?? null) !== question) {
      question = now.question?.number ?? null;
      guess = question === null ? undefined : guessed(question);
      find.value = "";
      from = Math.floor(Math.random() * now.rows.size);
    }
    put(title, now.question?.query ?? say("join.here", { code }));
    put(say1, told(now));
    const open = now.question && !isAnswered(now.question);
    drawChoices(
      open
        ? [
            ...offered(now).map((row) => ({ id: row.id, row, chosen: guess === row.id })),
            ...(now.rows.size ? [{ id: NONE, row: null, chosen: guess === null }] : []),
          ]
        : [],
    );
    finding.hidden = !open || now.rows.size <= FEW;
    put(others, say("join.others", { count: FEW }));
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

  /** The rows that can be chosen: all, or of many a few, and the chosen one among them. @param {Page.Room} now */
  function offered({ rows }) {
    const all = [...rows.values()];
    if (all.length <= FEW) return all;
    const text = find.value.trim().toLowerCase();
    const start = from % all.length;
    const some = text ? all.filter(({ key, value }) => `${key} ${value}`.toLowerCase().includes(text)) : [...all.slice(start), ...all.slice(0, start)];
    const chosen = all.find(({ id }) => id === guess);
    return [...new Set([...(chosen ? [chosen] : []), ...some.slice(0, FEW)])];
  }

  /** @param {Page.Room} now */
  function told(now) {
    if (!now.question) return say("join.wait");
    if (now.question.answer) return "";
    if (!now.rows.size) return say("join.empty");
    return say(guess === undefined ? "join.guess" : "join.guessed");
  }

  /**
   * The rows that a phone asks "why?" about: the heaviest, and its own.
   * @param {Page.Room} now
   * @param {Answer} answer
   * @param {Set<string>} mine
   */
  function asked(now, { matches }, mine) {
    return matches.filter(({ id }, i) => i === 0 || mine.has(id)).map(({ id }) => ({ id, key: now.rows.get(id)?.key ?? "…" }));
  }

  /**
   * The result of the learner's guess and rows.
   * @param {Page.Room} now
   * @param {Answer} answer
   * @param {Set<string>} mine
   */
  function outcome(now, answer, mine) {
    if (isTie(answer)) return "";
    const first = leaders(answer);
    const said = [];
    if (guess !== undefined && first.has(guess)) said.push(say("join.right"));
    else if (guess === null) said.push(say("join.wrong.none", { weight: percent(weightOf(answer, null)) }));
    else if (guess !== undefined)
      said.push(say("join.wrong", { key: clipped(now.rows.get(guess)?.key ?? "…", LONGEST), weight: percent(weightOf(answer, guess)) }));
    const best = answer.matches.find(({ id }) => mine.has(id));
    if (best)
      said.push(
        first.has(best.id)
          ? say("join.yours.won")
          : say("join.yours.got", { key: clipped(now.rows.get(best.id)?.key ?? "…", LONGEST), weight: percent(best.weight) }),
      );
    return said.join(" ");
  }

  const element = h(
    "div.joined",
    {},
    h("section.shown", {}, title, say1, finding, choices, answered, because.button, because.element),
    h(
      "section.sends",
      {},
      h("h2", {}, say("join.row")),
      form(
        "row",
        [
          ["row-key", "join.key"],
          ["row-value", "join.value"],
          ["row-by", "join.by"],
        ],
        "join.send",
        async ([key, value, by]) => {
          const row = await acts.put(key, value || key, by);
          waits = row?.held ? row.id : "";
          return row && say(waits ? "join.held" : "join.sent");
        },
        name,
      ),
    ),
    h(
      "section.sends",
      {},
      h("h2", {}, say("join.ask")),
      form("question", [["own-query", "join.query"]], "join.ask.send", async ([query]) => ((await acts.propose(query)) ? say("join.asked") : null)),
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
 * @param {(words: string[]) => Promise<?string>} act answers what to say of it; null if it was refused
 * @param {string} [by] what stands in the third field, and stays there
 */
function form(name, fields, send, act, by = "") {
  const inputs = fields.map(([id], i) =>
    h("input", { type: "text", id, autocomplete: "off", maxLength: i === BY ? LONGEST_NAME : 480, value: i === BY ? by : "" }),
  );
  const done = h("span.soft.small", { role: "status" });
  const button = h("button.strong", { type: "submit", id: `send-${name}` }, say(send));
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const words = inputs.map((input) => input.value.trim());
    if (!words[0]) return inputs[0].focus();
    button.disabled = true;
    const answer = await act(words);
    button.disabled = false;
    put(done, answer ?? "");
    if (answer === null) return;
    for (const input of inputs.slice(0, BY)) input.value = "";
    inputs[0].focus();
  };
  return h(
    "form.sending",
    { onsubmit: submit },
    fields.map(([id, label], i) => h("div", {}, h(`label.${name === "question" ? "query" : ["key", "value", "soft"][i]}`, { for: id }, say(label)), inputs[i])),
    h("p", {}, button, " ", done, name === "row" ? h("span.soft.small", {}, ` ${say("join.english")}`) : null),
  );
}
