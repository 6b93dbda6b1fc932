/**
 * One attention, four uses: which tokens ask, which are read, and the weights between them, as threads.
 *
 * The queries and keys of three heads were recorded; the weights are computed here, with the mask of GPT or without it.
 */

import { vectorOf } from "../../../../../service/softkv_service/web/shared/api.js";
import { fill, h, put } from "../../../../../service/softkv_service/web/shared/element.js";
import { weigh } from "../../../../../service/softkv_service/web/shared/formula.js";
import { Lines } from "../../../../../service/softkv_service/web/shared/lines.js";
import { s } from "../../../../../service/softkv_service/web/shared/svg.js";
import { painted, SIDE } from "../../deeper/lab/patches.js";
import { unpackedRows } from "../../shared/recorded.js";
import { hood, screen, toPicture } from "../parts.js";
import { whoAsks } from "../sentences.js";
import { styled } from "../styles.js";

/** The recorded head of each use, and the token that asks at first. @type {Record<string, [head: string, asker: number]>} */
const USES = { self: ["text", 3], masked: ["text", 3], cross: ["translation", 8], patches: ["caption", 1] };
/** The pixels across a patch. */
const PATCH = 4;

/**
 * @typedef {object} Head
 * @property {string[]} asking
 * @property {string[]} read
 * @property {{base64: string}} query
 * @property {{base64: string}} key
 * @property {string} [picture]
 */

/** @param {import("../story.js").Context} context of a chapter whose state has `use` and `asker`, which is −1 for the first one */
export function kinds({ say, set, sized, recorded, state }) {
  styled("kinds");
  const lines = new Lines(say, (asker) => set({ asker }));
  const place = h("div.lines-place", { tabIndex: -1 }, lines.element);
  const [asks, read, seen] = [h("p.told"), h("p.told"), h("div.seen")];
  const asked = (/** @type {string} */ name) => h("p.question", {}, h(`b.${name}`, {}, say(`term.${name}`)), " ", say(`use.${name}`));
  const told = h("p.told", { role: "status" });
  const buttons = Object.keys(USES).map((use) => h("button", { type: "button", "data-use": use, onclick: () => set({ use, asker: -1 }) }, say(`use.${use}`)));
  const element = screen({
    title: say("use"),
    sentence: say("use.sentence"),
    picture: h("div.uses", {}, h("div.questions", {}, h("div", {}, asks, asked("query")), seen, h("div", {}, read, asked("key"), asked("value"))), place),
    below: [h("div.choices", {}, ...buttons), told],
    hood: hood(say, h("p", {}, say("use.source")), h("p", {}, toPicture("zoom", say("use.zoom")))),
  });
  /** @type {Record<string, Head>} */
  let heads = {};
  let shown = "";
  sized(place, (width, height) => lines.layout(width, height));
  recorded("kinds").then((content) => {
    heads = content;
    show(state);
  });

  /** @param {{use: string, asker: number}} now */
  function show(now) {
    state = now;
    const use = state.use in USES ? state.use : "self";
    const [name, first] = USES[use];
    const head = heads[name];
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.use === use));
    put(asks, say(`asks.${use}`));
    put(read, say(`read.${use}`));
    element.dataset.use = use;
    if (!head) return;
    if (shown !== name) {
      const picture = head.picture && unpackedRows(head.picture, SIDE);
      lines.take(head.asking, picture ? head.read.map((_, i) => patch(picture, i)) : head.read);
      fill(seen, picture ? painted(picture) : null);
      shown = name;
    }
    const asker = state.asker >= 0 ? Math.min(head.asking.length - 1, Math.round(state.asker)) : first;
    const weights = weightsOf(head, use === "masked");
    lines.draw(
      weights.flatMap((row) => [...row]),
      asker,
    );
    const free = use === "masked" ? weightsOf(head, false) : weights;
    const [row, [unmasked]] = [weights[asker], free[asker]];
    const nearest = head.read[row.indexOf(Math.max(...row))];
    const sentence = whoAsks(say, { use, word: head.asking[asker], nearest, read: head.read.length, weight: row[0], free: unmasked });
    fill(told, h("b", {}, say(`name.${use}`)), sentence);
  }

  return { element, show };
}

/**
 * The weights of a head: softmax of query · key / √d_k.
 *
 * @param {Head} head
 * @param {boolean} isMasked whether no token reads a later one
 * @returns {Float64Array[]} a row for each token that asks
 */
function weightsOf({ asking, read, query, key }, isMasked) {
  const [queries, keys] = [vectorOf(query), vectorOf(key)];
  const d = queries.length / asking.length;
  return asking.map((_, i) => {
    const scores = read.map((__, j) => queries.subarray(i * d, (i + 1) * d).reduce((sum, number, k) => sum + number * keys[j * d + k], 0));
    return weigh(scores, { temperature: Math.sqrt(d), mask: isMasked ? read.map((__, j) => j <= i) : null }).weights;
  });
}

/**
 * A patch of a picture, whose middle is where a text has its line.
 * @param {number[][]} picture
 * @param {number} at row by row
 */
function patch(picture, at) {
  const [top, left] = [Math.floor(at / (SIDE / PATCH)), at % (SIDE / PATCH)].map((place) => place * PATCH);
  const pixels = Array.from({ length: PATCH ** 2 }, (_, i) => [Math.floor(i / PATCH), i % PATCH]);
  const ink = pixels.map(([y, x]) => s("rect", { x, y, width: 1, height: 1, "fill-opacity": picture[top + y][left + x] }));
  return s("svg.patch-read", { viewBox: `0 ${PATCH / 2} ${PATCH} ${PATCH}`, width: 28 }, s("rect.paper", { width: PATCH, height: PATCH }), ...ink);
}
