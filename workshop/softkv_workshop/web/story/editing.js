/**
 * Texts of a picture that are edited where they stand: keys and values of rows, and rows that come and go.
 *
 * It is a classic script of its own, as all bundles of the page are; its face is `window.softkvEditing`. An address has
 * the rows as `9**my_key~!hd62839`: their number, then the rows between `*` up to the last that differs from the page's
 * own. A row is its key and, after `~`, its value; a part that is not there is the page's own.
 */

import { fill, h } from "../../../../service/softkv_service/web/shared/element.js";
import { reader } from "../../../../service/softkv_service/web/shared/words.js";
import words from "./editing.json";
import { Handles } from "./handles.js";

/** @typedef {{key: string, value: string}} Row */
/** @typedef {import("../../../../service/softkv_service/web/shared/threads.js").Box} Box */
/** @typedef {{read: typeof read, write: typeof write, Editor: typeof Editor, Handles: typeof Handles}} Face */

/** So many rows, and so long texts, may an address have. */
export const COUNT = { least: 2, most: 30 };
const LONGEST = { key: 60, value: 30 };
/** Characters that separate, and how a text has them. Neither they nor what stands for them is escaped by an address. */
const MARKS = { "!": "!e", _: "!u", "*": "!s", "~": "!t", "#": "!h", " ": "_" };
/** Colours of new rows, in turn. */
const COLOURS = ["#e64980", "#15aabf", "#fab005", "#7048e8", "#40c057", "#fd7e14"];
/** Colours that have no name in CSS. */
const HUED = "红d62839 橙e8590c 黄f7d51d 绿40a02b 青2ab7a0 蓝1c62b9 紫7b4fc9 粉f19ac0 棕8a5a34 黑111111 白ffffff 灰868e96";
/** @type {Record<string, string>} */
const HUES = Object.fromEntries(HUED.split(" ").map(([letter, ...digits]) => [letter, `#${digits.join("")}`]));

/** @param {string} text */
function marked(text) {
  return text.replace(/[!_*~# ]/g, (letter) => MARKS[/** @type {keyof typeof MARKS} */ (letter)]);
}

/** @param {string} text */
function unmarked(text) {
  return text.replace(/_|!./g, (mark) => Object.entries(MARKS).find(([, known]) => known === mark)?.[0] ?? mark);
}

/**
 * Rows as an address has them; "" for the page's own.
 * @param {Row[]} rows
 * @param {Row[]} home the page's own
 */
export function write(rows, home) {
  const texts = rows.map(({ key, value }, i) => `${key === home[i]?.key ? "" : marked(key)}${value === home[i]?.value ? "" : `~${marked(value)}`}`);
  while (texts.length && !texts[texts.length - 1]) texts.pop();
  return texts.length || rows.length !== home.length ? [rows.length, ...texts].join("*") : "";
}

/**
 * The rows in an address.
 *
 * @param {string} text
 * @param {Row[]} home the page's own
 * @param {boolean} isFixed whether there are as many as of them
 * @returns {?Row[]} null if they cannot be read: too few, too many, or a text that is empty or too long
 */
export function read(text, home, isFixed = false) {
  const [number, ...texts] = text.split("*");
  const count = /^\d+$/.test(number) ? Number(number) : 0;
  if (count < COUNT.least || count > COUNT.most || texts.length > count || (isFixed && count !== home.length)) return null;
  const rows = Array.from({ length: count }, (_, i) => {
    const [key, value] = (texts[i] ?? "").split("~").map(unmarked);
    return { key: key || home[i]?.key, value: value ?? home[i]?.value };
  });
  const isText = (/** @type {string | undefined} */ part, /** @type {number} */ most) => part !== undefined && part.trim() !== "" && part.length <= most;
  return rows.every(({ key, value }) => isText(key, LONGEST.key) && isText(value, LONGEST.value)) ? rows : null;
}

/** A colour as `#rrggbb`, where a text names one. @param {string} text */
function asColour(text) {
  const hue = HUES[text.replace(/色$/, "")];
  const pen = document.createElement("canvas").getContext("2d");
  if (hue || !pen || !CSS.supports("color", text)) return hue ?? text;
  pen.fillStyle = text;
  return /^#[0-9a-f]{6}$/.test(pen.fillStyle) ? pen.fillStyle : text;
}

/**
 * @typedef {object} Edited what is edited
 * @property {"en" | "zh"} language
 * @property {HTMLElement} host of the picture, over which the fields lie
 * @property {import("../../../../service/softkv_service/web/shared/threads.js").Threads} threads
 * @property {() => Row[]} rows as they are now
 * @property {(rows: Row[]) => void} change
 * @property {boolean} hasColours whether values are colours or texts, and rows come and go
 */

/** Buttons over the keys, and over the values; a pressed one becomes a field. */
export class Editor {
  #edited;
  #say;
  /** @type {{key: HTMLButtonElement[], value: HTMLButtonElement[]}} */
  #buttons = { key: [], value: [] };
  /** @type {?HTMLElement} */
  #form = null;
  #keys = h("div", { role: "group" });
  #values = h("div", { role: "group" });
  #add;

  /** @param {Edited} edited */
  constructor(edited) {
    this.#edited = edited;
    this.#say = reader(words[edited.language], edited.language);
    this.#add = h("button.icon.add", { type: "button", title: this.#say("add"), onclick: () => this.#openNew() }, `+ ${this.#say("row")}`);
    this.#keys.setAttribute("aria-label", this.#say("keys"));
    this.#values.setAttribute("aria-label", this.#say("values"));
    this.element = h("div.edits", {}, this.#keys, edited.hasColours ? this.#values : null, edited.hasColours ? this.#add : null);
    edited.host.append(this.element);
    this.place();
  }

  /** Put the buttons over the texts, as they are now. */
  place() {
    const { threads, hasColours } = this.#edited;
    const rows = this.#edited.rows();
    this.#fit("key", this.#keys, threads.keyBoxes, rows);
    if (hasColours) this.#fit("value", this.#values, threads.valueBoxes, rows);
    const { x, y } = threads.keysName;
    put(this.#add, { x: x + 6, y: y - 22, width: 28, height: 28 });
    this.#add.hidden = rows.length >= COUNT.most;
  }

  /**
   * @param {"key" | "value"} part
   * @param {HTMLElement} group
   * @param {Box[]} boxes
   * @param {Row[]} rows
   */
  #fit(part, group, boxes, rows) {
    const buttons = this.#buttons[part];
    if (buttons.length !== boxes.length) {
      const focused = buttons.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
      this.#buttons[part] = boxes.map((_, row) => buttons[row] ?? this.#button(part, row));
      fill(group, this.#buttons[part]);
      if (focused >= 0) this.#buttons[part][Math.min(focused, boxes.length - 1)]?.focus({ preventScroll: true });
    }
    for (const [row, button] of this.#buttons[part].entries()) {
      put(button, boxes[row]);
      button.setAttribute("aria-label", this.#say(part, { ...rows[row] }));
    }
  }

  /**
   * @param {"key" | "value"} part
   * @param {number} row
   */
  #button(part, row) {
    const button = /** @type {HTMLButtonElement} */ (h("button", { type: "button", tabIndex: row ? -1 : 0, onclick: () => this.open(part, row) }));
    for (const kind of ["pointerenter", "focus"]) button.addEventListener(kind, () => this.#edited.threads.point(row));
    for (const kind of ["pointerleave", "blur"]) button.addEventListener(kind, () => this.#edited.threads.point(-1));
    button.addEventListener("keydown", (event) => this.#key(part, row, event));
    return button;
  }

  /**
   * Arrows go from row to row, and from keys to values.
   * @param {"key" | "value"} part
   * @param {number} row
   * @param {KeyboardEvent} event
   */
  #key(part, row, event) {
    const all = this.#buttons[part];
    const to = {
      ArrowUp: all[row - 1],
      ArrowDown: all[row + 1],
      Home: all[0],
      End: all[all.length - 1],
      ArrowLeft: part === "value" ? this.#buttons.key[row] : undefined,
      ArrowRight: part === "key" ? this.#buttons.value[row] : undefined,
    }[event.key];
    if (!to) return;
    event.preventDefault();
    event.stopPropagation();
    for (const button of [...all, ...this.#buttons[to === this.#buttons.key[row] ? "key" : part]]) button.tabIndex = button === to ? 0 : -1;
    to.tabIndex = 0;
    to.focus();
  }

  /**
   * Edit a text where it stands.
   * @param {"key" | "value"} part
   * @param {number} row
   */
  open(part, row) {
    const rows = this.#edited.rows();
    const { threads, hasColours } = this.#edited;
    const box = (part === "key" ? threads.keyBoxes : threads.valueBoxes)[row];
    const isColour = hasColours && part === "value";
    const drop = h("button", { type: "button", "aria-label": this.#say("drop"), title: this.#say("drop"), onclick: () => this.#drop(row) }, "✕");
    const canDrop = hasColours && part === "key" && rows.length > COUNT.least;
    this.#ask(part, box, rows[row][part], [canDrop ? drop : null], (text) => {
      const value = isColour ? asColour(text) : text;
      if (value !== rows[row][part]) this.#edited.change(rows.map((one, i) => (i === row ? { ...one, [part]: value } : one)));
    });
  }

  /** A key for one more row, below the last one. */
  #openNew() {
    const rows = this.#edited.rows();
    const last = this.#edited.threads.keyBoxes[rows.length - 1];
    this.#ask("key", { ...last, y: last.y + Math.max(32, last.height + 4) }, "", [], (key) => {
      this.#edited.change([...rows, { key, value: COLOURS[rows.length % COLOURS.length] }]);
    });
    this.#form?.scrollIntoView({ block: "nearest" });
  }

  /** @param {number} row */
  #drop(row) {
    this.#close();
    this.#edited.change(this.#edited.rows().filter((_, i) => i !== row));
    this.#buttons.key[Math.max(0, row - 1)]?.focus({ preventScroll: true });
  }

  /**
   * A field in a box: Enter takes its text, Escape takes it back, and an empty text is refused.
   *
   * @param {"key" | "value"} part
   * @param {Box} box
   * @param {string} text
   * @param {(Node | null)[]} more beside the field
   * @param {(text: string) => void} take
   */
  #ask(part, box, text, more, take) {
    this.#close();
    const from = /** @type {HTMLElement | null} */ (document.activeElement);
    const field = h("input", { type: "text", value: text, maxLength: LONGEST[part], spellcheck: false, autocomplete: "off", enterKeyHint: "done" });
    const note = h("p", { role: "alert" });
    const say = this.#say;
    field.setAttribute("aria-label", say(`field.${part}`));
    const end = () => {
      this.#close();
      if (from?.isConnected) from.focus({ preventScroll: true });
    };
    const done = () => {
      const now = field.value.replace(/\s+/g, " ").trim();
      if (!now) {
        note.textContent = say("empty");
        field.setAttribute("aria-invalid", "true");
        return;
      }
      end();
      if (now !== text) take(now);
    };
    const form = h("form.field", { onsubmit: (event) => (event.preventDefault(), done()) }, field, ...more, note);
    form.classList.add(part);
    form.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Escape") end();
      if (event.key === "Enter" && !event.isComposing && event.target === field) {
        event.preventDefault();
        done();
      }
    });
    form.addEventListener("focusout", (event) => {
      if (this.#form !== form || (event.relatedTarget instanceof Node && form.contains(event.relatedTarget))) return;
      this.#close();
      const now = field.value.replace(/\s+/g, " ").trim();
      if (now && now !== text) take(now);
    });
    const width = Math.max(box.width, 13 * parseFloat(getComputedStyle(field).fontSize || "16"));
    put(form, { ...box, width, x: Math.max(0, Math.min(box.x, this.#edited.host.clientWidth - width)), y: box.y - Math.max(0, 32 - box.height) / 2 });
    this.#form = form;
    this.element.append(form);
    field.select();
    field.focus({ preventScroll: true });
  }

  #close() {
    const form = this.#form;
    this.#form = null;
    form?.remove();
  }
}

/**
 * @param {HTMLElement} element
 * @param {Box} box
 */
function put(element, { x, y, width, height }) {
  for (const [property, number] of Object.entries({ left: x, top: y, width, "min-height": height }))
    if (number) element.style.setProperty(property, `${number}px`);
}

window.softkvEditing = { read, write, Editor, Handles };
