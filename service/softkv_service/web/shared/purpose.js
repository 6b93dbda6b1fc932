/** The visitor's purpose: to learn, or to explore the service's data. The page at `/` asks once, and remembers. */

import { isExported } from "./assets.js";

/** @typedef {"learn" | "explore"} Purpose */

const STORED = "softkv-purpose"; // chosen.js reads it, too

/** The address that leads to the story, and remembers that. */
export const LEARN = "./?learn";
export const EXPLORE = "explore";

/** Whether to ask: not in an exported page, not by a link to a chapter or a lesson, and not where no answer can be kept. */
export function isAsked() {
  const { hash, search } = window.location;
  if (isExported() || hash || search) return false;
  try {
    return window.localStorage.getItem(STORED) === null;
  } catch (failure) {
    if (failure instanceof DOMException) return false;
    throw failure;
  }
}

/** @param {Purpose} purpose */
export function remember(purpose) {
  try {
    window.localStorage.setItem(STORED, purpose);
  } catch (failure) {
    if (!(failure instanceof DOMException)) throw failure;
  }
}
