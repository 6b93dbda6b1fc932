/** Addresses of the page's files: below the digest of this version, or in an exported page beside the document. */

/** Whether `softkv page export` wrote this page: then it has no service. */
export function isExported() {
  return document.documentElement.dataset.exported !== undefined;
}

/** The address of the story, the first document of the page. */
export function home() {
  return isExported() ? "index.html" : "./";
}

/** The address of the pictures that go deeper than the story. */
export function deeper() {
  return isExported() ? "deeper.html" : "deeper";
}

/** @param {string} path in the folder of the page */
export function asset(path) {
  const { assets = "" } = document.documentElement.dataset;
  return new URL(path, new URL(assets, document.baseURI)).href;
}
