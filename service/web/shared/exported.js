/** The answers of a page that was exported, and so has no service. */

import { isExported } from "./assets.js";
import { runScript } from "./script.js";

/** @returns {Promise<?import("../exported/answers.js").ExportedPage>} null on a service's page */
export async function exportedPage() {
  if (!isExported()) return null;
  await runScript("built/exported.js");
  return window.softkvExported ? new window.softkvExported.ExportedPage() : null;
}
