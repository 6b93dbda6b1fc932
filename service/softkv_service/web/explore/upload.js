/** The tab that fills a collection from a file: choose it, say what its columns are, and see the rows arrive. */

import { each, fill, h, put, scrollingTable } from "../shared/element.js";
import { count } from "../shared/numbers.js";
import { clipped } from "../shared/words.js";
import { clientOf } from "./client.js";
import { keepCommas } from "./fields.js";
import { removal } from "./filter.js";
import { text } from "./text.js";
import { assigned, columnOf, documentOf, guess, holes, keyedBy, keysOf, noticesAbout, ROLES, survey } from "./upload/columns.js";
import { download } from "./upload/csv.js";
import { openTable, UnreadableFile } from "./upload/table.js";
import { Upload } from "./upload/batches.js";
import { read } from "./upload/kinds.js";
import browserWords from "./browser.json";
import words from "./upload.json";

/** @typedef {import("./explorer.js").Collection} Collection */
/** @typedef {import("./explorer.js").Context} Context */
/** @typedef {import("./upload/columns.js").Mapping} Mapping */
/** @typedef {import("./upload/columns.js").Role} Role */
/** @typedef {import("./upload/columns.js").Survey} Survey */
/** @typedef {import("./upload/table.js").Flaw} Flaw */
/** @typedef {import("./upload/table.js").Reading} Reading */
/** @typedef {import("./upload/table.js").Table} Table */
/**
 * @typedef {object} Session a file that is being uploaded, or will be
 * @property {File} file
 * @property {Table} table
 * @property {Survey} survey
 * @property {Mapping} mapping
 * @property {Reading} reading
 * @property {Upload | null} upload
 */

const ENCODINGS = ["utf-8", "utf-16le", "windows-1252", "gb18030", "big5", "shift_jis", "euc-kr"];
/** Files whose table may begin below their first row, which the service reads. */
const SHEETS = /\.(xlsx|xlsm|xlsb|xls|ods)$/i;
/** The contents of columns that may be joined to the key. */
const JOINABLE = new Set(/** @type {import("./upload/columns.js").Kind[]} */ (["text", "number", "boolean", "mixed"]));
const SHOWN_REFUSALS = 50;
const SHOWN_DOCUMENTS = 3;
const LONGEST = 60;
/** Colours have meanings on this page: a key is blue, a value green. @type {Partial<Record<Role, string>>} */
const COLOURS = { key: "key", key_vector: "key", value: "value", value_vector: "value" };

/** By collection: an upload goes on while another tab is shown. @type {Map<string, Session>} */
const sessions = new Map();
/** Files that were chosen before their collection was made. @type {Map<string, File>} */
const handed = new Map();

/**
 * Keep a file for the tab of a collection.
 * @param {string} collection
 * @param {File} file
 */
export function hand(collection, file) {
  handed.set(collection, file);
}

/** Stop the upload into a collection that is deleted, and forget its file. @param {string} collection */
export function forget(collection) {
  sessions.get(collection)?.upload?.stop();
  sessions.delete(collection);
}

/** @type {import("./explorer.js").Tab} */
export const upload = { id: "upload", words, needs: "write", mount: (host, context) => new UploadTab(host, context) };

/** This tab in an exported page: rows are read and kept in the browser. @type {import("./explorer.js").Tab} */
export const add = {
  ...upload,
  words: { en: { ...words.en, ...browserWords.en }, zh: { ...words.zh, ...browserWords.zh } },
  needs: "read",
  of: "own",
};

class UploadTab {
  #host;
  #context;
  #say;
  #name = "";
  #reading = new AbortController();
  /** Callbacks for the progress of the upload. */
  #changed = () => {};

  /**
   * @param {HTMLElement} host
   * @param {Context} context
   */
  constructor(host, context) {
    this.#host = host;
    this.#context = context;
    this.#say = context.say;
    takeDrops(host, (file) => void (this.#session?.upload?.isUnderWay || this.#open(file, {})));
  }

  get #session() {
    return sessions.get(this.#name);
  }

  /** @param {Collection | null} collection */
  update(collection) {
    const name = collection?.name ?? "";
    if (name === this.#name) return;
    this.leave();
    this.#name = name;
    const file = handed.get(name);
    handed.delete(name);
    if (file) void this.#open(file, {});
    else this.#draw();
  }

  leave() {
    this.#reading.abort();
    this.#session?.upload?.removeEventListener("change", this.#changed);
  }

  #draw() {
    const session = this.#session;
    if (!session) this.#drawChoice(null);
    else if (session.upload) this.#drawUpload(session, session.upload);
    else this.#drawMapping(session);
  }

  /** @param {Flaw | null} flaw why the file before could not be read */
  #drawChoice(flaw) {
    fill(
      this.#host,
      h("h2", {}, this.#say("choose")),
      filePicker(this.#say, (file) => this.#open(file, {})),
      h("p.soft", {}, this.#say("formats")),
      flaw ? h("p.notice", { role: "alert", id: "unreadable" }, this.#sentence(flaw)) : null,
    );
  }

  /**
   * Look at a file: what it is, how many rows it has and what its columns hold.
   * @param {File} file
   * @param {Reading} reading
   */
  async #open(file, reading) {
    this.#reading.abort();
    const { signal } = (this.#reading = new AbortController());
    const name = this.#name;
    const told = h("p", { role: "status", id: "reading" });
    fill(this.#host, h("h2", {}, file.name), told);
    put(told, this.#say("reading"));
    try {
      const readByService = (/** @type {File} */ chosen) => {
        if (this.#context.isExported) throw new UnreadableFile("file.foreign");
        return clientOf(this.#context.api).table(chosen, chosen.name, { header_row: reading.header }, { signal });
      };
      const table = await openTable(file, readByService, reading);
      const surveyed = await survey(table, signal, (share, rows) =>
        put(told, this.#say("reading.rows", { percent: Math.round(100 * share), rows: count(rows) })),
      );
      if (!surveyed.rows) throw new UnreadableFile("file.empty");
      const mapping = guess(table, surveyed, this.#context.collection?.encoder !== null);
      sessions.set(name, { file, table, survey: surveyed, mapping, reading, upload: null });
      this.#draw();
      this.#host.querySelector("h2")?.focus();
    } catch (failure) {
      if (signal.aborted) return;
      if (failure instanceof UnreadableFile && failure.flaw.name === "file.encoding") return this.#drawEncodings(file, failure.flaw, reading);
      if (failure instanceof UnreadableFile) return this.#drawChoice(failure.flaw);
      this.#drawChoice({ name: "file.damaged", places: { reason: failure instanceof Error ? failure.message : String(failure) } });
    }
  }

  /**
   * @param {File} file
   * @param {Flaw} flaw
   * @param {Reading} reading
   */
  #drawEncodings(file, flaw, reading) {
    fill(
      this.#host,
      h("h2", {}, file.name),
      h("p.notice", { role: "alert", id: "unreadable" }, this.#sentence(flaw)),
      this.#encodings(reading.encoding ?? "utf-8", (encoding) => this.#open(file, { ...reading, encoding })),
      h("div.buttons", {}, this.#another()),
    );
  }

  /**
   * @param {string} now
   * @param {(encoding: string) => void} chosen
   */
  #encodings(now, chosen) {
    const select = each("select", { id: "encoding", onchange: () => chosen(select.value) }, ENCODINGS, (name) =>
      h("option", { value: name, selected: name === now }, name),
    );
    return h("label.field", {}, this.#say("encoding"), select);
  }

  #another() {
    const forget = () => {
      sessions.delete(this.#name);
      this.#drawChoice(null);
      /** @type {HTMLElement | null} */ (this.#host.querySelector("#choose"))?.focus();
    };
    return h("button", { type: "button", id: "another", onclick: forget }, this.#say("another"));
  }

  /** @param {Session} session */
  #drawMapping(session) {
    const { file, table, survey: surveyed, mapping, reading } = session;
    const say = this.#say;
    /**
     * @param {Mapping} next
     * @param {string} focus the id of what was changed
     */
    const become = (next, focus) => {
      session.mapping = next;
      this.#drawMapping(session);
      document.getElementById(focus)?.focus();
    };
    const problem = this.#problem(mapping);
    const missing = holes(surveyed, mapping);
    const { mostRows } = this.#context;
    const storable = surveyed.rows - surveyed.flawed - (missing ? missing.keyless + missing.nameless : 0);
    fill(
      this.#host,
      h("h2", {}, file.name),
      h(
        "p",
        { id: "counted" },
        say("counted", { count: surveyed.rows, rows: count(surveyed.rows), format: say(`format.${table.format}`), columns: surveyed.columns.length }),
      ),
      [...(table.notices ?? []), ...noticesAbout(mapping)].map((notice) => h("p.soft.about", {}, this.#sentence(notice))),
      surveyed.flawed ? h("p", { id: "flawed" }, say("counted.flawed", { count: surveyed.flawed, rows: count(surveyed.flawed) })) : null,
      table.format === "csv" ? this.#csvOptions(file, table, reading) : null,
      SHEETS.test(file.name) ? h("div.options", {}, this.#headerLine(file, table, reading)) : null,
      mapping.whole ? h("p", { id: "whole" }, say("whole")) : this.#columns(session, become),
      mapping.whole ? null : this.#key(session, become),
      mapping.whole || columnOf(mapping, "value") !== undefined || !keysOf(mapping).length ? null : h("p", { id: "no-value" }, say("value.none")),
      missing ? this.#doctor(session, missing, storable, become) : null,
      mapping.whole || columnOf(mapping, "id") !== undefined ? null : this.#prefix(session),
      h("h3", {}, say("first")),
      each("ol.made", {}, surveyed.first.slice(0, SHOWN_DOCUMENTS), (row) => this.#made(documentOf(row, mapping, table.typed))),
      problem ? h("p.notice", { id: "problem" }, problem) : null,
      storable > mostRows ? h("p.notice", { id: "most" }, say("most", { rows: count(mostRows) })) : null,
      h(
        "div.buttons",
        {},
        h(
          "button.strong",
          { type: "button", id: "send", disabled: problem !== null || !storable, onclick: () => void this.#start(session) },
          say("send", { count: storable, rows: count(storable) }),
        ),
        this.#another(),
      ),
      h("p.soft", {}, say("replaces")),
    );
  }

  /**
   * The rows that will be refused since they have no key or no id, and the columns that could be the key there.
   *
   * @param {Session} session
   * @param {NonNullable<ReturnType<typeof holes>>} missing
   * @param {number} storable
   * @param {(next: Mapping, focus: string) => void} become
   */
  #doctor({ mapping }, { keyless, nameless, instead }, storable, become) {
    const say = this.#say;
    if (!keyless && !nameless && mapping.fallback === undefined) return null;
    const keys = keysOf(mapping);
    const key = keys.join(" + ") || (columnOf(mapping, "key_vector") ?? "");
    const select = h(
      "select",
      { id: "fallback", onchange: () => become({ ...mapping, fallback: select.value || undefined }, "fallback") },
      h("option", { value: "" }, say("holes.skip")),
      instead.map(([name, rows]) =>
        h("option", { value: name, selected: name === mapping.fallback }, say("holes.use", { column: name, count: rows, rows: count(rows) })),
      ),
    );
    const told = [
      say("holes.stored", { count: storable, rows: count(storable) }),
      keyless ? say("holes.key", { count: keyless, rows: count(keyless), column: key }) : "",
      nameless ? say("holes.id", { count: nameless, rows: count(nameless), column: columnOf(mapping, "id") ?? "" }) : "",
    ];
    return h(
      "div.notice",
      { id: "doctor" },
      h("p", {}, told.filter(Boolean).join(" ")),
      instead.length ? h("label.field", {}, say("holes.there", { column: key }), select) : null,
    );
  }

  /** Why rows of this mapping would all be refused, or would never be found; null if they would not. @param {Mapping} mapping */
  #problem(mapping) {
    if (mapping.whole) return null;
    const encodes = this.#context.collection?.encoder !== null;
    if (columnOf(mapping, "key_vector") !== undefined) return null;
    if (!encodes) return this.#say("problem.vector");
    return keysOf(mapping).length ? null : this.#say("problem.key");
  }

  /**
   * @param {File} file
   * @param {Table} table
   * @param {Reading} reading
   */
  #csvOptions(file, table, reading) {
    const named = h("input", {
      type: "checkbox",
      id: "named",
      checked: reading.named ?? !table.columns.every((name, i) => name === String(i + 1)),
      onchange: () => this.#open(file, { ...reading, named: named.checked }),
    });
    return h(
      "div.options",
      {},
      h("label.check", {}, named, this.#say("named")),
      this.#headerLine(file, table, reading),
      this.#encodings(reading.encoding ?? "utf-8", (encoding) => this.#open(file, { ...reading, encoding })),
    );
  }

  /**
   * @param {File} file
   * @param {Table} table
   * @param {Reading} reading
   */
  #headerLine(file, table, reading) {
    const shown = table.header ?? reading.header ?? 1;
    const line = h("input", { type: "number", id: "header", min: "1", max: "1000000", value: String(shown) });
    line.onchange = () => void (line.reportValidity() && line.value && this.#open(file, { ...reading, header: Number(line.value) }));
    return h("label.field", {}, this.#say("header"), line);
  }

  /**
   * @param {Session} session
   * @param {(next: Mapping, focus: string) => void} become
   */
  #columns({ survey: { columns, rows, flawed, first }, mapping }, become) {
    const say = this.#say;
    const heads = ["column", "becomes", "holds", "example"].map((name) => h("th", { scope: "col" }, say(`head.${name}`)));
    /** @param {import("./upload/columns.js").Column} column @param {number} i */
    const dateChoice = ({ name, type }, i) => {
      if (!type?.formats.length) return null;
      const typed = (/** @type {string} */ format) => ({
        ...type,
        kind: /** @type {const} */ ("date"),
        remark: /** @type {const} */ ("dates"),
        formats: [format],
      });
      const select = h(
        "select",
        {
          id: `dates-${i}`,
          "aria-label": say("dates.of", { column: name }),
          onchange: () => {
            const chosen = select.value ? typed(select.value) : { ...type, kind: /** @type {const} */ ("text"), remark: undefined };
            become({ ...mapping, types: { ...mapping.types, [name]: chosen } }, select.id);
          },
        },
        h("option", { value: "" }, say("kind.text")),
        type.formats.map((format) => h("option", { value: format }, say("dates.as", { date: String(read(type.example, typed(format))) }))),
      );
      const now = mapping.types[name];
      select.value = now?.kind === "date" ? now.formats[0] : "";
      return select;
    };
    const lines = columns.map((column, i) => {
      const { name, kind, filled, dated } = column;
      const role = mapping.roles[name];
      const id = `role-${i}`;
      const select = each(
        "select",
        { id, "aria-label": say("role.of", { column: name }), onchange: () => become(assigned(mapping, name, /** @type {Role} */ (select.value)), id) },
        ROLES,
        (one) => h("option", { value: one, selected: one === role }, say(`role.${one}`)),
      );
      const example = first.map(({ fields }) => fields[name]).find((cell) => cell !== "" && cell !== null && cell !== undefined);
      return h(
        `tr${role === "skip" ? ".skipped" : ""}`,
        {},
        h(`th.${COLOURS[role] ?? "plain"}`, { scope: "row", dir: "auto" }, name),
        h("td", {}, select),
        h(
          "td",
          {},
          dateChoice(column, i) ?? say(`kind.${dated ? "date" : kind}`),
          filled < rows - flawed ? h("span.soft", {}, ` · ${say("filled", { percent: Math.floor((100 * filled) / (rows - flawed)) })}`) : null,
        ),
        h("td.example", { dir: "auto" }, shortened(example)),
      );
    });
    return scrollingTable(say("columns"), "table.columns", heads, lines);
  }

  /**
   * The columns that are the key, and those that can be joined to them.
   *
   * @param {Session} session
   * @param {(next: Mapping, focus: string) => void} become
   */
  #key({ survey: { columns }, mapping }, become) {
    const say = this.#say;
    const keys = keysOf(mapping);
    const others = columns.filter(({ name, kind }) => JOINABLE.has(kind) && !keys.includes(name));
    if (!keys.length || (keys.length === 1 && !others.length)) return null;
    const select = h(
      "select",
      { id: "join", "aria-label": say("join"), onchange: () => become(keyedBy(mapping, [...keys, select.value]), "join") },
      h("option", { value: "" }, say("join")),
      others.map(({ name }) => h("option", { value: name }, name)),
    );
    const without = (/** @type {string} */ column) =>
      removal(say("join.remove", { column }), () =>
        become(
          keyedBy(
            mapping,
            keys.filter((name) => name !== column),
          ),
          "join",
        ),
      );
    return h(
      "div.keys",
      { id: "keys" },
      h("span", {}, say("keys")),
      keys.map((name, i) => h("span", {}, i ? "+ " : null, h("span.key", { dir: "auto" }, name), keys.length > 1 ? without(name) : null)),
      others.length ? select : null,
    );
  }

  /** @param {Session} session */
  #prefix(session) {
    const input = h("input", {
      type: "text",
      id: "prefix",
      value: session.mapping.prefix,
      onchange: () => {
        session.mapping = { ...session.mapping, prefix: input.value };
        this.#drawMapping(session);
      },
    });
    return h("label.field", {}, this.#say("prefix", { line: `${session.mapping.prefix}${session.survey.first[0]?.line ?? 1}` }), input);
  }

  /** @param {ReturnType<typeof documentOf>} made */
  #made(made) {
    if (!made.document) return h("li", {}, this.#sentence(made.flaw));
    const { id, key, value, metadata, key_vector: vector } = made.document;
    return h(
      "li",
      {},
      h("span.number.soft", {}, shortened(id)),
      h("span.key", { dir: "auto" }, shortened(key ?? vector)),
      value === undefined ? null : h("span.value", { dir: "auto" }, shortened(value)),
      metadata ? h("code.soft", { dir: "auto" }, shortened(metadata)) : null,
    );
  }

  /** @param {Session} session */
  async #start(session) {
    await this.#context.encoder();
    const plan = { table: session.table, mapping: session.mapping, rows: session.survey.rows, collection: this.#name };
    session.upload = new Upload(this.#context.api, plan);
    const commas = Object.entries(session.mapping.types).filter(([name, type]) => session.mapping.roles[name] === "metadata" && type?.point === ",");
    keepCommas(
      this.#name,
      commas.map(([name]) => `metadata.${name}`),
    );
    void this.#run(session.upload);
    this.#draw();
    /** @type {HTMLElement | null} */ (this.#host.querySelector("#stop"))?.focus();
  }

  /** @param {Upload} upload */
  async #run(upload) {
    /** Closing the page loses the rows that are not sent yet. @param {Event} event */
    const hold = (event) => event.preventDefault();
    window.addEventListener("beforeunload", hold);
    try {
      await upload.run();
    } finally {
      window.removeEventListener("beforeunload", hold);
    }
    await this.#context.refresh();
  }

  /**
   * @param {Session} session
   * @param {Upload} upload
   */
  #drawUpload({ file, table }, upload) {
    const say = this.#say;
    const bar = h("progress", { id: "progress", max: upload.plan.rows, "aria-label": say("progress") });
    const figures = h("p.figures", { id: "figures" });
    const state = h("p", { id: "state", role: "status" });
    const buttons = h("div.buttons");
    const refusals = h("section.refusals", { id: "refusals" });
    fill(this.#host, h("h2", {}, say("to", { file: file.name, collection: this.#name })), bar, figures, state, buttons, refusals);
    let shown = { state: "", refused: -1 };
    this.#changed = () => {
      bar.value = upload.read;
      const seconds = upload.isUnderWay ? upload.secondsLeft : null;
      put(
        figures,
        [
          say("figures.rows", { read: count(upload.read), rows: count(upload.plan.rows) }),
          say("figures.stored", { stored: count(upload.stored) }),
          upload.refused.length ? say("figures.refused", { count: upload.refused.length, refused: count(upload.refused.length) }) : "",
          seconds === null ? "" : say("figures.left", { time: this.#time(seconds) }),
        ]
          .filter(Boolean)
          .join(" · "),
      );
      if (shown.refused !== upload.refused.length) this.#drawRefusals(refusals, table, upload);
      if (shown.state !== upload.state) {
        const hadFocus = buttons.contains(document.activeElement);
        put(state, this.#state(upload));
        fill(buttons, this.#buttons(upload));
        if (hadFocus) buttons.querySelector("button")?.focus();
      }
      shown = { state: upload.state, refused: upload.refused.length };
    };
    upload.addEventListener("change", this.#changed);
    this.#changed();
  }

  /** @param {Upload} upload */
  #state(upload) {
    const { failure } = upload;
    const places = { stored: count(upload.stored), count: upload.stored, reason: failure instanceof Error ? failure.message : "" };
    const ended = [this.#say(`state.${upload.state}`, places)];
    if (upload.state === "done" && upload.valuesWaiting) {
      ended.push(this.#say("values", { count: upload.valuesWaiting, values: count(upload.valuesWaiting) }));
    }
    if (upload.state === "done" && upload.truncated) {
      ended.push(this.#say("truncated", { count: upload.truncated, documents: count(upload.truncated) }));
    }
    return ended.join(" ");
  }

  /** @param {Upload} upload */
  #buttons(upload) {
    const say = this.#say;
    if (upload.isUnderWay) {
      return h("button", { type: "button", id: "stop", disabled: upload.state === "stopping", onclick: () => upload.stop() }, say("stop"));
    }
    const again = h("button.strong", { type: "button", id: "continue", onclick: () => void this.#run(upload) }, say("continue"));
    const ask = h("button.strong", { type: "button", id: "ask-it", onclick: () => this.#context.go({ tab: "ask" }) }, say("ask"));
    return [upload.state === "done" ? ask : again, this.#another()];
  }

  /**
   * @param {HTMLElement} host
   * @param {Table} table
   * @param {Upload} upload
   */
  #drawRefusals(host, table, upload) {
    const { refused } = upload;
    if (!refused.length) return fill(host);
    const say = this.#say;
    const guarded = h("p.soft", { role: "status" });
    const save = () => {
      const { csv, isGuarded } = upload.refusals((flaw) => this.#sentence(flaw));
      download(csv, `${table.name.replace(/\.[^.]*$/, "")}-refused.csv`);
      guarded.textContent = isGuarded ? say("refused.guarded") : "";
    };
    return fill(
      host,
      h("h3", {}, say("refused", { count: refused.length, rows: count(refused.length) })),
      h(
        "ol.refused",
        {},
        refused
          .slice(0, SHOWN_REFUSALS)
          .map(({ line, flaw }) => h("li", {}, h("span.soft", {}, say(table.lined ? "line" : "row", { line: count(line) })), " ", this.#sentence(flaw))),
      ),
      refused.length > SHOWN_REFUSALS ? h("p.soft", {}, say("refused.more", { rows: count(refused.length - SHOWN_REFUSALS) })) : null,
      h("button", { type: "button", id: "save-refused", onclick: save }, say("refused.save")),
      guarded,
    );
  }

  /** @param {Flaw | string} flaw */
  #sentence(flaw) {
    return typeof flaw === "string" ? flaw : this.#say(flaw.name, flaw.places);
  }

  /** @param {number} seconds */
  #time(seconds) {
    if (seconds < 90) return this.#say("seconds", { count: Math.ceil(seconds) });
    return this.#say("minutes", { count: Math.round(seconds / 60) });
  }
}

/**
 * A place to drop a file, with a button to choose one.
 *
 * @param {import("../shared/words.js").Say} say with the words of this tab
 * @param {(file: File) => void} chosen
 * @param {string} [invitation]
 */
export function filePicker(say, chosen, invitation = say("drop")) {
  const input = h("input", {
    type: "file",
    id: "file",
    accept:
      ".csv,.tsv,.tab,.md,.markdown,.txt,.json,.ndjson,.jsonl,.parquet,.pq,.gz,.xlsx,.xlsm,.xlsb,.xls,.ods,.arrow,.feather,.npy,.npz,.safetensors,.fvecs,.bvecs,.fbin,.u8bin,.i8bin,.hdf5,.h5,.h5ad,.mat,.vec,.bin,.bz2,.xz,.zst,.zip",
    "aria-label": say("choose.file"),
    tabIndex: -1,
    className: "unseen",
    onchange: () => {
      const [file] = input.files ?? [];
      if (file) chosen(file);
    },
  });
  const button = h("button.strong", { type: "button", id: "choose", onclick: () => input.click() }, say("choose.file"));
  const zone = h("div.drop", {}, h("p", {}, invitation), button, input);
  zone.addEventListener("dragenter", () => zone.classList.add("over"));
  for (const name of ["dragleave", "drop"]) zone.addEventListener(name, () => zone.classList.remove("over"));
  return zone;
}

/**
 * Take the file that is dropped anywhere in an element.
 * @param {HTMLElement} host
 * @param {(file: File) => void} take
 */
export function takeDrops(host, take) {
  host.addEventListener("dragover", (event) => event.preventDefault());
  host.addEventListener("drop", (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer?.files ?? [];
    if (file) take(file);
  });
}

/**
 * A name for a collection, made of a file's.
 * @param {string} file
 * @param {string} letters that it may have besides . _ and -, as in a class of a pattern
 */
export function nameOf(file, letters) {
  return file
    .replace(/\.[^.]*$/, "")
    .replace(new RegExp(`[^${letters}._-]+`, "gu"), "-")
    .replace(new RegExp(`^[^${letters}]+|-+$`, "gu"), "")
    .slice(0, 128);
}

/** A value on one line. @param {unknown} value */
function shortened(value) {
  return clipped(text(value ?? "").slice(0, 2 * LONGEST), LONGEST);
}
