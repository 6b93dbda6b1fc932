/** Addresses of the page's files: below the digest of this version, or in an exported page beside the document. */

/** Whether `softkv page export` wrote this page: then it has no service. */
export function isExported() {
  return document.documentElement.dataset.exported !== undefined;
}

/**
 * Whether the page is a picture in a frame of any site. Then it takes no key, sends no cookie and writes nothing.
 *
 * The service decides it with the policy on frames, and marks the document. An exported page has no service.
 */
export function isEmbedded() {
  return isExported() ? window.location.search === "?embed=1" : document.documentElement.dataset.embed !== undefined;
}

/** Let a link of a picture in a frame open beside the other page, without the mark of a frame. @param {?HTMLAnchorElement} link */
export function leave(link) {
  if (!link) return;
  const address = new URL(link.href);
  address.searchParams.delete("embed");
  Object.assign(link, { href: address.href, target: "_blank", rel: "noopener" });
}

/** Whether the service has the explorer without the story and the pictures that go deeper. */
export function isAlone() {
  return document.documentElement.dataset.alone !== undefined;
}

/** The address of the story, the first document of the page. */
export function home() {
  return isExported() ? "index.html" : "./";
}

/** The address of the pictures that go deeper than the story. */
export function deeper() {
  return isExported() ? "deeper.html" : "deeper";
}

/** The address of the explorer. */
export function explorer() {
  return isExported() ? "explore.html" : "explore";
}

/** The address of the room of a class: this service's, or that of the service which an exported page names; null without one. */
export function roomOf() {
  if (!isExported()) return "room";
  const { service } = document.documentElement.dataset;
  return service ? new URL("room", service).href : null;
}

/** @param {string} path in the folder of the page */
export function asset(path) {
  const { assets = "" } = document.documentElement.dataset;
  return new URL(path, new URL(assets, document.baseURI)).href;
}
