/** The sender of calls: tries, their time limits, and their errors. */

import { JSON_TYPE, Written, json } from "./body.ts";
import { SoftkvError, TimedOut, Unreachable } from "../errors.ts";
import type { SchemaLimits, SchemaServiceAnswer } from "../generated/api.ts";
import { invalidContent, foreignAnswer, redirection, refusal } from "../problems.ts";
import { pause, waitBefore } from "./retrying.ts";
import { authorization } from "./settings.ts";
import type { Reply } from "../types.ts";
import { VERSION } from "../version.ts";

/** The options of one call; those left out are the client's. */
export interface How {
  /** Ends the call when it aborts; its reason is thrown unchanged. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds that each try may take; left out, a minute for questions, ten minutes for writes and `calibrate`. */
  readonly timeout?: number | undefined;
  /** The maximum number of further tries, if they are safe; left out, 2. */
  readonly retries?: number | undefined;
  /** Further headers. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** A call: its method, path and body, and the function that reads its answer. */
export interface Call<T> {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  /** Returns the result from the content of a successful answer. */
  readonly read?: ((content: any, reply: Reply) => T) | undefined;
  /** Whether the answer is a text instead of JSON; `read` then gets the text. */
  readonly isText?: boolean | undefined;
  /** Whether it may be sent again if its result is unknown. */
  readonly repeatable?: boolean | undefined;
  /** Whether it has an Idempotency-Key, so that the service does it once however often it arrives. */
  readonly once?: boolean | undefined;
  /** The id of the request in the service's log. */
  readonly id?: string | undefined;
  /** A further status that counts as success. */
  readonly expected?: number | undefined;
  /** The time limit in milliseconds, unless the client has its own. */
  readonly limit?: number | undefined;
}

/** A function with the interface of the platform's `fetch`. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** The options of a sender, and the defaults of its calls. */
export interface Options {
  readonly url: string;
  readonly key: string | undefined | (() => string | undefined);
  readonly fetch: Fetch;
  readonly timeout: number | undefined;
  readonly retries: number;
}

/** Facts about the service that are known so far. */
export interface Known {
  limits?: SchemaLimits;
}

/** The time limit of writes, which are acknowledged when their texts are encoded and on disk. */
export const WRITE_MS = 600_000;
const QUESTION_MS = 60_000;
const MAX_MS = 2 ** 31 - 1;
/** Error codes of Node for a request that was never sent; browsers do not report them. */
const UNSENT = /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|CONNECT_TIMEOUT|ENETUNREACH|EHOSTUNREACH/;
/** Error codes of Node's fetch, which ends a request after five minutes of silence whatever `timeout` is. */
const NODE_TIMEOUT = /(HEADERS|BODY)_TIMEOUT/;

/** Sends calls and awaits them. */
export class Sender {
  readonly options: Options;
  readonly #known: Known;

  constructor(options: Options, known: Known) {
    this.options = options;
    this.#known = known;
  }

  /** Return a limit of the service, which is requested only once. */
  async limit(name: keyof SchemaLimits, how?: How): Promise<number> {
    this.#known.limits ??= await this.get("/v1", how, (info: SchemaServiceAnswer) => info.limits);
    return this.#known.limits[name];
  }

  /** Send a call; return the content of its answer, or null if that is empty. */
  send<T>(call: Call<T>, how: How = {}): Promise<T> {
    return this.open(call, how, async (response, attempt, head) => {
      const reply = { ...head, text: await response.text() };
      attempt.end();
      try {
        const content = call.isText ? reply.text : reply.text ? JSON.parse(reply.text) : null;
        return call.read ? call.read(content, reply) : content;
      } catch (error) {
        throw error instanceof SoftkvError ? error : foreignAnswer(reply);
      }
    });
  }

  /** Send a question, which changes nothing and may be repeated. */
  ask<T>(path: string, body: unknown, how?: How, read?: Call<T>["read"], limit?: number): Promise<T> {
    return this.send({ method: "POST", path, body, repeatable: true, read, limit }, how);
  }

  /** Send a GET. */
  get<T>(path: string, how?: How, read?: Call<T>["read"], expected?: number): Promise<T> {
    return this.send({ method: "GET", path, repeatable: true, read, expected }, how);
  }

  /** Send a call, with retries if they are safe. Return the result of `take`, which ends the attempt after reading. */
  async open<T>(
    call: Call<unknown>,
    how: How,
    take: (response: Response, attempt: Attempt, head: Reply) => Promise<T>,
  ): Promise<T> {
    const { url, timeout, retries } = this.options;
    const id = call.id ?? newId();
    const init = this.#init(call, how, id);
    for (let tried = 1; ; tried++) {
      const attempt = new Attempt(how.timeout ?? timeout ?? call.limit ?? QUESTION_MS, how.signal);
      try {
        const response = await this.options.fetch(url + call.path, { ...init, signal: attempt.signal });
        const head = headOf(response, url + call.path, id);
        // A proxy may replace the id of a request. Only a cache adds an age.
        if (head.requestId !== id && Number(response.headers.get("age")) > 0) {
          attempt.cancel();
          const detail = `a cache answered for request ${head.requestId}: let it obey Cache-Control`;
          const own = { requestId: id };
          throw tried > 1 ? new SoftkvError(detail, own) : new Unreachable(detail, true, own);
        }
        // Followed, a POST behind a 301 or 302 would become a GET, which changes nothing.
        if (response.type === "opaqueredirect" || (response.status >= 300 && response.status < 400)) {
          throw redirection(head, response.headers.get("location"), call.path);
        }
        if (response.ok || response.status === call.expected) return await take(response, attempt, head);
        throw refusal({ ...head, text: await response.text() });
      } catch (error) {
        attempt.end();
        const failure = attempt.failure(error, url, id);
        const wait = waitBefore(failure, Boolean(call.repeatable || call.once), tried, how.retries ?? retries);
        if (wait === undefined) throw failure;
        await pause(wait, how.signal);
        init.headers["Cache-Control"] = "no-cache"; // no cache may answer it again
      }
    }
  }

  #init(call: Call<unknown>, how: How, id: string): RequestInit & { headers: Record<string, string> } {
    const { key } = this.options;
    const { method, body, once } = call;
    const written = () => (body instanceof Written ? body : new Written(json(body), JSON_TYPE));
    const content = body === undefined ? undefined : written();
    const headers = {
      "X-Request-ID": id,
      ...authorization(typeof key === "function" ? key() : key),
      // Not in a page: another origin would have to allow the header.
      ...("location" in globalThis ? {} : { "User-Agent": `softkv-js/${VERSION}` }),
      ...(content && { "Content-Type": content.type }),
      ...(once && { "Idempotency-Key": id }),
      ...how.headers,
    };
    return { method, headers, redirect: "manual", ...(content && { body: content.content }) };
  }
}

/** One try of a call: its signal and its time limit. */
export class Attempt {
  readonly #controller = new AbortController();
  readonly #milliseconds: number;
  readonly #outer: AbortSignal | undefined;
  readonly #stop = () => this.#controller.abort(this.#outer?.reason);
  #timer: ReturnType<typeof setTimeout> | undefined = undefined;
  #isLate = false;

  constructor(milliseconds: number, outer: AbortSignal | undefined) {
    if (!(milliseconds > 0)) throw invalidContent("", `timeout: wanted milliseconds above 0, got ${milliseconds}`);
    outer?.throwIfAborted();
    this.#milliseconds = Math.min(milliseconds, MAX_MS);
    this.#outer = outer;
    outer?.addEventListener("abort", this.#stop, { once: true });
    this.restart();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Start the time limit, or start it again after data from the service. */
  restart(): void {
    this.suspend();
    this.#timer = setTimeout(() => {
      this.#isLate = true;
      this.#controller.abort();
    }, this.#milliseconds);
  }

  /** Suspend the time limit. */
  suspend(): void {
    clearTimeout(this.#timer);
  }

  /** End the time limit, and detach from the caller's signal. */
  end(): void {
    this.suspend();
    this.#outer?.removeEventListener("abort", this.#stop);
  }

  /** Cancel the rest of the answer. */
  cancel(): void {
    this.end();
    this.#controller.abort();
  }

  /**
   * Return the error for the caller of a failed try.
   *
   * @throws the reason of the caller's signal, if it aborted
   */
  failure(error: unknown, url: string, requestId: string): unknown {
    this.#outer?.throwIfAborted();
    if (error instanceof SoftkvError) return error;
    const reason = reasonOf(error);
    const target = url || "this page's own address";
    const details = { requestId, cause: error };
    if (this.#isLate || NODE_TIMEOUT.test(reason)) {
      const elapsed = this.#isLate ? `after ${this.#milliseconds / 1000} s` : reason;
      const detail = `${target} did not answer in time (${elapsed}): allow more with timeout, or ask for less`;
      return new TimedOut(detail, true, details);
    }
    const advice = "start one with `softkv serve`, or give its address as url or in SOFTKV_URL";
    return new Unreachable(`no service answers at ${target} (${reason}): ${advice}`, !UNSENT.test(reason), details);
  }
}

/** Return a random id. On a page without https, randomUUID does not exist. */
export function newId(bytes = 16): string {
  const numbers = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(numbers, (number) => number.toString(16).padStart(2, "0")).join("");
}

function headOf(response: Response, url: string, id: string): Reply {
  const retryAfter = response.headers.get("retry-after") ?? "";
  return {
    url,
    status: response.status,
    type: response.headers.get("content-type") ?? undefined,
    text: "",
    requestId: response.headers.get("x-request-id") ?? id,
    retryAfter: /^\d+$/.test(retryAfter) ? Number(retryAfter) : undefined,
  };
}

/** Return the reason of an error; Node puts it into the cause. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { code?: string; message?: string } };
  return [message || String(error), cause?.code || cause?.message].filter(Boolean).join(", ");
}
