/** Where the files of the page are: below the digest of this version, or in an exported page beside the document. */

/** @param {string} path in the folder of the page */
export function asset(path) {
  return new URL(path, new URL(document.documentElement.dataset.assets, document.baseURI)).href;
}
