/** The stored answers of an exported page, which has no service: `built/exported.js`. */

import { isExported } from "./assets.js";
import { runScript } from "./script.js";

/** The answers of the story. @returns {Promise<?Page.ExportedPage>} null on a service's page */
export async function exportedPage() {
  return (await loaded())?.page() ?? null;
}

/** The answers of the explorer. @returns {Promise<?Page.ExportedShelf>} null on a service's page */
export async function exportedShelf() {
  return (await loaded())?.shelf() ?? null;
}

async function loaded() {
  if (!isExported()) return null;
  await runScript("built/exported.js");
  return window.softkvExported;
}
