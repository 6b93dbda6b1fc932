/** What some views bring beside their module, so that the first answer need not wait for it: words, and styles. */

import { h } from "./element.js";

/** A view → its topic, whose words are words/<language>/<topic>.js, and whose styles css/<topic>.css. */
export const TOPICS = { steps: "layer", lowrank: "layer", encoder: "heads", scores: "scores" };

/** The styles of a topic are there before its view is drawn; a view that comes without them is drawn all the same. */
export async function styled(topic) {
  if (!topic || document.querySelector(`#css-${topic}`)) return;
  const sheet = h("link", { id: `css-${topic}`, rel: "stylesheet", href: new URL(`../css/${topic}.css`, import.meta.url).href });
  await new Promise((done) => {
    sheet.onload = done;
    sheet.onerror = done;
    document.head.append(sheet);
  });
}
