/** 6 Inside a model: what each head of the encoder attends to in a sentence. */

import { h } from "../../../../../service/softkv_service/web/shared/element.js";
import { Heads } from "../../../../../service/softkv_service/web/shared/heads.js";
import { isReduced } from "../../../../../service/softkv_service/web/shared/motion.js";
import { asking } from "../../../../../service/softkv_service/web/shared/parts.js";
import { hood, prediction, screen } from "../parts.js";
import { kinds } from "../parts/kinds.js";
import usesWords from "../parts/kinds.json";
import { parallelSteps } from "../parts/steps.js";
import steps from "../parts/steps.json";
import { recordedTrace } from "../traces.js";
import words from "./inside.json";

const SENTENCE = "The dog chased the cat across the street";
const [LAYERS, HEADS] = [6, 12];
/** The beginning of the chapter, and the word of its question: the second layer's ninth head, "dog" and "chased". */
const BEGINNING = { layer: 2, head: 9, word: 2 };
const CHASED = 3;
const FIELD = 48;
/** The maximum number of tokens, for each of which the picture has a row. */
const MOST_TOKENS = 16;

/** @type {import("../story.js").Chapter} */
export const inside = {
  id: "inside-a-model",
  words: { en: { ...steps.en, ...usesWords.en, ...words.en }, zh: { ...steps.zh, ...usesWords.zh, ...words.zh } },
  defaults: { ...BEGINNING, q: SENTENCE, g: "", use: "self", asker: -1 },
  screens: { use: 3, asker: 3 },

  mount(host, context) {
    const { say } = context;
    let state = context.state;
    /** @type {?import("../traces.js").Trace} */
    let traced = null;
    let asked = SENTENCE;
    /** Whether the head of the question is shown. */
    const isAtQuestion = () => state.layer === BEGINNING.layer && state.head === BEGINNING.head && state.q === SENTENCE;
    const ask = asking(say, (q) => context.set({ q }));
    const limit = h("p.limit", { role: "status" });
    const heads = new Heads(say, LAYERS, HEADS, {
      head: (layer, head) => context.set({ layer: layer + 1, head: head + 1 }),
      word: (word) => context.set({ word }),
      above: ask.element,
      below: limit,
    });
    const { place } = heads;
    const guess = prediction(context, {
      question: say("predict", BEGINNING),
      choices: ["dog", "the", "cat"].map((name) => ({ label: say(`predict.${name}`), isRight: name === "the" })),
      why: () => (isAtQuestion() ? say("predict.why") : ""),
      reveal: () => context.set({ ...BEGINNING, word: CHASED, q: SENTENCE }),
    });
    const element = screen({
      title: say("title"),
      sentence: say("sentence"),
      picture: heads.element,
      below: [guess.element],
      hood: hood(
        say,
        h("p", {}, h("a", { href: "#row-to-word&z=2" }, say("whole"))),
        ...["patterns", "explanation", "model"].map((name) => h("p", {}, say(`hood.${name}`))),
      ),
    });
    const beside = parallelSteps({ words: say("parallel.words").split(" "), say, reduced: isReduced() });
    const parallel = screen({ title: say("parallel"), sentence: say("parallel.sentence"), picture: h("div.beside-picture", {}, beside.element) });
    const uses = kinds(context);
    host.append(element, parallel, uses.element);
    const seen = new IntersectionObserver(
      ([{ isIntersecting }]) => {
        if (!isIntersecting) return;
        seen.disconnect();
        beside.play();
      },
      { threshold: 0.6 },
    );
    seen.observe(beside.element);

    function show() {
      heads.show(within(state.layer, LAYERS), within(state.head, HEADS), Math.round(state.word) || 0);
    }

    /** Trace the sentence, then show; a sentence that meanwhile gave way to another one is not shown. */
    async function trace() {
      const text = state.q;
      const whole = piecesOf(text);
      let pieces = whole.slice(0, MOST_TOKENS - 2);
      let found = await context.patiently(context.recorded("trace").then((recorded) => recordedTrace(recorded, text) ?? context.trace(pieces.join(""))));
      while (found && found.tokens.length > MOST_TOKENS && pieces.length > 1) {
        pieces = pieces.slice(0, Math.max(1, pieces.length - Math.ceil((found.tokens.length - MOST_TOKENS) / 2)));
        found = await context.patiently(context.trace(pieces.join("")));
      }
      if (!found || text !== state.q) return;
      traced = found;
      limit.textContent = pieces.length < whole.length ? say("limit", { count: pieces.length, all: whole.length, most: MOST_TOKENS }) : "";
      asked = text;
      guess.element.hidden = text !== SENTENCE; // it is about that sentence
      heads.take(found);
      element.dataset.text = text;
      placeField();
      show();
    }

    function placeField() {
      const { width } = place.getBoundingClientRect();
      ask.place({ x: 0, y: 0, width, height: FIELD }, asked);
    }

    context.sized(place, (width, height) => {
      heads.lines.layout(width, height);
      placeField();
    });
    // A long text grows its box, and the words stand below it.
    context.sized(ask.element, (_, height) => ask.element.parentElement?.style.setProperty("--field", `${height}px`));
    show();
    trace();

    return {
      picture: heads.lines.element,
      update(now, changed) {
        state = now;
        guess.show();
        if (changed.has("q")) trace();
        uses.show(now);
        show();
      },
      leave() {
        beside.stop();
      },
      film(share) {
        if (traced) context.set({ word: Math.min(traced.tokens.length - 1, Math.floor(share * traced.tokens.length)) });
      },
    };
  },
};

/**
 * The words of a text with the space after each; a Chinese character is a word.
 * @param {string} text
 * @returns {string[]}
 */
function piecesOf(text) {
  return text.trim().match(/[\u3400-\u9fff]\s*|[^\s\u3400-\u9fff]+\s*/gu) ?? [];
}

/**
 * A number of an address, from 1, as an index.
 * @param {number} number
 * @param {number} count
 */
function within(number, count) {
  return Math.max(0, Math.min(count - 1, Math.round(number) - 1 || 0));
}
