/** Rows of fields as one stop of the Tab key: Tab goes through one row, ↑ and ↓ to the same field of another. */

const FIELDS = "input, textarea, button";

/**
 * The rows of a container. `arrange` puts these rows into it, in this order, and leaves the focus where it was, or
 * where a row that is gone has left a neighbour.
 *
 * @param {HTMLElement} container
 */
export function roving(container) {
  let current = null;
  container.addEventListener("focusin", (event) => settle(rowOf(event.target)));
  container.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!by || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.isComposing) return;
    const row = rowOf(event.target);
    const rows = walked();
    const next = rows[rows.indexOf(row) + by];
    event.preventDefault();
    if (next) fieldsOf(next)[fieldsOf(row).indexOf(event.target)]?.focus();
  });

  function rowOf(target) {
    return [...container.children].find((row) => row.contains(target)) ?? null;
  }

  function walked() {
    return [...container.children].filter((row) => row instanceof HTMLElement && !row.hidden && fieldsOf(row).length);
  }

  /** One row, the last that was in use, can be reached with Tab. */
  function settle(row = current) {
    const rows = walked();
    current = rows.includes(row) ? row : (rows[0] ?? null);
    for (const one of rows) for (const field of fieldsOf(one)) field.tabIndex = one === current ? 0 : -1;
  }

  function arrange(wanted) {
    const held = document.activeElement;
    const inside = container.contains(held);
    const row = rowOf(held);
    const at = [walked().indexOf(row), inside && row ? fieldsOf(row).indexOf(held) : -1];
    if (wanted.length !== container.children.length || wanted.some((one, i) => container.children[i] !== one)) {
      container.replaceChildren(...wanted);
    }
    settle();
    if (!inside || document.activeElement === held) return;
    if (held instanceof HTMLElement && container.contains(held)) return held.focus();
    const rows = walked();
    if (rows.length) fieldsOf(rows[Math.min(at[0], rows.length - 1)])[at[1]]?.focus();
  }

  return { arrange };
}

function fieldsOf(row) {
  return [...row.querySelectorAll(FIELDS)];
}
