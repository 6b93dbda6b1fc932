/** A room's events, for as long as somebody is there to hear them. */

import { SoftkvError, Unreachable } from "../shared/api.js";

const FIRST_MS = 300;
const LONGEST_MS = 3000;

/**
 * Listen for as long as the signal lets; whatever ends is asked for again, soon at first and then less often.
 *
 * @param {Page.API} api
 * @param {string} path
 * @param {{heard: (event: {name: string, data: any}) => void, lost: (failure: SoftkvError) => void, signal: AbortSignal}} how
 */
export async function listen(api, path, { heard, lost, signal }) {
  let pause = FIRST_MS;
  while (!signal.aborted) {
    try {
      for await (const event of api.events(path, { signal })) {
        pause = FIRST_MS;
        if (signal.aborted) return;
        heard(event);
      }
      lost(new Unreachable("", true));
    } catch (failure) {
      if (signal.aborted) return;
      if (!(failure instanceof SoftkvError)) throw failure;
      lost(failure);
    }
    await new Promise((done) => setTimeout(done, pause));
    pause = Math.min(2 * pause, LONGEST_MS);
  }
}
