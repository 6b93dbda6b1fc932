/** The form that changes a document: errors stand beside their fields, and a change by somebody else is not overwritten. */

import { NotFound, SoftkvError, Unreachable } from "../shared/api.js";
import { fill, h } from "../shared/element.js";
import { hasNull, isObject, lines, mergePatch } from "./text.js";

/** @typedef {import("./document.js").Document} Document */
/** @typedef {import("../shared/words.js").Say} Say */
/**
 * @typedef {object} Service
 * @property {() => Promise<Document | null>} read
 * @property {(patch: object) => Promise<unknown>} send
 * @property {(changed: Document) => Promise<void>} saved
 */

const FIELDS = ["key", "value", "metadata"];

export class Editor {
  #say;
  #service;
  /** @type {Document} what the form began with */
  #before;
  #isText;
  #key;
  #value;
  #metadata;
  #told = h("div.told", { id: "edit-told", role: "alert" });
  /** @type {Record<string, HTMLElement>} */
  #problems = Object.fromEntries(FIELDS.map((name) => [name, h("p.problem", { id: `edit-${name}-problem` })]));
  element;

  /**
   * @param {Say} say
   * @param {Document} document
   * @param {Service} service
   */
  constructor(say, document, service) {
    this.#say = say;
    this.#service = service;
    this.#before = document;
    // A value that is text is edited as text; all else as JSON.
    this.#isText = typeof document.value === "string";
    this.#key = this.#area("key", document.key ?? "", 2);
    this.#value = this.#area("value", lines(document.value), 3);
    this.#metadata = this.#area("metadata", lines(document.metadata), 6);
    const form = h(
      "form",
      { onsubmit: (event) => (event.preventDefault(), void this.#save(false)) },
      this.#field("key", this.#key, say("key")),
      this.#field("value", this.#value, say(this.#isText ? "value" : "value.json")),
      this.#field("metadata", this.#metadata, say("metadata.json")),
      this.#told,
      h("div.buttons", {}, h("button.strong", { type: "submit", id: "save" }, say("save"))),
    );
    this.element = h("details.edit", {}, h("summary", { id: "edit" }, say("edit")), form);
  }

  /**
   * @param {string} name
   * @param {string} value
   * @param {number} rows
   */
  #area(name, value, rows) {
    return h("textarea", { id: `edit-${name}`, rows, value, spellcheck: name !== "metadata", "aria-describedby": `edit-${name}-problem` });
  }

  /**
   * @param {string} name
   * @param {HTMLElement} area
   * @param {string} label
   */
  #field(name, area, label) {
    return h("div.field", {}, h("label", { for: `edit-${name}` }, label), area, this.#problems[name]);
  }

  /**
   * Tell what is wrong with a field.
   * @param {string} name
   * @param {string} text
   */
  #wrong(name, text) {
    const area = { key: this.#key, value: this.#value, metadata: this.#metadata }[name];
    fill(this.#problems[name], text);
    area?.setAttribute("aria-invalid", "true");
    if (this.element.querySelector("[aria-invalid=true]") === area) area?.focus();
  }

  #clear() {
    fill(this.#told);
    for (const name of FIELDS) fill(this.#problems[name]);
    for (const area of [this.#key, this.#value, this.#metadata]) area.removeAttribute("aria-invalid");
  }

  /** The changed fields; null if a field cannot be read, which the form reports. @returns {Record<string, any> | null} */
  #patch() {
    const value = this.#isText ? this.#value.value : this.#json("value", this.#value.value);
    const metadata = this.#json("metadata", this.#metadata.value);
    if (value === undefined || metadata === undefined) return null;
    if (!isObject(metadata)) return (this.#wrong("metadata", this.#say("metadata.object")), null);
    /** @type {Record<string, any>} */
    const patch = {};
    const key = this.#key.value === "" ? null : this.#key.value;
    if (key !== this.#before.key) patch.key = key;
    const before = this.#before.value;
    if (isObject(value) && isObject(before)) {
      const merged = mergePatch(before, value);
      if (merged) patch.value = merged;
    } else if (JSON.stringify(value) !== JSON.stringify(before)) patch.value = value;
    const merged = mergePatch(this.#before.metadata, metadata);
    if (merged) patch.metadata = merged;
    for (const [name, given] of Object.entries({ value, metadata }))
      if (name in patch && hasNull(given)) return (this.#wrong(name, this.#say("null.inside")), null);
    return patch;
  }

  /**
   * @param {string} name
   * @param {string} text
   * @returns {any} undefined if the text is not JSON
   */
  #json(name, text) {
    try {
      return JSON.parse(text);
    } catch (failure) {
      if (!(failure instanceof SyntaxError)) throw failure;
      this.#wrong(name, this.#say("json.wrong", { reason: failure.message }));
      return undefined;
    }
  }

  /** @param {boolean} isSure whether what another has written meanwhile is to be changed all the same */
  async #save(isSure) {
    this.#clear();
    const patch = this.#patch();
    if (!patch) return;
    if (!Object.keys(patch).length) return void fill(this.#told, h("p", {}, this.#say("save.nothing")));
    try {
      const now = await this.#service.read();
      if (!now) return void fill(this.#told, h("p.problem", {}, this.#say("save.gone")));
      if (!isSure && JSON.stringify(now) !== JSON.stringify(this.#before)) return this.#conflict(now);
      await this.#service.send(patch);
      await this.#service.saved((await this.#service.read()) ?? now);
    } catch (failure) {
      if (!(failure instanceof SoftkvError)) throw failure;
      this.#refused(failure);
    }
  }

  /** Another wrote the document since it was opened. @param {Document} now */
  #conflict(now) {
    fill(
      this.#told,
      h("p.problem", {}, this.#say("save.conflict")),
      h("pre", {}, lines(now)),
      h(
        "div.buttons",
        {},
        h("button", { type: "button", id: "conflict-theirs", onclick: () => void this.#service.saved(now) }, this.#say("conflict.theirs")),
        h("button", { type: "button", id: "conflict-mine", onclick: () => void this.#save(true) }, this.#say("conflict.mine")),
      ),
    );
  }

  /** @param {SoftkvError} failure */
  #refused(failure) {
    if (failure instanceof Unreachable) return void fill(this.#told, h("p.problem", {}, this.#say("write.away")));
    if (failure instanceof NotFound) return void fill(this.#told, h("p.problem", {}, this.#say("save.gone")));
    const rest = [];
    for (const { pointer, detail } of failure.errors) {
      const name = pointer.split("/")[1] ?? "";
      if (FIELDS.includes(name)) this.#wrong(name, `${pointer}: ${detail}`);
      else rest.push(detail);
    }
    if (rest.length || !failure.errors.length) fill(this.#told, h("p.problem", {}, failure.detail));
  }
}
