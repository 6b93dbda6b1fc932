/** The tab Ask: a question with its options, the answer as weights, what it rests on, and the same call as a program. */

import { deeper, isAlone } from "../shared/assets.js";
import { isForeign } from "../shared/foreign.js";
import { choices, fill, h, put } from "../shared/element.js";
import { count, effective, fixed, levelText, percent, temperatureText } from "../shared/numbers.js";
import { clipped, isolated } from "../shared/words.js";
import { positionOf, STEPS, temperatureAt } from "../shared/scale.js";
import { biasBuilder } from "./bias.js";
import { readersOf } from "./client.js";
import { callTabs } from "./code.js";
import { Judging } from "./judging.js";
import { learner } from "./fields.js";
import { filterBuilder, plain } from "./filter.js";
import { Comparison, settingsOf } from "./held.js";
import { columnsControl, columnsIn, fieldsIn, nameOf, ordered, orderControl, orderIn, fieldOf } from "./order.js";
import { Picture } from "./picture.js";
import {
  bodyOf,
  conditionsOf,
  DEPTH,
  groupsOf,
  LATE_DEPTH,
  MOST_CHARACTERS,
  movesOf,
  OFF,
  parsed,
  posted,
  secondLook,
  TOP_K,
  temperatureIn,
  toggled,
  Unreadable,
} from "./question.js";
import { paths, text } from "./text.js";
import { csvLine, download, inert } from "./upload/csv.js";
import words from "./ask.json";

/** @typedef {import("./explorer.js").Collection} Collection */
/** @typedef {import("./explorer.js").Context} Context */

/** A knob that is turned is asked of when it rests for so long. */
const REST_MS = 120;
/** The most characters of a key in the verdict. */
const NAME = 60;
/** An error of the weights that no shown digit has. */
const EXACT = 0.0005;
const NULLS = ["auto", "lenient", "strict"];

/** @type {import("./explorer.js").Tab} */
export const ask = { id: "ask", words, needs: "read", mount };

/**
 * @param {HTMLElement} host
 * @param {Context} context
 */
function mount(host, context) {
  const { say, go } = context;
  /** @type {Collection | null} */
  let collection = null;
  const known = learner(context, () => show());
  let asked = "";
  /** The question of the address, as the form took it last. */
  let typed = "";
  let language = "python";
  let [waiting, sorted] = [0, ""];
  let running = new AbortController();

  const question = h("textarea.query", {
    id: "question",
    rows: 1,
    autocomplete: "off",
    onkeydown: (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      submit();
    },
  });
  const questionLabel = h("label", { for: "question" });
  const slider = h("input", {
    id: "temperature",
    type: "range",
    min: "0",
    max: String(STEPS),
    oninput: () => change({ t: written(temperatureAt(Number(slider.value))) }),
  });
  const temperature = h("output", { for: "temperature" });
  const reset = h("button.plain", { type: "button", id: "temperature-own", onclick: () => (change({ t: null }), slider.focus()) }, say("own"));
  const none = h("select", { id: "null", onchange: () => chooseNull() });
  const level = h("input", {
    id: "null-level",
    type: "number",
    step: "any",
    "aria-label": say("null.level"),
    onchange: () => change({ null: level.value || "0" }),
  });
  const top = h("input", { id: "top-k", type: "number", min: "0", max: "1000", placeholder: String(TOP_K), onchange: () => change({ k: top.value || null }) });
  const lambda = h("input", {
    id: "words",
    type: "number",
    min: "0",
    step: "0.01",
    placeholder: "0",
    onchange: () => change({ words: lambda.value || null }),
  });
  /** The models that can look twice; null before the service has said it. @type {import("./client.js").Readers | null} */
  let readers = null;
  const twice = h("input", {
    id: "twice",
    type: "checkbox",
    "aria-describedby": "twice-told",
    onchange: () => change({ twice: twice.checked ? twiceBy.value : OFF }),
  });
  const twiceBy = h("select", { id: "twice-by", "aria-label": say("twice.by"), onchange: () => change({ twice: twiceBy.value }) });
  const twiceTold = h("span.unseen", { id: "twice-told" });
  const twiceField = h("div.twice", { hidden: true }, h("label", {}, twice, " ", say("twice")), twiceBy, twiceTold);
  const group = h("select", { id: "group", onfocus: () => void known.learn(), onchange: () => change({ group: group.value || null }) });
  const filter = filterBuilder(say, "filter", (next) => change({ filter: next === undefined ? null : JSON.stringify(next) }), known.learn);
  const bias = biasBuilder(say, (terms) => change({ bias: terms.length ? JSON.stringify(terms) : null }), known.learn);
  const wordsField = h("div.field", {}, h("label", { for: "words" }, say("words")), lambda);
  const more = h("details.more", {}, h("summary", {}, say("more")), wordsField, h("h3", {}, say("bias")), bias.element);
  const hold = h("button", { type: "button", id: "hold", onclick: () => change({ held: context.said.has("held") ? null : settingsOf(context.said) }) });
  const comparison = new Comparison(context);
  const strip = h("p.strip", { id: "strip", role: "status" });
  /** Why the verdict is "none", of rows that resemble each other. */
  const strict = h("p.strict", { id: "strict", role: "status", hidden: true });
  /** Ways on from the verdict "none". */
  const ways = h("div.buttons.ways", { id: "ways", role: "group", "aria-label": say("ways"), hidden: true });
  const judging = new Judging(context);
  const notes = h("div.notes");
  const order = orderControl(say, say("head.weight"), (sort) => go({ sort }));
  const columns = columnsControl(say, (show) => go({ show }));
  const ordering = h("span", { id: "ordering", role: "status" });
  const headings = ["weight", "similarity"].map((name) => {
    const next = () => (name === "weight" ? null : context.said.get("sort") === "-similarity" ? "similarity" : "-similarity");
    return h("span", { role: "columnheader" }, h("button.plain", { type: "button", onclick: () => go({ sort: next() }) }, say(`head.${name}`)));
  });
  headings.push(h("span", { role: "columnheader" }, h("span.unseen", {}, say("held.row")), ordering));
  const heads = h("div.heads", { role: "row" }, headings);
  const results = h("div.results", { id: "results", role: "rowgroup" });
  const table = h("div", { role: "table", "aria-label": say("top"), hidden: true }, heads, results);
  const groups = h("section.groups", { id: "groups", hidden: true, "aria-label": say("groups") });
  const picture = new Picture(
    context,
    (t) => change({ t: written(t) }),
    async (call, body) => context.api.post(`/v1/collections/${encodeURIComponent(collection?.name ?? "")}/${call}`, body),
  );
  const raw = h("code");
  const whole = h(
    "details.raw",
    { hidden: true },
    h("summary", { id: "raw" }, say("raw")),
    h("pre", { tabIndex: 0, role: "region", "aria-label": say("raw") }, raw),
  );
  const kept = h("span.soft", { role: "status" });
  const saving = h("p.buttons", { hidden: true }, h("button", { type: "button", id: "save-answer", onclick: () => saveCsv() }, say("csv")), kept);
  const fillIt = h("button.strong", { type: "button", id: "fill", hidden: true, onclick: () => context.go({ tab: "upload" }) }, say("fill"));
  /** The answer that is shown. @type {any} */
  let shown = null;
  const call = callTabs(say, { chosen: () => language, choose: (id) => (language = id) });
  const form = h(
    "form.asking",
    { onsubmit: (event) => (event.preventDefault(), submit()) },
    h("div.line", {}, h("div.field.wide", {}, questionLabel, question), h("button.strong", { type: "submit", id: "ask" }, say("ask"))),
    h(
      "div.line",
      {},
      h("div.field.knob", {}, h("div.head", {}, h("label", { for: "temperature" }, say("temperature"), " ", temperature), reset), h("div.row", {}, slider)),
      h("div.field", {}, h("label", { for: "null" }, say("none")), h("div.row", {}, none, level)),
      h("div.field.short", {}, h("label", { for: "top-k" }, say("top")), top),
      context.isExported ? null : h("div.field", {}, h("label", { for: "group" }, say("group")), group),
    ),
    // An exported page weighs all rows by their keys alone.
    h("div.line.further", {}, context.isExported ? null : [filter.element, more, twiceField], hold, order.element, columns.element),
  );
  fill(
    host,
    form,
    h(
      "div.answer",
      {},
      strip,
      strict,
      ways,
      comparison.element,
      h("div.found", {}, table, groups),
      judging.element,
      notes,
      picture.element,
      fillIt,
      saving,
      whole,
    ),
    context.isExported ? null : call.element,
  );

  /** @param {import("./address.js").Patch} patch */
  function change(patch) {
    go(patch);
    show();
    window.clearTimeout(waiting);
    waiting = window.setTimeout(() => void answer(), REST_MS);
  }

  function submit() {
    typed = question.value.trim();
    go({ q: typed || null });
    asked = "";
    void answer();
  }

  function chooseNull() {
    if (none.value !== "level") return change({ null: none.value || null });
    change({ null: String(collection?.null_similarity ?? 0.5) });
    level.focus();
  }

  /** The form as the address has it. */
  function show() {
    const { said } = context;
    if (!collection) return;
    const chosen = temperatureIn(said);
    const own = collection.temperature;
    slider.value = String(positionOf(chosen ?? own));
    put(temperature, temperatureText(chosen ?? own));
    slider.setAttribute("aria-valuetext", temperatureText(chosen ?? own));
    reset.hidden = chosen === undefined;
    put(questionLabel, say(collection.encoder === null ? "question.vector" : "question"));
    const stated = said.get("null");
    const isLevel = stated !== undefined && stated !== "off" && !Number.isNaN(Number(stated));
    const names = collection.calibration ? [...NULLS, "calibrated"] : NULLS;
    const options = [
      ["", say("null.own", { null: collection.null === false ? say("null.off") : String(collection.null) })],
      ...names.map((name) => [name, name]),
      ["off", say("null.off")],
      ["level", say("null.level")],
    ];
    choices(none, options);
    none.value = isLevel ? "level" : (stated ?? "");
    level.hidden = !isLevel;
    if (isLevel) level.value = stated;
    top.placeholder = String(collection.defaults?.top_k ?? TOP_K);
    lambda.placeholder = String(collection.defaults?.full_text ?? 0);
    if (document.activeElement !== top) top.value = said.get("k") ?? "";
    if (document.activeElement !== lambda) lambda.value = said.get("words") ?? "";
    lambda.disabled = collection.encoder === null;
    showTwice(collection);
    const field = said.get("group") ?? "";
    const ofOneValue = [...known.fields].filter(([, { types }]) => !types.includes("list")).map(([name]) => name);
    const fieldNames = new Set([...ofOneValue, field].filter((name) => name.startsWith("metadata.")));
    choices(group, [["", say("group.none")], ...Array.from(fieldNames, (name) => [name, plain(name)])]);
    group.value = field;
    filter.show(parsed(said.get("filter")), known.fields);
    const terms = parsed(said.get("bias"));
    bias.show(terms, known.fields);
    if (["bias", "words"].some((name) => said.has(name))) more.open = true;
    put(hold, say(said.has("held") ? "held.end" : "held.begin"));
    if (said.has("filter") || said.has("bias")) void known.learn();
  }

  /** The box of the second look, if something can take it or waits, and a choice if that is not one alone. @param {Collection} of */
  function showTwice(of) {
    const { by, among, waits } = readers ? secondLook(context.said, of, readers) : { by: "", among: [], waits: "" };
    twiceField.hidden = !among.length && !waits;
    twice.disabled = !among.length;
    twice.checked = by !== "";
    twiceBy.hidden = among.length < 2;
    if (!among.length) {
      put(twiceTold, waits ? say(`twice.${waits}`, { most: count(MOST_CHARACTERS) }) : "");
      twiceField.title = twiceTold.textContent;
      return;
    }
    const options = among.map((one) => [one, say(`twice.by.${one}`)]);
    choices(twiceBy, options);
    twiceBy.value = by || among[0];
    put(twiceTold, say(twiceBy.value === "late" ? "twice.late" : "twice.told", { depth: twiceBy.value === "late" ? LATE_DEPTH : DEPTH }));
    twiceField.title = twiceTold.textContent;
  }

  /** Ask what the address says, unless that is what is shown. */
  async function answer() {
    if (!collection) return;
    comparison.element.hidden = !context.said.has("held");
    const { api, said, patiently, origin, isKeyed } = context;
    const of = collection;
    const able = await patiently(() => readersOf(api));
    if (able === undefined || collection !== of) return;
    readers = able;
    showTwice(of);
    let body;
    try {
      body = bodyOf(said, collection, able);
    } catch (failure) {
      if (!(failure instanceof Unreadable)) throw failure;
      call.show(null);
      return wipe(say("question.unread"));
    }
    const wanted = JSON.stringify([collection.name, body, said.get("held")]);
    if (wanted === asked) return;
    running.abort();
    running = new AbortController();
    const { signal } = running;
    asked = wanted;
    call.show(body && { origin, collection: collection.name, body, isKeyed });
    if (!body) return wipe("", say("hint"));
    const path = `/v1/collections/${encodeURIComponent(collection.name)}/attend`;
    const given = body;
    host.setAttribute("aria-busy", "true");
    const came = await patiently(() => posted(api, path, given, signal));
    if (signal.aborted) return;
    host.removeAttribute("aria-busy");
    if (came?.answer) {
      judging.show(of.name, given);
      picture.show(came.answer, given);
      draw(came.answer, given);
      void comparison.show(of, able, signal);
      if (typeof given.query === "string" && (await isForeign(api, given.query, of.encoder ?? "")) && !signal.aborted)
        strip.append(h("strong.reason", {}, say("foreign")));
      return;
    }
    if (!came) asked = "";
    wipe(came?.refused ? say("refused", { detail: came.refused }) : "");
  }

  /**
   * @param {string} reason why there is no answer
   * @param {string} [hint]
   */
  function wipe(reason, hint = "") {
    shown = null;
    fill(strip, reason);
    fill(notes, hint && h("p", {}, hint));
    fill(results);
    hold.hidden = !context.said.has("held");
    for (const part of [groups, strict, ways, table, order.element, columns.element, comparison.element, saving, judging.element]) part.hidden = true;
    fillIt.hidden = !collection || collection.documents + collection.keyless > 0 || !context.canWrite;
    picture.show(null);
    whole.hidden = true;
    strip.dataset.verdict = "refused";
    host.removeAttribute("aria-busy");
  }

  /**
   * @param {any} came the service's answer
   * @param {import("./question.js").Body} given the question
   */
  function draw(came, given) {
    const { rerank } = given;
    const { evidence, certificate, matches } = came;
    shown = came;
    /** A document of the reason: its key, and its id behind. @param {string} _ @param {string} id */
    const named = (_, id) => {
      const { key } = matches.find((/** @type {any} */ one) => one.id === id) ?? {};
      return key ? `“${isolated(clipped(key, NAME))}” (${isolated(id)})` : `“${isolated(id)}”`;
    };
    kept.textContent = "";
    saving.hidden = hold.hidden = !matches.length;
    fillIt.hidden = came.documents > 0 || collection?.documents !== 0 || !context.canWrite;
    whole.hidden = false;
    raw.textContent = JSON.stringify(came, null, 2);
    strip.dataset.verdict = evidence.verdict;
    fill(
      strip,
      h("strong", {}, say(evidence.alike ? "verdict.alike" : `verdict.${evidence.verdict}`)),
      evidence.verdict_certain ? null : [" · ", say("uncertain")],
      evidence.null_similarity === null ? null : [" · ", say("strip.none", { share: percent(evidence.null_weight) })],
      evidence.effective_documents < 1.05 ? null : [" · ", say("strip.rests", { count: effective(evidence.effective_documents) })],
      certificate.total_variation < EXACT ? null : [" · ", say("strip.off", { error: percent(certificate.total_variation) })],
      came.reason ? h("span.reason", { lang: "en" }, came.reason.replace(/“([^”]*)”/g, named)) : null,
      (came.warnings ?? []).map((/** @type {string} */ warning) => h("strong.reason", { lang: "en" }, warning)),
    );
    drawWays(evidence);
    void compareLenient(came);
    table.hidden = !matches.length && evidence.null_similarity === null;
    const facts = [
      say("took", { documents: count(came.documents), ms: fixed(came.took_ms, 1) }),
      came.full_text ? say("full", { count: count(came.full_text.documents), weight: String(came.full_text.weight) }) : "",
      came.certificate.reranked ? say(rerank?.model ? "looked.late" : "looked.model", { count: Math.min(came.certificate.reranked, came.documents) }) : "",
      came.unknown_tokens ? say("unknown", { count: came.unknown_tokens }) : "",
      came.applied ? say("applied", { defaults: JSON.stringify(came.applied) }) : "",
    ];
    const told = facts.filter(Boolean).map((fact) => h("p.soft", {}, fact));
    fill(notes, told, zoomLink(given));
    drawResults();
    drawGroups(groupsOf(came));
  }

  /** The order and the columns of the list, as the address names them. */
  function listedBy() {
    return [context.said.get("sort"), context.said.get("show")].join();
  }

  /**
   * A link to every number between the question and its weights.
   * @param {import("./question.js").Body} given
   */
  function zoomLink({ query, ...options }) {
    if (typeof query !== "string" || !collection || isAlone()) return null;
    const { name, encoder } = collection;
    const said = { q: query, collection: name, model: encoder ?? "", ask: JSON.stringify(options), back: window.location.hash.slice(1) };
    const parts = Object.entries(said).map(([part, text]) => `${part}=${encodeURIComponent(text)}`);
    return h("p", {}, h("a", { id: "zoom", href: `${deeper()}#zoom&${parts.join("&")}` }, say("zoom")));
  }

  /** The rows of the answer in the order that the reader chose. */
  function drawResults() {
    sorted = listedBy();
    const { evidence, certificate, matches, ...came } = shown;
    const [by, isMore] = [orderIn(context.said), came.rest_weight > 0 && came.documents > matches.length];
    const moves = certificate.reranked === undefined ? [] : movesOf(matches);
    const rows = ordered(matches, by, context.language);
    order.element.hidden = matches.length < 2;
    order.show(by, ["similarity", "key", "id", ...fieldsIn(matches)]);
    columns.show(columnsIn(context.said), fieldsIn(matches));
    const at = by ? (by.field === "similarity" ? 1 : 2) : 0;
    headings.forEach((head, i) => head.setAttribute("aria-sort", i === at ? (by && !by.isDown ? "ascending" : "descending") : "none"));
    put(ordering, by ? say("sort.shown", { count: matches.length, field: `“${nameOf(say, by.field)}”` }) : matches.length ? say("row.why") : "");
    fill(
      results,
      rows.map((match) => row(match, moves[matches.indexOf(match)] ?? 0, by?.field ?? "")),
      isMore ? other(came.rest_weight, "", say("rest", { count: count(came.documents - matches.length) })) : null,
      evidence.null_similarity === null ? null : other(evidence.null_weight, levelText(evidence.null_similarity, collection?.similarity ?? ""), say("none")),
    );
    mark();
  }

  /** Save the rows that are shown with their weights, as a table. */
  function saveCsv() {
    let guarded = 0;
    const cell = (/** @type {unknown} */ value) => {
      if (typeof value !== "string") return value === null || value === undefined ? "" : JSON.stringify(value); // a spreadsheet runs no number
      if (inert(value) !== value) guarded++;
      return inert(value);
    };
    const { evidence, matches } = shown;
    const fields = [...new Set(matches.flatMap((/** @type {any} */ one) => paths(one.metadata ?? {}).map(([path]) => `metadata.${path}`)))];
    const rows = ordered(matches, orderIn(context.said), context.language).map((one) => {
      return [one.id, one.weight, one.similarity, one.key, one.value, ...fields.map((field) => fieldOf(one, field))];
    });
    if (evidence.null_similarity !== null) rows.push(["", evidence.null_weight, evidence.null_similarity, say("none"), "", ...fields.map(() => "")]);
    const lines = [["id", "weight", "similarity", "key", "value", ...fields], ...rows].map((cells) => csvLine(cells.map(cell)));
    download(lines.join(""), `${collection?.name ?? "answer"}.csv`);
    kept.textContent = guarded ? say("csv.guarded", { count: guarded }) : "";
  }

  /** Ways on from the verdict "none": ask again with a lower null key, without one, or calibrate. @param {any} evidence */
  function drawWays(evidence) {
    const isNone = evidence.verdict === "none" && evidence.null_similarity !== null;
    /**
     * @param {string} id
     * @param {() => void} onclick
     */
    const way = (id, onclick) => h("button", { type: "button", id: `way-${id}`, onclick }, say(`way.${id}`));
    const again = (/** @type {string} */ key) => (change({ null: key }), none.focus());
    const isLenient = (context.said.get("null") ?? String(collection?.null)) === "lenient";
    ways.hidden = !isNone;
    fill(
      ways,
      isLenient ? null : way("lenient", () => again("lenient")),
      way("off", () => again("off")),
      context.canWrite ? way("calibrate", () => context.go({ tab: "calibrate" })) : null,
    );
  }

  /** Say that the rows resemble each other, in numbers, if "lenient" gives another verdict than "none". @param {any} came */
  async function compareLenient({ evidence, matches }) {
    strict.hidden = true;
    const choice = context.said.get("null") ?? String(collection?.null);
    if (evidence.verdict !== "none" || !["auto", "strict"].includes(choice) || !matches.length) return;
    const of = asked;
    const [name, body] = JSON.parse(of);
    const { group_by: _, ...question } = body;
    const lenient = await context.patiently(() =>
      posted(context.api, `/v1/collections/${encodeURIComponent(name)}/attend`, { ...question, null: "lenient", top_k: 1, include: [] }, running.signal),
    );
    const { verdict, null_similarity: level } = lenient?.answer?.evidence ?? { verdict: "none" };
    if (of !== asked || verdict === "none" || levelText(evidence.null_similarity, collection?.similarity ?? "") === "–") return;
    fill(strict, say("strict", { null: choice, own: fixed(evidence.null_similarity, 3), lenient: fixed(level, 3), best: fixed(matches[0].similarity, 3) }));
    strict.hidden = false;
  }

  /** The groups beside the results: a click limits the question to one, or takes that back. @param {ReturnType<typeof groupsOf>} of */
  function drawGroups({ groups: heaviest, rest }) {
    const field = context.said.get("group") ?? "";
    const filtered = parsed(context.said.get("filter"));
    groups.hidden = !heaviest.length;
    fill(
      groups,
      h("h3", {}, field.slice("metadata.".length)),
      h(
        "ul",
        {},
        heaviest.map(({ value, weight, documents }) => {
          const condition = { field, operator: "==", value };
          const isChosen = conditionsOf(filtered).some((one) => JSON.stringify(one) === JSON.stringify(condition));
          const next = toggled(filtered, condition);
          return h(
            "li",
            {},
            h(
              "button.group",
              {
                type: "button",
                "aria-pressed": String(isChosen),
                onclick: () => change({ filter: next === undefined ? null : JSON.stringify(next) }),
              },
              bar(weight),
              h("span.name", { dir: "auto" }, value === null ? say("group.missing") : text(value)),
              h("span.number.soft", {}, count(documents)),
            ),
          );
        }),
        rest ? h("li.other", {}, bar(rest), h("span.name", {}, say("group.rest"))) : null,
      ),
    );
  }

  /**
   * @param {any} match
   * @param {number} moved the places that the second look moved it up
   * @param {string} by the field that orders the rows
   */
  function row(match, moved, by) {
    const besides = new Set([...(by.startsWith("metadata.") ? [by] : []), ...columnsIn(context.said)]);
    const words = [
      h("span.key", { dir: "auto" }, match.key ?? match.id),
      h("span.value", { dir: "auto" }, text(match.value) === match.key ? "" : text(match.value)),
      moved ? h("span.moved", {}, moved > 0 ? "▲ " : "▼ ", say(moved > 0 ? "moved.up" : "moved.down", { count: Math.abs(moved) })) : null,
      match.confidence === undefined ? null : h("span.soft", {}, say("confidence", { share: percent(match.confidence) })),
    ];
    return h(
      "div.match",
      { role: "row", "data-id": match.id, "data-weight": match.weight, "data-moved": moved },
      weighed(match.weight, fixed(match.similarity, 3)),
      h("span", { role: "cell" }, h("button.result", { type: "button", onclick: () => go({ doc: match.id }) }, words)),
      h(
        "span.id.number",
        { role: "cell" },
        h("bdi", {}, match.id),
        Array.from(besides, (field) =>
          h("span.by", {}, field === by ? null : h("bdi.soft", {}, plain(field), " "), h("bdi", {}, text(fieldOf(match, field) ?? "–"))),
        ),
      ),
      judging.marks(match.id, match.key ?? match.id),
    );
  }

  /**
   * The row of the null key or of the rest.
   * @param {number} weight
   * @param {string} similarity
   * @param {string} name
   */
  function other(weight, similarity, name) {
    return h("div.match.other", { role: "row" }, weighed(weight, similarity), h("span", { role: "cell" }, name));
  }

  /**
   * The cells of a weight and a similarity.
   * @param {number} weight
   * @param {string} similarity
   */
  function weighed(weight, similarity) {
    return [h("span", { role: "cell" }, bar(weight)), h("span.likeness.number", { role: "cell" }, similarity)];
  }

  /** Mark the result whose document is at the right. */
  function mark() {
    const id = context.said.get("doc");
    for (const item of results.querySelectorAll("[data-id]")) {
      const isShown = /** @type {HTMLElement} */ (item).dataset.id === id;
      item.querySelector("button")?.setAttribute("aria-expanded", String(isShown));
    }
  }

  return {
    /** @param {Collection | null} next */
    update(next) {
      const isOther = next?.name !== collection?.name;
      if (next !== collection) asked = ""; // it was changed, or is another
      known.take(next);
      collection = next;
      if (!collection) return;
      const wanted = context.said.get("q") ?? "";
      if (wanted !== typed) question.value = typed = wanted;
      if (isOther) wipe("");
      show();
      if (shown && sorted !== listedBy()) drawResults();
      mark();
      void answer();
    },
    leave() {
      window.clearTimeout(waiting);
      running.abort();
    },
    get shown() {
      return picture.shown;
    },
  };
}

/** @param {number} temperature */
function written(temperature) {
  return temperature === Infinity ? "inf" : String(temperature);
}

/** A weight, as a bar and as a number. @param {number} weight */
function bar(weight) {
  return h(
    "span.share",
    {},
    h("span.bar-of", {}, h("span.fill", { style: { width: `${Math.max(weight * 100, weight > 0 ? 0.5 : 0)}%` } })),
    h("span.number", {}, percent(weight)),
  );
}
