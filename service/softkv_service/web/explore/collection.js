/** Two tabs that settle what a collection is: a new one, and the settings of the one that is chosen, which may be deleted. */

import { Invalid, isAborted, SoftkvError } from "../shared/api.js";
import { loadDemo, NAME as DEMO, QUESTION } from "../shared/demo.js";
import { choices, each, fill, h, put } from "../shared/element.js";
import { count } from "../shared/numbers.js";
import words from "./collection.json";
import { filePicker, forget, hand, nameOf, takeDrops } from "./upload.js";
import { speaker } from "./speaker.js";
import uploadWords from "./upload.json";

/** @typedef {import("./explorer.js").Collection} Collection */
/** @typedef {import("./explorer.js").Context} Context */
/** @typedef {import("./explorer.js").Tab} Tab */
/** @typedef {import("../shared/words.js").Say} Say */
/**
 * @typedef {object} Defaults what a question takes where it says nothing
 * @property {number} [temperature]
 * @property {string | number | false} [null]
 */

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const SIMILARITIES = ["cosine", "dot", "scaled_dot", "gaussian"];
/** Before the names of encoders in the list, so that none of them can mean "none". */
const NAMED = "named:";
const NULLS = ["auto", "lenient", "strict", "off", "number"];

/** @type {Tab} */
export const create = { id: "new", words: named("new"), needs: "write", of: "service", mount: (host, context) => new NewTab(host, context) };

/** @type {Tab} */
export const settings = { id: "settings", words: named("settings"), needs: "write", mount: (host, context) => new SettingsTab(host, context) };

/**
 * The words of both tabs, with the label of one.
 * @param {"new" | "settings"} which
 * @returns {Tab["words"]}
 */
function named(which) {
  const label = /** @type {const} */ (`name.${which}`);
  return { en: { ...words.en, name: words.en[label] }, zh: { ...words.zh, name: words.zh[label] } };
}

/** A field with its label, and under it what was refused of it. */
class Field {
  /**
   * @param {string} name in the request
   * @param {string} label
   * @param {HTMLInputElement | HTMLSelectElement} input
   * @param {string} [hint]
   */
  constructor(name, label, input, hint) {
    this.name = name;
    this.input = input;
    this.problem = h("span.problem", { id: `${input.id}-problem` });
    input.setAttribute("aria-describedby", this.problem.id);
    this.element = h("div.field", {}, h("label", { for: input.id }, label), input, hint ? h("span.soft", {}, hint) : null, this.problem);
  }

  /** @param {string} problem empty: none */
  refuse(problem) {
    put(this.problem, problem);
    if (problem) this.input.setAttribute("aria-invalid", "true");
    else this.input.removeAttribute("aria-invalid");
  }
}

/**
 * Say a refusal at the fields that it is about, and all else at the end; the first such field has the focus.
 * @param {SoftkvError} failure
 * @param {Field[]} fields
 * @param {HTMLElement} rest
 */
function refuse(failure, fields, rest) {
  /** @type {string[]} */
  const others = [];
  const flaws = failure instanceof Invalid && failure.errors.length ? failure.errors : [{ pointer: "", detail: failure.detail }];
  for (const { pointer, detail } of flaws) {
    const field = fields.find(({ name }) => pointer === `/${name}` || pointer.startsWith(`/${name}/`));
    if (field) field.refuse(detail);
    else others.push(detail);
  }
  put(rest, others.join(" "));
  fields.find(({ input }) => input.hasAttribute("aria-invalid"))?.input.focus();
}

/**
 * The temperature and the null key, as fields of a form.
 *
 * @param {Say} say
 * @param {Collection | null} now null: of a collection that is to be made, which takes the encoder's where a field is empty
 */
function defaults(say, now) {
  const known = now && typeof now.null !== "number" && now.null !== false && !NULLS.includes(now.null) ? [now.null] : [];
  const temperature = h("input", {
    type: "number",
    id: "temperature",
    min: "0",
    step: "any",
    value: now ? String(now.temperature) : "",
    placeholder: now ? "" : say("default"),
  });
  const kind = h(
    "select",
    { id: "null", onchange: () => (level.hidden = kind.value !== "number") },
    now ? null : h("option", { value: "" }, say("default")),
    [...NULLS, ...known].map((name) => h("option", { value: name }, say(`null.${name}`))),
  );
  const level = h("input", { type: "number", id: "null-level", step: "any", "aria-label": say("null.level"), hidden: true });
  if (now) {
    kind.value = now.null === false ? "off" : typeof now.null === "number" ? "number" : now.null;
    if (typeof now.null === "number") [level.value, level.hidden] = [String(now.null), false];
  }
  const fields = [new Field("temperature", say("temperature"), temperature, say("temperature.hint")), new Field("null", say("null"), kind, say("null.hint"))];
  fields[1].problem.before(level);
  return {
    fields,
    /** @returns {Defaults} what is filled in; what stays as it is is left out */
    read: () => {
      const nullKey = { off: /** @type {const} */ (false), number: level.valueAsNumber }[kind.value] ?? kind.value;
      return {
        ...(temperature.value === "" || temperature.valueAsNumber === now?.temperature ? {} : { temperature: temperature.valueAsNumber }),
        ...(nullKey === "" || nullKey === now?.null ? {} : { null: nullKey }),
      };
    },
  };
}

class NewTab {
  #host;
  #context;
  /** @type {File | null} what is to be uploaded into it */
  #file = null;

  /**
   * @param {HTMLElement} host
   * @param {Context} context
   */
  constructor(host, context) {
    this.#host = host;
    this.#context = context;
    void this.#draw();
  }

  update() {}

  async #draw() {
    const { say, api, language } = this.#context;
    const answers = await this.#context.patiently(() => Promise.all([api.get("/v1"), api.get("/v1/collections?limit=1"), api.get("/v1/encoders")]));
    if (!answers) return;
    const [service, { collections }, { encoders }] = answers;
    const name = h("input", { type: "text", id: "new-name", autocomplete: "off", spellcheck: false, maxLength: 128 });
    const encoder = h(
      "select",
      { id: "encoder", onchange: () => show() },
      [...encoders]
        .sort((a, b) => Number(b.default) - Number(a.default))
        .map(({ name }) => h("option", { value: `${NAMED}${name}` }, say("encoder.own", { encoder: name }))),
      h("option", { value: "none" }, say("encoder.none")),
    );
    const dimension = h("input", { type: "number", id: "dimension", min: "1", step: "1", placeholder: say("dimension.first") });
    const similarity = h("select", { id: "similarity" });
    choices(similarity, [["", say("default")], ...SIMILARITIES.map((one) => [one, say(`similarity.${one}`)])]);
    const valueFrom = each("select", { id: "value-from" }, ["value", "key"], (one) => h("option", { value: one }, say(`value-from.${one}`)));
    const { fields: ofQuestions, read } = defaults(say, null);
    const width = new Field("dimension", say("dimension"), dimension);
    const fields = [
      new Field("name", say("new.label"), name, say("new.rule")),
      new Field("encoder", say("encoder"), encoder, say("encoder.hint")),
      width,
      new Field("similarity", say("similarity"), similarity),
      new Field("value_from", say("value-from"), valueFrom),
      ...ofQuestions,
    ];
    const show = () => (width.element.hidden = encoder.value !== "none");
    const rest = h("p.problem", { role: "alert", id: "refusal" });
    const chosen = h("p", { id: "chosen", role: "status" });
    const take = (/** @type {File} */ file) => {
      this.#file = file;
      put(chosen, say("new.file.chosen", { file: file.name }));
      if (!name.value) name.value = nameOf(file.name, "A-Za-z0-9");
      name.focus();
    };
    const body = () => ({
      ...(encoder.value === "none" ? { encoder: null } : encoder.selectedIndex ? { encoder: encoder.value.slice(NAMED.length) } : {}),
      ...(encoder.value === "none" && dimension.value !== "" ? { dimension: dimension.valueAsNumber } : {}),
      ...(similarity.value ? { similarity: similarity.value } : {}),
      ...(valueFrom.value === "key" ? { value_from: "key" } : {}),
      ...read(),
    });
    const form = h(
      "form.settling",
      {
        noValidate: true,
        onsubmit: (event) => {
          event.preventDefault();
          for (const field of fields) field.refuse("");
          put(rest, "");
          void this.#create(name.value.trim(), body(), fields, rest);
        },
      },
      fields[0].element,
      fields[1].element,
      width.element,
      h(
        "details.more",
        {},
        h("summary", {}, say("new.more")),
        each("div.settling", {}, fields.slice(3), ({ element }) => element),
      ),
      rest,
      h("div.buttons", {}, h("button.strong", { type: "submit", id: "create" }, say("new.create"))),
    );
    const demo = service.encoder !== null && collections.length === 0 ? this.#demo() : null;
    fill(this.#host, h("h2", {}, say("new.title")), demo, filePicker(speaker(uploadWords, language), take, say("new.file")), chosen, form);
    takeDrops(this.#host, take);
    show();
  }

  /** The offer of a service without collections: a demo that can be queried at once. */
  #demo() {
    const { say, api, patiently, go, refresh } = this.#context;
    const told = h("span", { role: "status" });
    const load = async (/** @type {Event} */ event) => {
      const button = /** @type {HTMLButtonElement} */ (event.currentTarget);
      button.disabled = true;
      const isLoaded = await patiently(loadDemo(api, (done, all) => put(told, say("demo.loading", { done, all }))).then(() => true));
      button.disabled = false;
      if (!isLoaded) return put(told, "");
      go({ tab: "ask", q: QUESTION });
      await refresh(DEMO);
    };
    return h("p.demo", {}, say("demo"), " ", h("button", { type: "button", id: "demo", onclick: load }, say("demo.load")), " ", told);
  }

  /**
   * @param {string} name
   * @param {object} body
   * @param {Field[]} fields
   * @param {HTMLElement} rest
   */
  async #create(name, body, fields, rest) {
    const { api, say } = this.#context;
    const unusable = (/** @type {string} */ problem) => {
      fields[0].refuse(problem);
      fields[0].input.focus();
    };
    if (!NAME.test(name)) return unusable(say("new.invalid", { name }));
    try {
      // PUT would confirm an equal one, and what was typed here would go unseen.
      const like = await api.get(`/v1/collections?${new URLSearchParams({ prefix: name, limit: "1" })}`);
      if (like.collections[0]?.name === name) return unusable(say("new.exists", { name }));
      await api.send("PUT", `/v1/collections/${encodeURIComponent(name)}`, body);
    } catch (failure) {
      if (isAborted(failure)) return;
      if (!(failure instanceof SoftkvError)) throw failure;
      refuse(failure, fields, rest);
      return;
    }
    if (this.#file) hand(name, this.#file);
    this.#context.go({ tab: "upload" });
    await this.#context.refresh(name);
  }
}

class SettingsTab {
  #host;
  #context;
  #shown = "";

  /**
   * @param {HTMLElement} host
   * @param {Context} context
   */
  constructor(host, context) {
    this.#host = host;
    this.#context = context;
  }

  /** @param {Collection | null} collection */
  update(collection) {
    if (!collection) return;
    const { name, temperature, null: nullKey } = collection;
    const shown = JSON.stringify([name, temperature, nullKey, collection.documents, collection.keyless]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#draw(collection);
  }

  /** @param {Collection} collection */
  #draw(collection) {
    const { say, api } = this.#context;
    const path = `/v1/collections/${encodeURIComponent(collection.name)}`;
    const { fields, read } = defaults(say, collection);
    const rest = h("p.problem", { role: "alert", id: "refusal" });
    const told = h("p", { role: "status", id: "kept" });
    const save = async () => {
      for (const field of fields) field.refuse("");
      put(rest, "");
      const change = read();
      if (!Object.keys(change).length) return put(told, say("settings.same"));
      try {
        await api.send("PATCH", path, change);
      } catch (failure) {
        if (!(failure instanceof SoftkvError)) throw failure;
        refuse(failure, fields, rest);
        return;
      }
      await this.#context.refresh();
      put(/** @type {Element} */ (document.querySelector("#kept") ?? told), say("settings.kept"));
    };
    fill(
      this.#host,
      h("h2", {}, say("settings.title", { name: collection.name })),
      h(
        "form.settling",
        {
          noValidate: true,
          onsubmit: (event) => {
            event.preventDefault();
            void save();
          },
        },
        fields.map(({ element }) => element),
        rest,
        h("div.buttons", {}, h("button.strong", { type: "submit", id: "keep" }, say("settings.keep"))),
        told,
      ),
      h("p.soft", {}, say("settings.fixed")),
      this.#deletion(collection, path),
    );
  }

  /**
   * @param {Collection} collection
   * @param {string} path
   */
  #deletion({ name, documents, keyless }, path) {
    const { say, api } = this.#context;
    const all = documents + keyless;
    const typed = h("input", {
      type: "text",
      id: "delete-name",
      autocomplete: "off",
      spellcheck: false,
      oninput: () => (sure.disabled = typed.value !== name),
    });
    const sure = h("button.danger", { type: "submit", id: "delete-collection", disabled: true }, say("delete.sure", { name }));
    const remove = async () => {
      const done = await this.#context.patiently(api.send("DELETE", path).then(() => true));
      if (!done) return;
      forget(name);
      this.#context.go({ collection: null, tab: null, doc: null });
      await this.#context.refresh();
      document.getElementById("stage")?.focus();
    };
    return h(
      "section.deletion",
      {},
      h("h3", {}, say("delete.title")),
      h("p", {}, say("delete.what", { count: all, documents: count(all) })),
      h(
        "form.line",
        {
          onsubmit: (event) => {
            event.preventDefault();
            if (typed.value === name) void remove();
          },
        },
        h("div.field", {}, h("label", { for: "delete-name" }, say("delete.type", { name })), typed),
        sure,
      ),
    );
  }
}
