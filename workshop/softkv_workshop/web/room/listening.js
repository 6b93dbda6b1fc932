/** A room's events, for as long as somebody is there to hear them. */

import { SoftkvError, Unreachable } from "../../../../service/softkv_service/web/shared/api.js";

const FIRST_MS = 300;
const LONGEST_MS = 3000;
/** The service gives a sign of life every 3 seconds: after so long without one, the connection is lost. */
const SILENT_MS = 8000;

/**
 * Listen for as long as the signal lets; whatever ends is asked for again, soon at first and then less often.
 *
 * @param {Page.API} api
 * @param {string} path
 * @param {{heard: (event: {name: string, data: any}) => void, lost: (failure: SoftkvError) => void, signal: AbortSignal, headers?: Record<string, string>}} how
 */
export async function listen(api, path, { heard, lost, signal, headers }) {
  let pause = FIRST_MS;
  while (!signal.aborted) {
    const connection = new AbortController();
    const end = () => connection.abort();
    let silence = setTimeout(end, SILENT_MS);
    signal.addEventListener("abort", end);
    window.addEventListener("offline", end);
    try {
      for await (const event of api.events(path, { signal: connection.signal, headers })) {
        pause = FIRST_MS;
        if (signal.aborted) return;
        clearTimeout(silence);
        silence = setTimeout(end, SILENT_MS);
        heard(event);
      }
      lost(new Unreachable("", true));
    } catch (failure) {
      if (signal.aborted) return;
      if (connection.signal.aborted) lost(new Unreachable("", true));
      else if (failure instanceof SoftkvError) lost(failure);
      else throw failure;
    } finally {
      clearTimeout(silence);
      signal.removeEventListener("abort", end);
      window.removeEventListener("offline", end);
    }
    await new Promise((done) => setTimeout(done, pause));
    pause = Math.min(2 * pause, LONGEST_MS);
  }
}
