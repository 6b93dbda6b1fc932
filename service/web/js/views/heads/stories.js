/** A story about one head, and sentences that hold it against: attention is not explanation. */

import { isAborted, SoftkvError } from "../../api.js";
import { fill, h } from "../../element.js";
import { percent } from "../../numbers.js";
import { rich, say } from "../../words.js";

/** Of layer 6, head 12: "a verb looks at who does it, and to whom". Tokens begin with [CLS]. */
const HEAD = { layer: 5, head: 11 };
const STORIES = [
  { text: "The dog chased the cat across the street", word: 3, about: [2, 5] },
  { text: "The teacher praised the student in the hall", word: 3, about: [2, 5] },
  { text: "The boy kicked the ball over the fence", word: 3, about: [2, 5] },
  { text: "The wolf ate the sheep", word: 3, about: [2, 5] },
];
/** The story holds where who does it and to whom have more than half. */
const HOLDS = 0.5;

/**
 * @param {Page.Context} context
 *
 * @typedef {{story: typeof STORIES[0], verb: string, share: number, most: string, weight: number}} Told a story held against what the service answers
 */
export function stories({ store, api }) {
  const body = h("tbody");
  const yours = h("tbody");
  const counted = h("p.small", { id: "story-count", role: "status", tabIndex: -1 });
  const head = h(
    "tr",
    {},
    ["sentence", "about", "most", "holds"].map((name) => h("th", { scope: "col" }, say(`heads.stories.${name}`))),
  );
  const table = h("div.scrolling", { tabIndex: 0, role: "group", "aria-label": say("heads.stories.table") }, h("table", {}, h("thead", {}, head), body, yours));
  const guesses = h(
    "div.guesses",
    { role: "group", "aria-label": say("heads.stories.ask") },
    STORIES.map((_, i) => h("button", { type: "button", onclick: () => guess(i + 1) }, String(i + 1))),
  );
  const asked = h(
    "div.asked-stories",
    {},
    h(
      "ul.small",
      {},
      STORIES.map(({ text }) => h("li", {}, text)),
    ),
    h("p.small.strong", {}, say("heads.stories.ask")),
    guesses,
  );
  const shown = h("div.told-stories", {});
  const element = h(
    "section.of-heads-panel",
    { id: "stories", "aria-label": say("heads.stories") },
    h("h2", {}, say("heads.stories")),
    h("p.small", {}, rich("heads.stories.how")),
    asked,
    shown,
  );
  const running = new AbortController();

  /** What is guessed is compared with what the service answers; only then is it told. @param {number} holds how many fit */
  async function guess(holds) {
    for (const button of guesses.querySelectorAll("button")) button.disabled = true;
    try {
      const traces = await Promise.all(STORIES.map(({ text }) => api.post("/v1/trace", { text, layers: [HEAD.layer], heads: [HEAD.head] }, running.signal)));
      show(
        traces.map((/** @type {{tokens: Page.Token[], attention: number[][][][]}} */ { tokens, attention }, i) =>
          told(
            STORIES[i],
            tokens.map((token) => token.text),
            attention[0][0][STORIES[i].word],
          ),
        ),
        holds,
      );
    } catch (failure) {
      if (isAborted(failure)) return;
      if (!(failure instanceof SoftkvError)) throw failure;
      fill(counted, failure.detail);
      shown.append(counted);
      for (const button of guesses.querySelectorAll("button")) button.disabled = false;
    }
  }

  /** @param {Told[]} lines @param {number} guessed */
  function show(lines, guessed) {
    fill(
      body,
      lines.map(({ story, verb, share, most, weight }) =>
        h(
          share > HOLDS ? "tr" : "tr.refuted",
          {},
          h(
            "td",
            {},
            h(
              "button.plain.sentence",
              { type: "button", onclick: () => store.set({ text: story.text, pair: null, word: story.word, causal: false, ...HEAD }) },
              marked(story.text, verb),
            ),
          ),
          h("td.number.weight", {}, percent(share)),
          looked(most, weight),
          h("td", {}, say(share > HOLDS ? "heads.stories.yes" : "heads.stories.no")),
        ),
      ),
    );
    const places = { guessed, holds: lines.filter(({ share }) => share > HOLDS).length, all: lines.length };
    fill(counted, say(guessed === places.holds ? "heads.stories.right" : "heads.stories.count", places), " ", say("heads.stories.try"));
    fill(asked);
    fill(shown, counted, table);
    counted.focus({ preventScroll: true });
  }

  /**
   * The learner's own sentence, in the same head: where the chosen word looks is told, the story is theirs to judge.
   *
   * @param {Page.State} state
   * @param {string[]} tokens
   * @param {Map<number, number[][][]>} layers
   * @param {number} word
   */
  function own({ text, pair }, tokens, layers, word) {
    const weights = pair === null && !STORIES.some((story) => story.text === text) ? layers.get(HEAD.layer)?.[HEAD.head]?.[word] : null;
    if (!weights) return fill(yours);
    const most = weights.indexOf(Math.max(...weights));
    return fill(yours, h("tr.yours", {}, h("td", {}, marked(text, tokens[word])), h("td", {}, "–"), looked(tokens[most], weights[most]), h("td", {}, "?")));
  }

  return { element, own, leave: () => running.abort() };
}

/** @param {string} text @param {string} verb */
function marked(text, verb) {
  const at = text.toLowerCase().indexOf(verb.toLowerCase());
  return at < 0 ? [text] : [text.slice(0, at), h("b", {}, text.slice(at, at + verb.length)), text.slice(at + verb.length)];
}

/** @param {string} most @param {number} weight */
function looked(most, weight) {
  return h("td", {}, h("bdi", {}, most), " ", h("span.number.weight", {}, percent(weight)));
}

/** @param {typeof STORIES[0]} story @param {string[]} tokens @param {number[]} weights @returns {Told} */
function told(story, tokens, weights) {
  const most = weights.indexOf(Math.max(...weights));
  return { story, verb: tokens[story.word], share: story.about.reduce((sum, i) => sum + weights[i], 0), most: tokens[most], weight: weights[most] };
}
