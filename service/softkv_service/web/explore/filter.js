/** The filter builder: conditions on the fields that are there, all of which or any of which hold; or a filter as JSON. */

import { each, fill, h } from "../shared/element.js";
import { isDated, isNumeric } from "./fields.js";
import { parsed } from "./question.js";
import { text as written } from "./text.js";
import { numberIn, writtenDate } from "./upload/kinds.js";

/** @typedef {import("./fields.js").Fields} Fields */
/** @typedef {import("../shared/words.js").Say} Say */
/** @typedef {{field: string, operator: string, value: any}} Condition */

const ORDER = ["<", "<=", ">", ">="];
const LISTS = ["in", "not in"];
/** Operators that compare values of the field's type. */
const COMPARED = ["==", "!=", ...ORDER, ...LISTS];
/** The operators of a filter, and two for a field that a document has not. */
const OPERATORS = ["==", "!=", ...ORDER, "contains", ...LISTS, "missing", "present"];

/**
 * A filter as conditions; null if it is deeper than the builder.
 * @param {any} filter
 * @returns {{join: "AND" | "OR", conditions: Condition[]} | null}
 */
function flat(filter) {
  if (filter === undefined || filter === null) return { join: "AND", conditions: [] };
  if (typeof filter !== "object") return null;
  if ("field" in filter) return { join: "AND", conditions: [filter] };
  const { operator, conditions } = filter;
  if (!["AND", "OR"].includes(operator) || !Array.isArray(conditions)) return null;
  return conditions.every((one) => one && typeof one === "object" && "field" in one) ? { join: operator, conditions } : null;
}

/**
 * A choice of one of several fields, by their names without "metadata.".
 *
 * @param {Record<string, unknown>} props @param {readonly string[]} names @param {string} chosen @param {(name: string) => void} changed
 */
export function fieldChoice(props, names, chosen, changed) {
  const select = each("select", { ...props, onchange: () => changed(select.value) }, names, (value) => h("option", { value }, plain(value)));
  select.value = chosen;
  return select;
}

/** The name of a field as it is shown. @param {string} field */
export function plain(field) {
  return field.replace(/^metadata\./, "");
}

/**
 * The frequent values of a field, which an input offers.
 * @param {string} id
 * @param {import("./fields.js").Facts | undefined} facts
 */
export function offers(id, facts) {
  return each("datalist", { id }, facts?.values ?? [], ({ value }) => h("option", { value: written(value) }));
}

/**
 * The button that takes a line away.
 * @param {string} label
 * @param {() => void} onclick
 */
export function removal(label, onclick) {
  return h("button.plain", { type: "button", "aria-label": label, title: label, onclick }, "✕");
}

/**
 * The operators that make sense for a field.
 * @param {Fields} fields
 * @param {string} field
 */
function operatorsOf(fields, field) {
  const facts = fields.get(field);
  if (!facts) return OPERATORS;
  const is = (/** @type {string} */ type) => facts.types.includes(type);
  const isList = is("list");
  return OPERATORS.filter((operator) => {
    if (ORDER.includes(operator)) return !isList && (is("integer") || is("number") || is("text"));
    if (operator === "contains") return isList || is("text");
    if (LISTS.includes(operator)) return !isList;
    if (["==", "!="].includes(operator)) return !isList;
    return field !== "id";
  });
}

/**
 * @param {Say} say
 * @param {string} id of the elements, of which a page may have several
 * @param {(filter: any) => void} changed tells the filter; undefined without a condition
 * @param {() => Promise<void>} learn shows the fields that are there; a large collection takes a while to tell them
 */
export function filterBuilder(say, id, changed, learn) {
  /** @type {Fields} */
  let fields = new Map();
  /** @type {any} */
  let filter;
  /** Conditions without a value stay in the form, and do not join the filter. @type {{field: string, operator: string, text: string}[]} */
  let rows = [];
  /** @type {"AND" | "OR"} */
  let join = "AND";
  let isJSON = false;
  const list = h("div.conditions");
  const problem = h("p.problem", { id: `${id}-problem`, role: "alert" });
  const add = h("button", { type: "button", id: `${id}-add`, onclick: () => void append() }, say("filter.add"));
  const raw = h("button.plain", { type: "button", id: `${id}-json`, onclick: () => swap() });
  const element = h("fieldset.filter", {}, h("legend.unseen", {}, say("filter")), list, problem, h("div.buttons", {}, add, raw));

  async function append() {
    await learn();
    const field = [...fields.keys()][0] ?? "key";
    rows.push({ field, operator: operatorsOf(fields, field)[0], text: "" });
    draw();
    document.getElementById(`${id}-field-${rows.length - 1}`)?.focus();
  }

  function swap() {
    if (isJSON && !flat(filter)) return fill(problem, say("filter.deep"));
    isJSON = !isJSON;
    take(filter);
    draw();
    (isJSON ? document.getElementById(`${id}-text`) : add)?.focus();
  }

  /** @param {any} next */
  function take(next) {
    const conditions = flat(next);
    if (!conditions) isJSON = true;
    rows = (conditions?.conditions ?? []).map(rowOf);
    join = conditions?.join ?? "AND";
  }

  /** Return what the value is read as if it is written otherwise, or that it is compared by letters. @param {{field: string, operator: string, text: string}} row */
  function about(row) {
    const facts = fields.get(row.field);
    if (!row.text.trim() || !COMPARED.includes(row.operator)) return "";
    const values = [conditionOf(row, fields).value].flat();
    if (isNumeric(facts) || isDated(facts)) {
      const odd = values.find((value) => typeof value === "string" && !(isDated(facts) && DATE.test(value)));
      if (odd !== undefined) return say(isNumeric(facts) ? "filter.number" : "filter.date", { text: odd });
      const read = values.map((value) => written(value?.datetime ?? value));
      return read.join(", ") === row.text.trim()
        ? ""
        : say("filter.read", {
            text: values.map((value, i) => (typeof value === "number" ? value.toLocaleString("en", { maximumFractionDigits: 20 }) : read[i])).join("; "),
          });
    }
    if (!ORDER.includes(row.operator) || !facts?.types.includes("text") || DATE.test(row.text.trim())) return "";
    return say("filter.letters", { field: plain(row.field) });
  }

  function tell() {
    const conditions = rows.filter(({ operator, text }) => text.trim() || ["missing", "present"].includes(operator)).map((row) => conditionOf(row, fields));
    filter = conditions.length > 1 ? { operator: join, conditions } : conditions[0];
    changed(filter);
  }

  function draw() {
    fill(problem);
    raw.textContent = say(isJSON ? "filter.rows" : "filter.json");
    add.hidden = isJSON;
    fill(list, isJSON ? text() : [rows.length > 1 ? joining() : null, rows.map(line)]);
  }

  function text() {
    const area = h("textarea", {
      id: `${id}-text`,
      rows: 4,
      spellcheck: false,
      "aria-label": say("filter.text"),
      "aria-describedby": `${id}-problem`,
      value: filter === undefined ? "" : JSON.stringify(filter, null, 2),
      onchange: () => {
        const next = area.value.trim() ? parsed(area.value) : undefined;
        const isWrong = area.value.trim() !== "" && (next === undefined || typeof next !== "object");
        area.setAttribute("aria-invalid", String(isWrong));
        fill(problem, isWrong ? say("filter.unread") : null);
        if (isWrong) return;
        filter = next;
        changed(filter);
      },
    });
    return area;
  }

  function joining() {
    const select = h(
      "select",
      {
        id: `${id}-join`,
        "aria-label": say("filter.join"),
        onchange: () => {
          join = select.value === "OR" ? "OR" : "AND";
          tell();
        },
      },
      h("option", { value: "AND" }, say("filter.all")),
      h("option", { value: "OR" }, say("filter.any")),
    );
    select.value = join;
    return select;
  }

  /**
   * @param {{field: string, operator: string, text: string}} row
   * @param {number} i
   */
  function line(row, i) {
    const names = fields.has(row.field) ? [...fields.keys()] : [row.field, ...fields.keys()];
    const operators = operatorsOf(fields, row.field);
    if (!operators.includes(row.operator)) operators.push(row.operator);
    const field = fieldChoice({ id: `${id}-field-${i}`, "aria-label": say("filter.field") }, names, row.field, (name) => {
      row.field = name;
      const fitting = operatorsOf(fields, row.field);
      if (!fitting.includes(row.operator)) row.operator = fitting[0];
      row.text = "";
      redraw(field.id);
    });
    const operator = h(
      "select",
      {
        id: `${id}-operator-${i}`,
        "aria-label": say("filter.operator"),
        onchange: () => {
          row.operator = operator.value;
          redraw(operator.id);
        },
      },
      operators.map((name) =>
        h("option", { value: name }, ["missing", "present"].includes(name) || /[a-z]/.test(name) ? say(`filter.${name.replace(" ", "-")}`) : SIGNS[name]),
      ),
    );
    operator.value = row.operator;
    const facts = fields.get(row.field);
    const value = h("input", {
      id: `${id}-value-${i}`,
      type: "text",
      value: row.text,
      list: `${id}-values-${i}`,
      inputMode: isNumeric(facts) && !LISTS.includes(row.operator) ? "decimal" : "text",
      autocomplete: "off",
      "aria-label": say("filter.value"),
      placeholder: LISTS.includes(row.operator) ? say("filter.several") : hint(facts),
      onchange: () => {
        row.text = value.value;
        told.textContent = about(row);
        tell();
      },
    });
    value.hidden = ["missing", "present"].includes(row.operator);
    const told = h("p.letters", { id: `${id}-letters-${i}`, role: "status" }, about(row));
    value.setAttribute("aria-describedby", told.id);
    return h(
      "div.condition",
      {},
      field,
      operator,
      value,
      offers(`${id}-values-${i}`, facts),
      removal(say("filter.remove", { field: row.field }), () => {
        rows.splice(i, 1);
        redraw(add.id);
      }),
      told,
    );
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
     * @param {any} next the filter of the address
     * @param {Fields} there
     */
    show(next, there) {
      const isSame = JSON.stringify(next) === JSON.stringify(filter);
      if (isSame && there === fields && list.childNodes.length) return;
      fields = there;
      if (!isSame) {
        filter = next;
        isJSON = false;
        take(next);
      }
      draw();
    },
  };
}

/** @type {Record<string, string>} */
const SIGNS = { "==": "=", "!=": "≠", "<": "<", "<=": "≤", ">": ">", ">=": "≥" };

/** A hint at the contents of a field: from its least value to its largest. @param {import("./fields.js").Facts | undefined} facts */
function hint(facts) {
  return facts && isNumeric(facts) && facts.min !== null ? `${facts.min} … ${facts.max}` : "";
}

/** A condition as its form holds it. @param {Condition} condition */
function rowOf({ field, operator, value }) {
  if (value === null && operator === "==") return { field, operator: "missing", text: "" };
  if (value === null && operator === "!=") return { field, operator: "present", text: "" };
  if (ORDER.includes(operator) && typeof value?.datetime === "string") return { field, operator, text: value.datetime };
  const text = Array.isArray(value) ? value.map(written).join(", ") : written(value);
  return { field, operator, text };
}

/** Dates of ISO 8601 begin so; the service reads the rest. An instant relative to the request is written now-7d. */
const DATE = /^(\d{4}-\d\d-\d\d([T ].*)?|now([+-]\d+(\.\d+)?[smhdw])?)$/;

/**
 * @param {{field: string, operator: string, text: string}} row
 * @param {Fields} fields
 * @returns {Condition}
 */
function conditionOf({ field, operator, text }, fields) {
  if (operator === "missing") return { field, operator: "==", value: null };
  if (operator === "present") return { field, operator: "!=", value: null };
  const facts = fields.get(field);
  const scalar = (/** @type {string} */ one) => scalarOf(one.trim(), facts);
  if (LISTS.includes(operator)) return { field, operator, value: listed(text, facts).map(scalar) };
  const value = scalar(text);
  // Dates are compared as instants where the order of their texts may be another one.
  const isInstant = ORDER.includes(operator) && field.startsWith("metadata.") && typeof value === "string" && DATE.test(value);
  return { field, operator, value: isInstant ? { datetime: value } : value };
}

/**
 * The values of a list. A comma may be part of one: then spaces or semicolons divide them.
 * @param {string} text
 * @param {import("./fields.js").Facts} [facts]
 */
function listed(text, facts) {
  const isNumber = isNumeric(facts);
  const hasComma = isNumber ? facts?.point === "," || /,\d{3}(?!\d)/.test(text) : isDated(facts);
  if (hasComma && typeof scalarOf(text, facts) === (isNumber ? "number" : "string") && scalarOf(text, facts) !== text) return [text];
  const mark = hasComma && text.includes(";") ? ";" : isNumber && /,\s/.test(text) ? /,\s+/ : ",";
  return text.split(mark).filter((one) => one.trim());
}

/**
 * A value of the field's type, in the forms that a file may have; a text if several types fit.
 * @param {string} text
 * @param {import("./fields.js").Facts} [facts]
 */
function scalarOf(text, facts) {
  if (isNumeric(facts)) return numberIn(text, facts?.point) ?? text;
  if (isDated(facts) && !DATE.test(text)) return writtenDate(text) ?? text;
  const types = facts?.types ?? [];
  const value = parsed(text);
  if (typeof value === "number" && (types.includes("integer") || types.includes("number"))) return value;
  if (typeof value?.datetime === "string") return value;
  if (typeof value === "boolean" && types.includes("boolean")) return value;
  if (typeof value === "string" && types.includes("text") && text.startsWith('"')) return value;
  return text;
}
