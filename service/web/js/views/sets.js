/** The rows to switch between: of visible values, and in Chinese, where the encoder reads it, of both languages. */

import { readsChinese } from "../chinese.js";
import { h } from "../element.js";
import { beginning } from "../state.js";
import { CHINESE, SETS } from "../scenes.js";
import { valuesOf } from "../values.js";
import { say } from "../words.js";

/** @param {Page.Context} context */
export function sets({ store, api }) {
  const { scene, lang } = store.state;
  const { query, rows, t } = beginning("rows");
  /** @type {Record<string, Pick<Page.State, "query" | "rows" | "t">>} */
  const offered = scene === "values" ? SETS : scene === "rows" && lang === "zh" ? { english: { query, rows, t }, chinese: { ...CHINESE, t } } : {};
  const names = Object.keys(offered);
  const buttons = names.map((name) =>
    h("button", { type: "button", id: `set-${name}`, onclick: () => store.set({ ...offered[name], masked: [], none: "auto" }) }, say(`values.set.${name}`)),
  );
  const element = h("div.sets", { role: "group", "aria-label": say("values.sets"), hidden: scene !== "values" }, buttons);
  if (scene === "rows" && names.length) readsChinese(api).then((reads) => (element.hidden = !reads));

  /** @param {Page.Lookup} model */
  function show({ result, state }) {
    const shown = scene === "values" ? valuesOf(result).kind : names.find((name) => JSON.stringify(offered[name].rows) === JSON.stringify(state.rows));
    names.forEach((name, i) => buttons[i].setAttribute("aria-pressed", String(name === shown)));
  }

  return { element, show };
}
