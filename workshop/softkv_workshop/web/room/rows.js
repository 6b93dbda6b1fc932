/** Lists that change while they are read: an item that stays keeps its element, and so its focus. */

import { h } from "../../../../service/softkv_service/web/shared/element.js";

/**
 * A list that is drawn again and again.
 *
 * @template {{id: string}} Item
 * @param {HTMLElement} element whose children are its items
 * @param {(item: Item) => HTMLElement} make an item's element, anew where the item changed
 * @returns {(items: Item[]) => void} draws the items, each with an id
 */
export function list(element, make) {
  /** @type {Map<string, {node: HTMLElement, words: string}>} */
  const made = new Map();
  return (items) => {
    const wanted = new Set(items.map(({ id }) => id));
    for (const [id, { node }] of made) {
      if (wanted.has(id)) continue;
      node.remove();
      made.delete(id);
    }
    /** @type {?HTMLElement} */
    let last = null;
    for (const item of items) {
      const words = JSON.stringify(item);
      let known = made.get(item.id);
      if (known && known.words !== words) {
        const next = make(item);
        known.node.replaceWith(next);
        known = { node: next, words };
        made.set(item.id, known);
      } else if (!known) {
        known = { node: make(item), words };
        made.set(item.id, known);
      }
      /** @type {?ChildNode} */
      const place = last ? last.nextSibling : element.firstChild;
      if (place !== known.node) element.insertBefore(known.node, place);
      last = known.node;
    }
  };
}

/** A row as text: its key, its value where that says more, and the name of its sender. @param {{key: string, value: string, by?: string}} row */
export function rowWords({ key, value, by }) {
  return [
    h("span.key", { dir: "auto" }, key),
    value === key ? null : [h("span.arrow", {}, " → "), h("span.value", { dir: "auto" }, value)],
    by ? h("span.by", { dir: "auto" }, ` · ${by}`) : null,
  ];
}
