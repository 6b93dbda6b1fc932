/** In an exported page, the tab that takes rows of the reader: from a file, or from a link that brings them along. */

import { fill, h } from "../shared/element.js";
import { count } from "../shared/numbers.js";
import { clientOf } from "./client.js";
import { unpacked } from "./link.js";
import words from "./own-rows.json";
import { speaker } from "./speaker.js";
import { filePicker, hand, nameOf, takeDrops } from "./upload.js";
import uploadWords from "./upload.json";

/** @typedef {import("./explorer.js").Context} Context */

/**
 * The tab. It is the one of the service in which a collection begins.
 * @param {Page.ExportedShelf} shelf
 * @returns {import("./explorer.js").Tab}
 */
export function ownRows(shelf) {
  return { id: "new", words, needs: "read", of: "service", mount: (host, context) => mount(host, context, shelf) };
}

/**
 * @param {HTMLElement} host
 * @param {Context} context
 * @param {Page.ExportedShelf} shelf
 */
function mount(host, context, { kept, mostRows }) {
  const { say, api, language } = context;
  const missing = h("p.notice", { id: "missing", hidden: true });
  const lasting = h("p.soft", { id: "lasting" });
  fill(
    host,
    h("h2", {}, say("title")),
    missing,
    h("p", {}, say("stay")),
    filePicker(speaker(uploadWords, language), (file) => void take(file), say("drop")),
    h("p.soft", {}, say("formats")),
    h("p.soft", {}, say("most", { rows: count(mostRows) })),
    lasting,
  );
  takeDrops(host, (file) => void take(file));
  void kept().then(({ isLasting }) => fill(lasting, say(isLasting ? "lasting" : "passing")));
  const linked = context.said.get("rows");
  if (linked) void bring(linked);

  /** Make a collection for a file, of the name that the address waits for or else of the file's. @param {File} file */
  async function take(file) {
    const wanted = context.said.get("collection");
    const { names } = await kept();
    const name = wanted && !names.includes(wanted) ? wanted : unused(nameOf(file.name, "\\p{L}\\p{N}") || "rows", names);
    hand(name, file);
    await begin(name);
    context.go({ tab: "upload", rows: null });
    await context.refresh(name);
  }

  /** @param {string} name */
  function begin(name) {
    return api.send("PUT", `/v1/collections/${encodeURIComponent(name)}`, {});
  }

  /** Take the rows of a link, and ask its question. @param {string} text */
  async function bring(text) {
    const rows = await unpacked(text);
    tell(rows ? say("linked", { count: rows.length }) : say("unread"));
    if (!rows) return;
    await context.encoder();
    const name = unused(context.said.get("collection") ?? "rows", (await kept()).names);
    await begin(name);
    await clientOf(api)
      .collection(name)
      .upsert(/** @type {any} */ (rows));
    context.go({ rows: null, tab: null });
    await context.refresh(name);
  }

  /** @param {string} text */
  function tell(text) {
    fill(missing, text);
    missing.hidden = false;
  }

  return {
    update() {
      const name = context.said.get("collection");
      if (name && !context.said.has("rows") && context.said.get("tab") !== "new") tell(say("missing", { name }));
    },
  };
}

/**
 * @param {string} name
 * @param {string[]} names
 */
function unused(name, names) {
  let free = name;
  for (let i = 2; names.includes(free); i++) free = `${name}-${i}`;
  return free;
}
