/** Rows of fields as one stop of the Tab key: Tab goes through one row, ↑ and ↓ to the same field of another. */

const FIELDS = "input, textarea, button";

/**
 * The rows of a container. `arrange` puts these rows into it, in this order, and leaves the focus where it was, or
 * where a row that is gone has left a neighbour.
 *
 * @param {HTMLElement} container
 */
export function roving(container) {
  /** @type {?Element} */
  let current = null;
  container.addEventListener("focusin", (event) => settle(rowOf(event.target)));
  container.addEventListener("keydown", (event) => {
    const by = event.key === "ArrowUp" ? -1 : event.key === "ArrowDown" ? 1 : 0;
    if (!by || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.isComposing) return;
    const row = rowOf(event.target);
    const rows = walked();
    const next = rows[indexIn(rows, row) + by];
    event.preventDefault();
    if (next && row) fieldsOf(next)[indexIn(fieldsOf(row), event.target)]?.focus();
  });

  /** @param {?EventTarget} target */
  function rowOf(target) {
    return [...container.children].find((row) => target instanceof Node && row.contains(target)) ?? null;
  }

  function walked() {
    return [...container.children].filter((row) => row instanceof HTMLElement && !row.hidden && fieldsOf(row).length);
  }

  /** One row, the last that was in use, can be reached with Tab. */
  function settle(row = current) {
    const rows = walked();
    current = rows[Math.max(0, indexIn(rows, row))] ?? null;
    for (const one of rows) for (const field of fieldsOf(one)) field.tabIndex = one === current ? 0 : -1;
  }

  /** @param {Element[]} wanted */
  function arrange(wanted) {
    const held = document.activeElement;
    const inside = container.contains(held);
    const row = rowOf(held);
    const at = [indexIn(walked(), row), inside && row ? indexIn(fieldsOf(row), held) : -1];
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

/** @param {Element} row */
function fieldsOf(row) {
  return /** @type {HTMLElement[]} */ ([...row.querySelectorAll(FIELDS)]);
}

/** @param {EventTarget[]} all @param {?EventTarget} one @returns {number} −1 where it is not among them */
function indexIn(all, one) {
  return one ? all.indexOf(one) : -1;
}
