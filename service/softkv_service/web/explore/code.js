/** One call as JSON, for curl, and for the clients in Python and TypeScript. Each one can be run unchanged. */

import { curl } from "../shared/curl.js";
import { fill, h } from "../shared/element.js";

/** @typedef {import("./question.js").Body} Body */
/** @typedef {import("../shared/words.js").Say} Say */
/** @typedef {{origin: string, collection: string, body: Body, isKeyed: boolean}} Call */

/** A line of a program that is no longer than this stays one line. */
const WIDTH = 88;

/** @type {{id: string, name: string, write: (call: Call) => string}[]} */
const LANGUAGES = [
  { id: "json", name: "JSON", write: ({ body }) => JSON.stringify(body, null, 2) },
  { id: "curl", name: "curl", write: ({ origin, collection, body, isKeyed }) => curl(origin, { method: "POST", path: path(collection), body }, isKeyed) },
  { id: "python", name: "Python", write: python },
  { id: "typescript", name: "TypeScript", write: typescript },
];

/** @param {string} collection */
function path(collection) {
  return `/v1/collections/${encodeURIComponent(collection)}/attend`;
}

/** The clients read a key from the environment: it is in no program. @param {Call} call */
export function python({ origin, collection, body }) {
  const { query, filter, rerank, ...options } = body;
  const look = rerank === null ? { ignore_defaults: ["rerank"] } : rerank ? { rerank } : {};
  const all = { ...options, ...look, ...(filter === undefined ? {} : { where: filter }) };
  const named = Object.entries(all).map(([name, value]) => `${name}=${literal(value)}`);
  return [
    "from softkv import Client",
    "",
    `with Client(${literal(origin)}) as client:`,
    `    answer = client.collection(${literal(collection)}).attend(${joined([literal(query), ...named], 65 - collection.length, "    ")})`,
    "    for match in answer:",
    "        print(match.id, match.weight, match.key)",
  ].join("\n");
}

/** @param {Call} call */
function typescript({ origin, collection, body }) {
  const { query, ...options } = body;
  const named = Object.entries(options).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
  const all = [JSON.stringify(query), ...(named.length ? [`{ ${named.join(", ")} }`] : [])];
  return [
    'import { Client } from "softkv";',
    "",
    `const client = new Client({ url: ${JSON.stringify(origin)} });`,
    `const answer = await client.collection(${JSON.stringify(collection)}).attend(${joined(all, WIDTH - 60 - collection.length, "")});`,
    "for (const match of answer) console.log(match.id, match.weight, match.key);",
  ].join("\n");
}

/**
 * Arguments on one line, or each on its own.
 * @param {string[]} all
 * @param {number} room
 * @param {string} indent
 */
function joined(all, room, indent) {
  const line = all.join(", ");
  if (line.length <= room) return line;
  return `\n${all.map((one) => `${indent}    ${one},\n`).join("")}${indent}`;
}

/**
 * JSON as Python writes it.
 * @param {any} value
 * @returns {string}
 */
function literal(value) {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object")
    return `{${Object.entries(value)
      .map(([name, one]) => `${JSON.stringify(name)}: ${literal(one)}`)
      .join(", ")}}`;
  return JSON.stringify(value);
}

/**
 * Tabs with the call in each language.
 * @param {Say} say
 * @param {{chosen: () => string, choose: (id: string) => void}} state which of them is shown
 */
export function callTabs(say, { chosen, choose }) {
  /** @type {Call | null} */
  let call = null;
  const code = h("code");
  const panel = h("pre", { id: "code", role: "tabpanel", tabIndex: 0 }, code);
  const told = h("span.told", { role: "status" });
  const copy = h("button", { type: "button", id: "copy", onclick: () => void copied() }, say("copy"));
  const buttons = LANGUAGES.map(({ id, name }, i) =>
    h(
      "button",
      {
        type: "button",
        role: "tab",
        id: `code-${id}`,
        "aria-controls": "code",
        onclick: () => pick(id),
        onkeydown: (event) => {
          const step = { ArrowRight: 1, ArrowLeft: LANGUAGES.length - 1 }[event.key];
          if (!step) return;
          event.preventDefault();
          const next = (i + step) % LANGUAGES.length;
          pick(LANGUAGES[next].id);
          buttons[next].focus();
        },
      },
      name,
    ),
  );
  const element = h(
    "section.call",
    { hidden: true },
    h("h3", {}, say("call")),
    h("div.head", {}, h("div.kinds", { role: "tablist", "aria-label": say("call") }, buttons), told, copy),
    panel,
  );

  async function copied() {
    try {
      await navigator.clipboard.writeText(code.textContent ?? "");
      fill(told, say("copied"));
    } catch (failure) {
      if (!(failure instanceof DOMException || failure instanceof TypeError)) throw failure;
      window.getSelection()?.selectAllChildren(code); // without the right to the clipboard, to be copied by hand
      fill(told, say("copied.not"));
    }
  }

  /** @param {string} id */
  function pick(id) {
    choose(id);
    draw();
  }

  function draw() {
    const language = LANGUAGES.find(({ id }) => id === chosen()) ?? LANGUAGES[0];
    LANGUAGES.forEach(({ id }, i) => {
      buttons[i].setAttribute("aria-selected", String(id === language.id));
      buttons[i].tabIndex = id === language.id ? 0 : -1;
    });
    panel.setAttribute("aria-labelledby", `code-${language.id}`);
    fill(told);
    element.hidden = !call;
    if (call) code.textContent = language.write(call);
  }

  return {
    element,
    /** @param {Call | null} next */
    show(next) {
      call = next;
      draw();
    },
  };
}
