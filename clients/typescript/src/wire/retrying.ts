/** The rule of retries: whether a call is sent again, and after which time. It sends nothing itself. */

import { Refused, TimedOut, Unreachable } from "../errors.ts";

const FIRST_MS = 250;
const MAX_MS = 8000;
/** If the service asks for a longer wait, its refusal is thrown, with `retryAfter`. */
const MAX_SECONDS = 60;

/**
 * Return the milliseconds to wait before a call is sent again, or undefined if the error must be thrown.
 *
 * After a temporary refusal, which changed nothing, any call is sent again. After a failed connection, only repeatable
 * calls are: those that may be done twice, or that the service does once however often they arrive. A call that ran out
 * of time is not sent again, because the time was the limit of the caller.
 *
 * @param repeatable whether the call may be sent again if its result is unknown
 * @param tried the number of tries so far
 * @param retries the maximum number of further tries
 */
export function waitBefore(error: unknown, repeatable: boolean, tried: number, retries: number): number | undefined {
  if (tried > retries || !mayRepeat(error, repeatable)) return undefined;
  const seconds = error instanceof Refused ? error.retryAfter : undefined;
  if (seconds !== undefined) return seconds <= MAX_SECONDS ? seconds * 1000 : undefined;
  return Math.min(FIRST_MS * 2 ** (tried - 1), MAX_MS) * (0.5 + 0.5 * Math.random());
}

/** Wait. If the signal aborts meanwhile, throw its reason. */
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

function mayRepeat(error: unknown, repeatable: boolean): boolean {
  if (error instanceof Refused) return error.again && (repeatable || error.code !== undefined);
  if (!(error instanceof Unreachable)) return false;
  return !error.sent || (repeatable && !(error instanceof TimedOut));
}
