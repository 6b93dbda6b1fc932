/** Classic scripts that the page loads when it needs them: a document that is opened from a file may load no others. */

import { asset } from "./assets.js";
import { h } from "./element.js";

/**
 * Run a script of the page's folder.
 * @param {string} path
 * @returns {Promise<boolean>} whether it loaded
 */
export async function runScript(path) {
  const script = h("script", { src: asset(path) });
  const isLoaded = await new Promise((resolve) => {
    script.onload = () => resolve(true);
    script.onerror = () => resolve(false);
    document.head.append(script);
  });
  script.remove();
  return isLoaded;
}
