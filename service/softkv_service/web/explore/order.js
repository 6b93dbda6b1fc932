/** The order of rows by a field, which the address names: `sort=metadata.price`, or `sort=-metadata.price` for the largest first. */

import { choices, fill, h } from "../shared/element.js";
import { plain } from "./filter.js";
import { parsed } from "./question.js";
import { paths } from "./text.js";
import { ColumnOfTexts, read } from "./upload/kinds.js";

/** @typedef {import("./address.js").Said} Said */
/** @typedef {import("../shared/words.js").Say} Say */
/** @typedef {{field: string, isDown: boolean}} Order */

/** The types of values that have an order, the least first. */
const TYPES = ["boolean", "number", "string"];

/**
 * The order of an address; null for the service's own.
 * @param {Said} said
 * @returns {Order | null}
 */
export function orderIn(said) {
  const sort = said.get("sort") ?? "";
  const field = sort.replace(/^-/, "");
  return field ? { field, isDown: sort !== field } : null;
}

/**
 * The value of a field of a row: of its metadata, or its own.
 * @param {any} row
 * @param {string} field
 */
export function fieldOf(row, field) {
  return field.startsWith("metadata.") ? Object.fromEntries(paths(row.metadata ?? {}))[plain(field)] : row[field];
}

/** The fields of the metadata of rows that have an order. @param {any[]} rows */
export function fieldsIn(rows) {
  const all = rows.flatMap(({ metadata }) => paths(metadata ?? {})).filter(([, value]) => TYPES.includes(typeof value));
  return [...new Set(all.map(([path]) => `metadata.${path}`))];
}

/**
 * Rows in an order: numbers and dates as such, also of texts; other texts as the language sorts them; and rows without a value last in both directions.
 * @param {any[]} rows
 * @param {?Order} order
 * @param {string} language
 * @returns {any[]}
 */
export function ordered(rows, order, language) {
  if (!order) return rows;
  const { compare } = new Intl.Collator(language, { numeric: true });
  const all = rows.map((row) => ({ row, value: fieldOf(row, order.field) }));
  const column = new ColumnOfTexts(plain(order.field), ".,");
  for (const { value } of all) if (typeof value === "string" && value) column.note(value, 0);
  const type = column.decide();
  if (type.kind === "number" || type.kind === "date") for (const one of all) if (typeof one.value === "string" && one.value) one.value = read(one.value, type);
  const [there, missing] = [true, false].map((is) => all.filter(({ value }) => TYPES.includes(typeof value) === is));
  const sign = order.isDown ? -1 : 1;
  there.sort(({ value: a }, { value: b }) => {
    const types = TYPES.indexOf(typeof a) - TYPES.indexOf(typeof b);
    return sign * (types || (typeof a === "string" ? compare(a, b) : a - b));
  });
  return [...there, ...missing].map(({ row }) => row);
}

/**
 * A choice of the field that orders rows, and a button that turns the order around.
 * @param {Say} say
 * @param {string} first the order without a field
 * @param {(sort: string | null) => void} changed
 * @param {() => unknown} [learn] shows more fields
 */
export function orderControl(say, first, changed, learn) {
  const field = h("select", { id: "sort", onfocus: () => void learn?.(), onchange: () => changed(field.value || null) });
  const turn = h("button", { type: "button", id: "sort-turn", onclick: () => changed(turn.value) });
  const element = h("div.order", {}, h("label", { for: "sort" }, say("sort")), field, turn);
  return {
    element,
    /**
     * @param {?Order} order
     * @param {string[]} fields
     */
    show(order, fields) {
      const names = new Set(["", ...fields, order?.field ?? ""]);
      choices(
        field,
        Array.from(names, (name) => [name, nameOf(say, name) || first]),
      );
      field.value = order?.field ?? "";
      turn.hidden = !order;
      turn.value = order && !order.isDown ? `-${order.field}` : (order?.field ?? "");
      turn.textContent = say(order?.isDown ? "sort.down" : "sort.up");
    },
  };
}

/** The fields that each row of the list has besides, as the address names them. @param {Said} said @returns {string[]} */
export function columnsIn(said) {
  const names = parsed(said.get("show"));
  return Array.isArray(names) ? names.filter((name) => typeof name === "string") : [];
}

/**
 * A choice of the fields that each row has besides.
 * @param {Say} say
 * @param {(show: string | null) => void} changed
 */
export function columnsControl(say, changed) {
  const list = h("div.checks");
  const element = h("details.columns", {}, h("summary", { id: "columns" }, say("columns")), list);
  let shown = "";
  return {
    element,
    /**
     * @param {string[]} chosen
     * @param {string[]} fields
     */
    show(chosen, fields) {
      const names = [...new Set([...fields, ...chosen])];
      element.hidden = !names.length;
      if (shown === JSON.stringify([chosen, names])) return;
      const isSame = [...list.querySelectorAll("input")].map(({ value }) => value).join() === names.join();
      shown = JSON.stringify([chosen, names]);
      const boxes = names.map((value) => h("input", { type: "checkbox", value, onchange: () => tell() }));
      if (!isSame)
        fill(
          list,
          names.map((name, i) => h("label.check", {}, boxes[i], " ", h("bdi", {}, plain(name)))),
        );
      for (const box of list.querySelectorAll("input")) box.checked = chosen.includes(box.value);
    },
  };

  function tell() {
    const names = [...list.querySelectorAll("input")].filter(({ checked }) => checked).map(({ value }) => value);
    changed(names.length ? JSON.stringify(names) : null);
  }
}

/**
 * The name of a field to order by.
 * @param {Say} say
 * @param {string} field
 */
export function nameOf(say, field) {
  return ["key", "id", "similarity"].includes(field) ? say(`sort.${field}`) : plain(field);
}
