/** Marks of what is right and what is wrong in an answer. The service keeps them as feedback, of which a calibration is made. */

import { fill, h, put } from "../shared/element.js";
import { counted, countedTexts, isEnough, LEAST, LEAST_OF_A_KIND, readFeedback } from "./labels.js";
import { posted } from "./question.js";

/** @typedef {import("./explorer.js").Context} Context */

/** The marks of this visit, by collection, question and id. @type {Map<string, boolean>} */
const marked = new Map();

/** The gain of a calibration is measured again after this many more labelled questions. */
const STEP = 10;

export class Judging {
  element = h("div.judging", { id: "judging", hidden: true });
  #context;
  #collection = "";
  /** @type {string | number[]} */
  #query = "";
  #told = h("span.soft", { id: "judged", role: "status" });
  /** The gain of a calibration by `questions` labels of a collection, or the number that it takes. */
  #gain = { collection: "", questions: 0, sentence: "" };
  #counting = new AbortController();
  /** Buttons that show the marks. @type {(() => void)[]} */
  #shown = [];

  /** @param {Context} context */
  constructor(context) {
    this.#context = context;
  }

  /**
   * The question that is answered.
   * @param {string} collection
   * @param {{query: string | number[], filter?: any}} body
   */
  show(collection, { query, filter }) {
    const { say, canJudge } = this.#context;
    [this.#collection, this.#query, this.#shown] = [collection, query, []];
    this.#counting.abort();
    this.element.hidden = !canJudge;
    put(this.#told, "");
    // "Nothing fits" is said of the whole collection, of which a filter shows a part.
    const nothing = filter === undefined ? this.#button(null, true, say("mark.nothing"), say("mark.nothing"), "nothing-fits") : null;
    fill(this.element, h("span.soft", {}, say(nothing ? "mark.hint" : "mark.hint.filtered")), nothing, this.#told);
  }

  /**
   * The two marks of a result; null for a key that may not give feedback.
   * @param {string} id
   * @param {string} name
   */
  marks(id, name) {
    const { say, canJudge } = this.#context;
    if (!canJudge) return null;
    return h(
      "span.marks",
      { role: "cell" },
      this.#button(id, true, "✓", say("mark.right", { name })),
      this.#button(id, false, "✗", say("mark.wrong", { name })),
    );
  }

  /**
   * @param {string | null} id
   * @param {boolean} right
   * @param {string} label
   * @param {string} name
   * @param {string} [own] its id in the page
   */
  #button(id, right, label, name, own = "") {
    const button = h("button.mark-of", { type: "button", "aria-label": name, title: name, onclick: () => void this.#mark(id, right) }, label);
    if (own) button.id = own;
    const show = () => button.setAttribute("aria-pressed", String(marked.get(this.#named(id)) === right));
    this.#shown.push(show);
    show();
    return button;
  }

  /** @param {string | null} id */
  #named(id) {
    return JSON.stringify([this.#collection, this.#query, id]);
  }

  /**
   * Send a mark. The latest counts: "nothing fits" takes ✓ back, and ✓ takes "nothing fits" back.
   * @param {string | null} id
   * @param {boolean} right
   */
  async #mark(id, right) {
    const { api, say, patiently } = this.#context;
    const [collection, query] = [this.#collection, this.#query];
    const came = await patiently(posted(api, `${pathOf(collection)}/feedback`, { feedback: [{ query, id, right }] }));
    if (!came || collection !== this.#collection || query !== this.#query) return;
    if (came.refused) return put(this.#told, came.refused);
    const start = JSON.stringify([collection, query]).slice(0, -1);
    if (id !== null && right) marked.delete(this.#named(null));
    if (id === null) for (const name of [...marked.keys()]) if (name.startsWith(start) && marked.get(name)) marked.delete(name);
    marked.set(this.#named(id), right);
    for (const show of this.#shown) show();
    const kept = say(id === null || right ? "mark.kept" : "mark.kept.wrong");
    put(this.#told, kept);
    if (this.#context.canWrite) await this.#count(kept);
  }

  /** Say how many labels there are, and what they would gain if they are many. @param {string} kept */
  async #count(kept) {
    const { api, say, patiently } = this.#context;
    const collection = this.#collection;
    this.#counting.abort();
    const { signal } = (this.#counting = new AbortController());
    const came = await patiently(() => readFeedback(api, collection, signal));
    if (!came || signal.aborted) return;
    const { questions } = counted(came.labels);
    const labels = say("mark.labels", countedTexts(came.labels));
    const tell = () => put(this.#told, [kept, labels, this.#gain.sentence].join(" "));
    if (this.#gain.collection !== collection) this.#gain = { collection, questions: 0, sentence: say("mark.few", { least: LEAST, kind: LEAST_OF_A_KIND }) };
    tell();
    if (!isEnough(came.labels) || questions - this.#gain.questions < Math.max(STEP, this.#gain.questions / 5)) return;
    const fit = await patiently(posted(api, `${pathOf(collection)}/calibrate`, { from: "feedback" }, signal));
    if (!fit || signal.aborted) return;
    this.#gain = { collection, questions, sentence: fit.refused ?? say("mark.gain", { summary: fit.answer.summary }) };
    tell();
  }
}

/** @param {string} collection */
function pathOf(collection) {
  return `/v1/collections/${encodeURIComponent(collection)}`;
}
