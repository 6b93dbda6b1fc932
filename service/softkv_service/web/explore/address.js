/**
 * The state in the address after its #, so that each view of the explorer is a link:
 * `#collection=books&tab=ask&q=cats&t=0.05`. No text of a reader reaches a server's log.
 */

/** @typedef {Map<string, string>} Said */
/** @typedef {Record<string, string | number | null | undefined>} Patch null takes a name away */

/** The parts of the address that stay if another collection is chosen. */
const STAYS = ["tab", "q"];

/**
 * @param {string} hash with or without its #
 * @returns {Said}
 */
export function readAddress(hash) {
  return new Map(new URLSearchParams(hash.replace(/^#/, "")));
}

/** @param {Said} said */
export function writtenAddress(said) {
  return `#${new URLSearchParams([...said])}`;
}

/**
 * An address with a patch.
 * @param {Said} said
 * @param {Patch} patch
 * @returns {Said}
 */
export function patched(said, patch) {
  const next = new Map(said);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null || value === undefined || value === "") next.delete(name);
    else next.set(name, String(value));
  }
  return next;
}

/**
 * The address of another collection: what was asked stays, and in which tab.
 * @param {Said} said
 * @param {string} collection
 * @returns {Said}
 */
export function elsewhere(said, collection) {
  return new Map([["collection", collection], ...[...said].filter(([name]) => STAYS.includes(name))]);
}
