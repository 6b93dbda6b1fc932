/** Terms that the metadata of a document adds to its logit: near to the largest number, a number times a factor, a value. */

import { fill, h } from "../shared/element.js";
import { isDated, isNumeric } from "./fields.js";
import { fieldChoice, offers, removal } from "./filter.js";

/** @typedef {import("./fields.js").Fields} Fields */
/** @typedef {import("../shared/words.js").Say} Say */
/** @typedef {"near" | "linear" | "log" | "value"} Kind */
/** @typedef {{field: string, kind: Kind, value: string, number: string}} Row */

/** The maximum number of terms in the service. */
const MOST = 8;

/**
 * @param {Say} say
 * @param {(terms: any[]) => void} changed tells the terms that are complete
 * @param {() => Promise<void>} learn shows the fields that are there
 */
export function biasBuilder(say, changed, learn) {
  /** @type {Fields} */
  let fields = new Map();
  /** @type {Row[]} */
  let rows = [];
  /** Terms that the form does not have, such as soft filters: they stay as they are. @type {any[]} */
  let others = [];
  let shown = "[]";
  const list = h("div.conditions");
  const add = h("button", { type: "button", id: "bias-add", onclick: () => void append() }, say("bias.add"));
  const element = h("fieldset.filter", {}, h("legend.unseen", {}, say("bias")), list, h("div.buttons", {}, add));

  async function append() {
    await learn();
    const field = names()[0];
    if (!field) return fill(list, h("p.soft", {}, say("bias.fieldless")));
    rows.push({ field, kind: kindsOf(field)[0], value: "", number: "" });
    draw();
    document.getElementById(`bias-field-${rows.length - 1}`)?.focus();
  }

  function names() {
    return [...fields.keys()].filter((name) => name.startsWith("metadata."));
  }

  /**
   * @param {string} field
   * @returns {Kind[]}
   */
  function kindsOf(field) {
    if (isDated(fields.get(field))) return ["near", "value"];
    return isNumeric(fields.get(field)) ? ["near", "linear", "log", "value"] : ["value"];
  }

  function tell() {
    const terms = [...rows.flatMap(termOf), ...others];
    shown = JSON.stringify(terms);
    changed(terms);
  }

  function draw() {
    add.disabled = rows.length + others.length >= MOST;
    fill(list, rows.map(line), others.length ? h("p.soft", {}, say("bias.others", { count: others.length })) : null);
  }

  /**
   * @param {Row} row
   * @param {number} i
   */
  function line(row, i) {
    const all = names().includes(row.field) ? names() : [row.field, ...names()];
    const field = fieldChoice({ id: `bias-field-${i}`, "aria-label": say("filter.field") }, all, row.field, (name) => {
      row.field = name;
      if (!kindsOf(row.field).includes(row.kind)) row.kind = kindsOf(row.field)[0];
      redraw(field.id);
    });
    const kinds = kindsOf(row.field).includes(row.kind) ? kindsOf(row.field) : [row.kind, ...kindsOf(row.field)];
    const kind = h(
      "select",
      {
        id: `bias-kind-${i}`,
        "aria-label": say("bias.kind"),
        onchange: () => {
          row.kind = /** @type {Kind} */ (kind.value);
          redraw(kind.id);
        },
      },
      kinds.map((name) => h("option", { value: name }, say(`bias.${name}`))),
    );
    kind.value = row.kind;
    const value = h("input", {
      id: `bias-value-${i}`,
      type: "text",
      value: row.value,
      hidden: row.kind !== "value",
      list: `bias-values-${i}`,
      autocomplete: "off",
      "aria-label": say("filter.value"),
      onchange: () => {
        row.value = value.value;
        tell();
      },
    });
    const isDuration = row.kind === "near" && (isDated(fields.get(row.field)) || DURATION.test(row.number));
    const label = say(isDuration ? "bias.near.duration" : `bias.${row.kind}.number`);
    const number = h("input", {
      id: `bias-number-${i}`,
      type: isDuration ? "text" : "number",
      step: isDuration ? null : "any",
      value: row.number,
      autocomplete: "off",
      "aria-label": label,
      placeholder: label,
      onchange: () => {
        row.number = number.value;
        tell();
      },
    });
    const remove = removal(say("bias.remove", { field: row.field }), () => {
      rows.splice(i, 1);
      redraw(add.id);
    });
    return h("div.condition", {}, field, kind, value, number, offers(`bias-values-${i}`, fields.get(row.field)), remove);
  }

  /** @param {string} focused */
  function redraw(focused) {
    draw();
    tell();
    document.getElementById(focused)?.focus();
  }

  return {
    element,
    /**
     * @param {any} terms of the address
     * @param {Fields} there
     */
    show(terms, there) {
      const given = Array.isArray(terms) ? terms : [];
      const isSame = JSON.stringify(given) === shown;
      if (isSame && fields === there && list.childNodes.length) return;
      fields = there;
      if (!isSame) {
        shown = JSON.stringify(given);
        const read = given.map((term) => ({ term, rows: rowsOf(term) }));
        rows = read.flatMap(({ rows }) => rows ?? []);
        others = read.filter(({ rows }) => !rows).map(({ term }) => term);
      }
      draw();
    },
  };
}

/** The age of a date: a number with its unit. */
const DURATION = /^\d+(\.\d+)?[smhdw]$/;

/**
 * The term of a row; none while its number is missing.
 * @param {Row} row
 * @returns {object[]}
 */
function termOf({ field, kind, value, number }) {
  if (kind === "near" && DURATION.test(number.trim())) return [{ field, half_life: number.trim() }];
  if (number === "" || Number.isNaN(Number(number))) return [];
  const amount = Number(number);
  if (kind === "near") return [{ field, half_life: amount }];
  if (kind === "linear") return [{ field, factor: amount }];
  if (kind === "log") return [{ field, scale: "log", factor: amount }];
  return value === "" ? [] : [{ field, weights: { [value]: amount } }];
}

/**
 * The rows of a term; null if the form does not have its kind.
 * @param {any} term
 * @returns {Row[] | null}
 */
function rowsOf(term) {
  const { field, ...rest } = term ?? {};
  const names = Object.keys(rest).sort().join();
  if (typeof field !== "string") return null;
  if (names === "half_life") return [{ field, kind: "near", value: "", number: String(rest.half_life) }];
  if (names === "factor") return [{ field, kind: "linear", value: "", number: String(rest.factor) }];
  if (names === "factor,scale") return [{ field, kind: "log", value: "", number: String(rest.factor) }];
  if (names !== "weights" || typeof rest.weights !== "object") return null;
  return Object.entries(rest.weights).map(([value, number]) => ({ field, kind: /** @type {Kind} */ ("value"), value, number: String(number) }));
}
