/** The document beside the collection: what it holds, why it has its weight, what is near it, and how it is changed. */

import { NotFound, SoftkvError, Unreachable } from "../shared/api.js";
import { each, fill, h } from "../shared/element.js";
import { fixed, percent, similarityText } from "../shared/numbers.js";
import { Editor } from "./editor.js";
import { readersOf } from "./client.js";
import { bodyOf, conditionsOf, parsed, Unreadable } from "./question.js";
import { lines, paths, text } from "./text.js";
import { wordsMet } from "../shared/words-met.js";
import words from "./document.json";

/** @typedef {import("./explorer.js").Collection} Collection */
/** @typedef {import("./explorer.js").Context} Context */
/** @typedef {{id: string, key: string | null, value: any, metadata: Record<string, any>, expires?: string}} Document */

/** The number of near documents in the list. */
const NEAR = 5;
/** Words of a question that are left out, one at a time. */
const MOST_WORDS = 40;
/** A word that moves the similarity by less has not moved it. */
const LEAST = 0.005;

/** @type {import("./explorer.js").Tab} */
export const panel = { id: "document", words, needs: "read", mount };

/**
 * @param {HTMLElement} host
 * @param {Context} context
 */
function mount(host, context) {
  const { say, go, patiently, api } = context;
  /** @type {Collection | null} */
  let collection = null;
  let id = "";
  let explained = "";
  /** @type {Document | null} */
  let shown = null;
  /** The element that had the focus, and gets it back. @type {Element | null} */
  let opener = null;
  const heading = h("h2.number", { tabIndex: -1 });
  const contents = h("div.contents");
  const kept = h("p.soft", { id: "saved", role: "status" });
  const why = h("section.why", { hidden: true });
  const near = h("section.near", { hidden: true });
  const changing = h("section.changing", { hidden: true });
  fill(
    host,
    h("header", {}, heading, h("button.plain", { type: "button", id: "document-close", "aria-label": say("close"), title: say("close"), onclick: close }, "✕")),
    contents,
    kept,
    changing, // before what comes later, which would move it away from under a pointer
    why,
    near,
  );
  host.setAttribute("aria-label", say("name"));
  host.onkeydown = (event) => {
    // In a field Escape would throw away what was typed.
    if (event.key !== "Escape" || event.defaultPrevented || (event.target instanceof Element && event.target.closest("textarea"))) return;
    event.preventDefault();
    close();
  };

  function close() {
    go({ doc: null });
    if (opener?.isConnected) /** @type {HTMLElement} */ (opener).focus();
    else document.getElementById("stage")?.focus();
  }

  function path(of = id) {
    return `/v1/collections/${encodeURIComponent(collection?.name ?? "")}/documents/${encodeURIComponent(of)}`;
  }

  /** @returns {Promise<Document | null>} */
  async function read() {
    try {
      return await api.get(path());
    } catch (failure) {
      if (failure instanceof NotFound) return null;
      throw failure;
    }
  }

  async function load() {
    const wanted = id;
    const came = await patiently(read);
    if (came === undefined || wanted !== id) return;
    shown = came;
    fill(kept);
    fill(heading, id);
    for (const part of [why, near, changing]) part.hidden = true;
    if (!came) return fill(contents, h("p.empty", {}, say("missing")));
    show(came);
    edit(came);
    explained = "";
    await Promise.all([explain(), neighbours(wanted)]);
  }

  /** @param {Document} one */
  function show(one) {
    const metadata = paths(one.metadata);
    const isSame = text(one.value) === one.key;
    fill(
      contents,
      h("h3", {}, say("key")),
      h("p.key.long", { dir: "auto" }, one.key ?? say("keyless")),
      h("h3", {}, say("value")),
      isSame
        ? h("p.soft", {}, say("same"))
        : typeof one.value === "string"
          ? h("p.value.long", { dir: "auto" }, one.value)
          : h("pre.value", {}, lines(one.value)),
      h("h3", {}, say("metadata")),
      metadata.length
        ? h(
            "dl.facts",
            {},
            metadata.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, h("bdi", {}, text(value)), filtering(name, value)))),
          )
        : h("p.soft", {}, say("metadata.none")),
      one.expires ? h("p.soft", {}, say("expires", { at: one.expires })) : null,
    );
  }

  /**
   * A button that adds a value to the filter; a list's first scalar stands for it.
   * @param {string} name
   * @param {any} value
   */
  function filtering(name, value) {
    const one = Array.isArray(value) ? value[0] : value;
    if (one === undefined || typeof one === "object") return null;
    const condition = { field: `metadata.${name}`, operator: Array.isArray(value) ? "contains" : "==", value: one };
    if (context.isExported) return null; // it filters by no field
    const words = say("only", { field: name, value: text(one) });
    return h("button.plain.only", { type: "button", "aria-label": words, title: words, onclick: () => narrow(condition) }, "⌕");
  }

  /** @param {import("./filter.js").Condition} condition */
  function narrow(condition) {
    const conditions = [...conditionsOf(parsed(context.said.get("filter"))), condition];
    go({ filter: JSON.stringify(conditions.length > 1 ? { operator: "AND", conditions } : condition) });
  }

  /** Why the document has its weight in the answer to the question of the address. */
  async function explain() {
    if (!collection || !shown) return;
    const of = id;
    const among = collection;
    const readers = await patiently(() => readersOf(api));
    if (readers === undefined || of !== id || among !== collection) return;
    let body;
    try {
      body = bodyOf(context.said, among, readers);
    } catch (failure) {
      if (!(failure instanceof Unreadable)) throw failure;
      body = null;
    }
    const wanted = JSON.stringify([id, body]);
    if (wanted === explained) return;
    explained = wanted;
    why.hidden = !body;
    if (!body) return;
    const attend = `/v1/collections/${encodeURIComponent(collection.name)}/attend`;
    const { group_by: _, ...asked } = body;
    const answer = await patiently(() => api.post(attend, { ...asked, include: ["explanation"] }));
    const wording = typeof body.query === "string" ? wordsOf(body.query, context.language) : [];
    const left = wording.length > 1 ? await patiently(() => without(attend, String(asked.query), wording, of)) : null;
    if (answer === undefined || wanted !== explained) return;
    const match = answer.matches.find((/** @type {any} */ one) => one.id === of);
    fill(
      why,
      h("h3", {}, say("why")),
      match ? sum(match, answer) : h("p.soft", {}, say("why.not", { count: answer.matches.length })),
      match ? met(match) : null,
      left ? leftOut(left) : null,
    );
  }

  /**
   * The similarity of the document to the question, whole and without each of its words.
   *
   * @param {string} attend
   * @param {string} query
   * @param {{text: string, start: number, end: number}[]} wording
   * @param {string} of
   */
  async function without(attend, query, wording, of) {
    const some = wording.slice(0, MOST_WORDS);
    const queries = [query, ...some.map(({ start, end }) => (query.slice(0, start) + query.slice(end)).trim())];
    const asked = { queries, filter: { field: "id", operator: "==", value: of }, null: false, rerank: null, top_k: 1, include: [] };
    const { results } = await api.post(attend, asked);
    const [whole, ...others] = results.map((/** @type {any} */ one) => one.matches[0]?.similarity ?? null);
    return whole === null ? null : some.map((word, i) => ({ word: word.text, moved: whole - others[i] }));
  }

  /** The words by what leaving each out takes from the similarity. @param {{word: string, moved: number}[]} moved */
  function leftOut(moved) {
    const most = Math.max(...moved.map((one) => Math.abs(one.moved)), LEAST);
    const best = moved.reduce((first, one) => (one.moved > first.moved ? one : first));
    return h(
      "div",
      { id: "left-out" },
      h("p", {}, best.moved >= LEAST ? say("left.best", { word: best.word, moved: fixed(best.moved) }) : say("left.none")),
      each("ul.words-moved", {}, moved, ({ word, moved }) =>
        h(
          "li",
          {},
          h("span.query", {}, word),
          h("span.bar-of", {}, h(`span.fill${moved < 0 ? ".less" : ""}`, { style: { width: `${(100 * Math.abs(moved)) / most}%` } })),
          h("span.number", {}, `${moved >= 0 ? "+" : ""}${fixed(moved)}`),
        ),
      ),
    );
  }

  /** The words of the question and of the key that late interaction brought together. @param {any} match */
  function met({ explanation: { addends = [] } }) {
    const { pairs = [] } = addends.find((/** @type {any} */ one) => one.of === "late") ?? {};
    return pairs.length && shown?.key ? wordsMet(say, shown.key, pairs) : null;
  }

  /**
   * The sum that gave a weight, line by line. Late interaction divides what came before it, the other keys too.
   * @param {any} match
   * @param {any} answer
   */
  function sum(match, answer) {
    const { similarity, temperature, addends = [], logit, log_weight_of_other_parts: others, log_partition: partition, log_weight: weight } = match.explanation;
    /** @type {[string, string][]} */
    const steps = [[say("step.similarity"), fixed(similarity, 4)]];
    if (temperature > 0) steps.push([say("step.divided", { temperature: String(temperature) }), fixed(similarity / temperature, 3)]);
    const late = addends.find((/** @type {any} */ one) => one.of === "late" && one.addend);
    for (const one of addends) {
      if (one === late) continue;
      const names = { full_text: say("step.words"), rerank: say("step.rerank"), late: say("step.rerank"), bias: one.field ?? say("step.filter") };
      steps.push([names[/** @type {keyof typeof names} */ (one.of)], signed(one.addend)]);
    }
    const parts = /** @type {[string, string][]} */ (others ? [[say("step.parts"), signed(others)]] : []);
    if (late) {
      steps.push(...parts, [say("step.late", { cosine: fixed(late.similarity, 3) }), signed(late.words)]);
      steps.push([say("step.late.divided"), `÷ ${late.divisor}`], [say("step.late.shift"), signed(late.shift)]);
      steps.push([say("step.logit"), fixed(logit + (others || 0), 3)]);
    } else {
      if (logit !== null) steps.push([say("step.logit"), fixed(logit, 3)]);
      steps.push(...parts);
    }
    if (partition !== null) steps.push([say("step.partition"), signed(-partition)]);
    if (weight !== null) steps.push([say("step.log"), fixed(weight, 3)]);
    const rank = answer.matches.indexOf(match) + 1;
    return [
      h("p", {}, say("why.rank", { rank, weight: percent(match.weight) })),
      h(
        "table.sum",
        { id: "sum" },
        h("caption.unseen", {}, say("why")),
        h(
          "tbody",
          {},
          steps.map(([name, number]) => h("tr", {}, h("th", { scope: "row" }, name), h("td.number", {}, number))),
          h("tr.total", {}, h("th", { scope: "row" }, say("step.weight")), h("td.number.weight", {}, percent(match.weight))),
        ),
      ),
    ];
  }

  /** The documents nearest to the document's own key. @param {string} of */
  async function neighbours(of) {
    const found = await patiently(async () => {
      const { key_vector: vector, key_vectors: several } = await api.get(`${path(of)}?include=key_vector&vector_format=base64`);
      const query = vector ?? several?.[0];
      if (!query || !collection) return null;
      const asked = { query, filter: { field: "id", operator: "!=", value: of }, null: false, bias: null, top_k: NEAR, include: ["key"] };
      return api.post(`/v1/collections/${encodeURIComponent(collection.name)}/attend`, asked);
    });
    if (!found || of !== id) return;
    const matches = [...found.matches].sort((a, b) => b.similarity - a.similarity);
    near.hidden = !matches.length;
    fill(
      near,
      h("h3", {}, say("near")),
      each("ul.neighbours", { id: "near" }, matches, (one) =>
        h(
          "li",
          {},
          h(
            "button.result",
            { type: "button", onclick: () => go({ doc: one.id }) },
            h("span.key", { dir: "auto" }, one.key ?? one.id),
            h("span.number", {}, similarityText(one.similarity)),
          ),
        ),
      ),
    );
  }

  /** @param {Document} one */
  function edit(one) {
    changing.hidden = !context.canWrite;
    if (!context.canWrite) return fill(changing);
    const editor = new Editor(say, one, {
      read,
      send: (patch) => api.send("PATCH", path(), patch, { "Idempotency-Key": crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}` }),
      saved: async (changed) => {
        shown = changed;
        show(changed);
        edit(changed);
        fill(kept, say("saved"));
        explained = "";
        await context.refresh();
        await Promise.all([explain(), neighbours(one.id)]);
        return undefined;
      },
    });
    fill(changing, editor.element, deleting(one));
  }

  /** @param {Document} one */
  function deleting(one) {
    const told = h("p.problem", { role: "alert" });
    const ask = h("button", { type: "button", id: "delete", onclick: () => sure() }, say("delete"));
    const element = h("div.deleting", {}, ask);

    function sure() {
      const keep = h("button", { type: "button", id: "delete-keep", onclick: back }, say("delete.keep"));
      const yes = h("button.danger", { type: "button", id: "delete-sure", onclick: () => void remove() }, say("delete.sure", { id: one.id }));
      const question = h("p", { id: "delete-question" }, say("delete.question", { id: one.id, collection: collection?.name ?? "" }));
      fill(element, question, h("div.buttons", {}, yes, keep), told);
      keep.focus();
    }

    function back() {
      fill(element, ask);
      ask.focus();
    }

    async function remove() {
      try {
        await api.send("DELETE", path());
      } catch (failure) {
        if (!(failure instanceof SoftkvError)) throw failure;
        // The document is deleted, as intended. A lost answer ends here too.
        if (!(failure instanceof NotFound)) return fill(told, failure instanceof Unreachable ? say("write.away") : failure.detail);
      }
      close();
      await context.refresh();
      return undefined;
    }

    return element;
  }

  return {
    /** @param {Collection | null} next */
    update(next) {
      const wanted = context.said.get("doc") ?? "";
      const isOther = wanted !== id || next?.name !== collection?.name;
      collection = next;
      if (!isOther) return void explain();
      const active = document.activeElement;
      if (active && !host.contains(active) && active !== document.body) opener = active;
      id = wanted;
      fill(heading, id);
      void load();
      if (active !== document.body) heading.focus();
    },
    leave() {
      id = "";
      host.onkeydown = null;
    },
  };
}

/** A number that is added, with its sign. @param {number} number */
function signed(number) {
  return `${number < 0 ? "−" : "+"} ${fixed(Math.abs(number), 3)}`;
}

/**
 * The words of a text with their places, as its language divides it.
 * @param {string} query
 * @param {string} language
 */
function wordsOf(query, language) {
  const all = [...new Intl.Segmenter(language, { granularity: "word" }).segment(query)];
  return all.filter(({ isWordLike }) => isWordLike).map(({ segment, index }) => ({ text: segment, start: index, end: index + segment.length }));
}
