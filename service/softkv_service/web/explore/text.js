/** JSON of a document as text: a text unchanged, all else as JSON. */

/** One line. @param {any} value */
export function text(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** In lines. @param {any} value */
export function lines(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

/**
 * Metadata by paths with dots, as a filter names them.
 * @param {Record<string, any>} metadata
 * @param {string} [before]
 * @returns {[string, any][]}
 */
export function paths(metadata, before = "") {
  return Object.entries(metadata).flatMap(([name, value]) => {
    const path = `${before}${name}`;
    const isInner = value !== null && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length;
    return isInner ? paths(value, `${path}.`) : [/** @type {[string, any]} */ ([path, value])];
  });
}

/**
 * The merge patch (RFC 7396) that makes one object of another; undefined if they are equal.
 *
 * @param {Record<string, any>} before
 * @param {Record<string, any>} after
 * @returns {Record<string, any> | undefined}
 */
export function mergePatch(before, after) {
  /** @type {Record<string, any>} */
  const patch = {};
  for (const name of Object.keys(before)) if (!(name in after)) patch[name] = null;
  for (const [name, value] of Object.entries(after)) {
    if (name in before && JSON.stringify(before[name]) === JSON.stringify(value)) continue;
    if (isObject(value) && isObject(before[name])) patch[name] = mergePatch(before[name], value);
    else patch[name] = value;
  }
  return Object.keys(patch).length ? patch : undefined;
}

/**
 * Whether there is a null in an object at any depth, which a merge patch cannot write.
 * @param {any} value
 * @returns {boolean}
 */
export function hasNull(value) {
  return isObject(value) && Object.values(value).some((one) => one === null || hasNull(one));
}

/**
 * Whether a value is an object of JSON.
 * @param {unknown} value
 * @returns {value is Record<string, any>}
 */
export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
