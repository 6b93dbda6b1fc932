/** One question at a time: the next one takes the place of the last, and what goes wrong stands in the notice. */

import { SoftkvError } from "../api.js";

/**
 * @param {Page.Context} context its notice is asked for when there is something to say
 * @param {Element} [element] busy while a question is under way
 */
export function latest(context, element) {
  let running = new AbortController();

  /**
   * Ask; whatever was under way is nobody's answer any more.
   *
   * @param {(it: AbortSignal) => Promise<unknown>} work what is asked, and shown once it is answered
   * @param {(it: SoftkvError) => boolean} [taken] whether a refusal is told elsewhere
   */
  async function ask(work, taken = () => false) {
    running.abort();
    running = new AbortController();
    const { signal } = running;
    element?.setAttribute("aria-busy", "true");
    try {
      await work(signal);
      if (!signal.aborted) context.notice.clear();
    } catch (failure) {
      if (signal.aborted) return;
      if (!(failure instanceof SoftkvError)) throw failure;
      if (!taken(failure)) context.notice.show(failure);
    }
    if (!signal.aborted) element?.removeAttribute("aria-busy");
  }

  function end() {
    running.abort();
    element?.removeAttribute("aria-busy");
  }

  return { ask, end, isOver: () => running.signal.aborted };
}
