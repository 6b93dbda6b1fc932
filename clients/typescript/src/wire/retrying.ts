/** When a call is sent again, and after how long: a rule that sends nothing itself. */

import { Refused, TimedOut, Unreachable } from "../errors.ts";

const FIRST_MS = 250;
const MOST_MS = 8000;
/** Where the service asks for a longer wait, its refusal is thrown, with `retryAfter`. */
const LONGEST_SECONDS = 60;

/**
 * Milliseconds to wait before a call is sent again; undefined where the error is to be thrown.
 *
 * A refusal of which the service says that the same request may succeed a moment later changed nothing, so any call is
 * sent again; where the connection failed, those that may be done twice, or that a service does once however often it
 * hears them. What ran out of time is not: that was the limit.
 *
 * @param repeatable whether the call may be sent again where nobody knows what became of it
 * @param tried how often it was sent
 * @param retries how often it may be sent again
 */
export function waitBefore(error: unknown, repeatable: boolean, tried: number, retries: number): number | undefined {
  if (tried > retries || !mayAgain(error, repeatable)) return undefined;
  const asked = error instanceof Refused ? error.retryAfter : undefined;
  if (asked !== undefined) return asked <= LONGEST_SECONDS ? asked * 1000 : undefined;
  return Math.min(FIRST_MS * 2 ** (tried - 1), MOST_MS) * (0.5 + 0.5 * Math.random());
}

/** Wait, unless a signal is given meanwhile: then its reason is thrown. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

function mayAgain(error: unknown, repeatable: boolean): boolean {
  if (error instanceof Refused) return error.again && (repeatable || error.code !== undefined);
  if (!(error instanceof Unreachable)) return false;
  return !error.sent || (repeatable && !(error instanceof TimedOut));
}
