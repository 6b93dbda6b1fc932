/** Rows of a reader's own: what reads them from an address, and edits them, is loaded after the first picture. */

import { runScript } from "../../../../service/softkv_service/web/shared/script.js";

/** @typedef {import("./editing.js").Face} Face */

/** @type {?Promise<Face>} */
let loading = null;

/** Load `built/editing.js`. @returns {Promise<Face>} its face; never fulfilled if it does not load, and then nothing is edited */
export function editing() {
  return (loading ??= new Promise((resolve) => {
    runScript("built/editing.js").then(() => (window.softkvEditing ? resolve(window.softkvEditing) : (loading = null)));
  }));
}

/** Call this once the page has drawn its first picture, with what edits. @param {(face: Face) => void} ready */
export function afterwards(ready) {
  requestAnimationFrame(() => setTimeout(() => editing().then(ready)));
}
