/** Sending calls: tries, their clocks, and what became of them. */

import { JSON_TYPE, Written, json } from "./body.ts";
import { SoftkvError, TimedOut, Unreachable } from "../errors.ts";
import type { SchemaLimits, SchemaServiceAnswer } from "../generated/api.ts";
import { flawed, foreign, refusal } from "../problems.ts";
import { pause, waitBefore } from "./retrying.ts";
import { authorization } from "./settings.ts";
import type { Reply } from "../types.ts";
import { VERSION } from "../version.ts";

/** How a call is sent; what is left out is the client's choice. */
export interface How {
  /** Ends the call; its reason is thrown as it is. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds that each try may take; left out, a minute for questions, ten for writes and `calibrate`. */
  readonly timeout?: number | undefined;
  /** How often it is sent again at most, where that is safe; 2 if left out. */
  readonly retries?: number | undefined;
  /** Further headers. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** A call's method, path and body, and how its answer is read. */
export interface Call<T> {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  /** Makes the result of what a success has in it. */
  readonly read?: ((content: any, reply: Reply) => T) | undefined;
  /** Whether the answer is not one JSON but a text, which `read` is given. */
  readonly isText?: boolean | undefined;
  /** Whether it may be sent again where nobody knows what became of it. */
  readonly repeatable?: boolean | undefined;
  /** Whether it has a name by which the service does it once, however often it is sent. */
  readonly once?: boolean | undefined;
  /** Its name in the service's log. */
  readonly id?: string | undefined;
  /** A status that is an answer and no refusal, besides those of success. */
  readonly expected?: number | undefined;
  /** Milliseconds, unless the client was told otherwise. */
  readonly limit?: number | undefined;
}

/** Any function that does as the platform's `fetch`. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Where calls are sent, and how those that say nothing themselves. */
export interface Options {
  readonly url: string;
  readonly key: string | undefined | (() => string | undefined);
  readonly fetch: Fetch;
  readonly timeout: number | undefined;
  readonly retries: number;
}

/** What the service has said of itself so far. */
export interface Known {
  limits?: SchemaLimits;
}

/** A write is acknowledged when its texts are encoded and on disk; a question takes moments. */
export const WRITE_MS = 600_000;
const QUESTION_MS = 60_000;
const LONGEST_MS = 2 ** 31 - 1;
/** Codes of Node's network where a request never left; a browser does not say. */
const UNSENT = /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|CONNECT_TIMEOUT|ENETUNREACH|EHOSTUNREACH/;
/** Node's own fetch ends what it hears nothing of for five minutes, whatever `timeout` allows. */
const NODE_LATE = /(HEADERS|BODY)_TIMEOUT/;

/** Sends calls and awaits them. */
export class Sender {
  readonly options: Options;
  readonly #known: Known;

  constructor(options: Options, known: Known) {
    this.options = options;
    this.#known = known;
  }

  /** One of the service's limits, asked for once. */
  async limit(name: keyof SchemaLimits, how?: How): Promise<number> {
    this.#known.limits ??= await this.get("/v1", how, (info: SchemaServiceAnswer) => info.limits);
    return this.#known.limits[name];
  }

  /** Send a call → what its answer says; null where it says nothing. */
  send<T>(call: Call<T>, how: How = {}): Promise<T> {
    return this.open(call, how, async (response, attempt, head) => {
      const reply = { ...head, text: await response.text() };
      attempt.end();
      try {
        const content = call.isText ? reply.text : reply.text ? JSON.parse(reply.text) : null;
        return call.read ? call.read(content, reply) : content;
      } catch (error) {
        throw error instanceof SoftkvError ? error : foreign(reply);
      }
    });
  }

  /** Ask something that changes nothing, as often as it takes. */
  ask<T>(path: string, body: unknown, how?: How, read?: Call<T>["read"], limit?: number): Promise<T> {
    return this.send({ method: "POST", path, body, repeatable: true, read, limit }, how);
  }

  /** Look something up. */
  get<T>(path: string, how?: How, read?: Call<T>["read"], expected?: number): Promise<T> {
    return this.send({ method: "GET", path, repeatable: true, read, expected }, how);
  }

  /** Send a call, again where that is safe → what `take` makes of a success; it ends the attempt when all was read. */
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
        if (response.ok || response.status === call.expected) return await take(response, attempt, head);
        throw refusal({ ...head, text: await response.text() });
      } catch (error) {
        attempt.end();
        const failure = attempt.failure(error, url, id);
        const wait = waitBefore(failure, Boolean(call.repeatable || call.once), tried, how.retries ?? retries);
        if (wait === undefined) throw failure;
        await pause(wait, how.signal);
      }
    }
  }

  #init(call: Call<unknown>, how: How, id: string): RequestInit {
    const { key } = this.options;
    const { method, body, once } = call;
    const content = body instanceof Written || body === undefined ? body : new Written(json(body), JSON_TYPE);
    const headers = {
      "X-Request-ID": id,
      ...authorization(typeof key === "function" ? key() : key),
      // A page may not say what it is: another origin would have to allow the header.
      ...("location" in globalThis ? {} : { "User-Agent": `softkv-js/${VERSION}` }),
      ...(content && { "Content-Type": content.type }),
      ...(once && { "Idempotency-Key": id }),
      ...how.headers,
    };
    return { method, headers, ...(content && { body: content.content }) };
  }
}

/** One try: the signal that ends it, and its clock. */
export class Attempt {
  readonly #controller = new AbortController();
  readonly #milliseconds: number;
  readonly #outer: AbortSignal | undefined;
  readonly #stop = () => this.#controller.abort(this.#outer?.reason);
  #timer: ReturnType<typeof setTimeout> | undefined = undefined;
  #isLate = false;

  constructor(milliseconds: number, outer: AbortSignal | undefined) {
    if (!(milliseconds > 0)) throw flawed("", `timeout: wanted milliseconds above 0, got ${milliseconds}`);
    outer?.throwIfAborted();
    this.#milliseconds = Math.min(milliseconds, LONGEST_MS);
    this.#outer = outer;
    outer?.addEventListener("abort", this.#stop, { once: true });
    this.wind();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Start the clock, or start it again at a sign of the service. */
  wind(): void {
    this.halt();
    this.#timer = setTimeout(() => {
      this.#isLate = true;
      this.#controller.abort();
    }, this.#milliseconds);
  }

  /** Stop the clock, until it is started again. */
  halt(): void {
    clearTimeout(this.#timer);
  }

  /** Stop the clock, and let the caller's signal go. */
  end(): void {
    this.halt();
    this.#outer?.removeEventListener("abort", this.#stop);
  }

  /** Give up what still comes. */
  drop(): void {
    this.end();
    this.#controller.abort();
  }

  /**
   * What a failure is to whoever called.
   *
   * @throws the reason of the caller's signal, where that ended it
   */
  failure(error: unknown, url: string, requestId: string): unknown {
    this.#outer?.throwIfAborted();
    if (error instanceof SoftkvError) return error;
    const reason = reasonOf(error);
    const where = url || "this page's own address";
    const known = { requestId, cause: error };
    if (this.#isLate || NODE_LATE.test(reason)) {
      const after = this.#isLate ? `after ${this.#milliseconds / 1000} s` : reason;
      const detail = `${where} did not answer in time (${after}): allow more with timeout, or ask for less`;
      return new TimedOut(detail, true, known);
    }
    const advice = "start one with `softkv serve`, or give its address as url or in SOFTKV_URL";
    return new Unreachable(`no service answers at ${where} (${reason}): ${advice}`, !UNSENT.test(reason), known);
  }
}

/** A name that no other request has; randomUUID is not there on a page without https. */
export function newId(bytes = 16): string {
  const numbers = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(numbers, (number) => number.toString(16).padStart(2, "0")).join("");
}

function headOf(response: Response, url: string, id: string): Reply {
  const asked = response.headers.get("retry-after") ?? "";
  return {
    url,
    status: response.status,
    type: response.headers.get("content-type") ?? undefined,
    text: "",
    requestId: response.headers.get("x-request-id") ?? id,
    retryAfter: /^\d+$/.test(asked) ? Number(asked) : undefined,
  };
}

/** Node says what the matter was in the cause of its error. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { code?: string; message?: string } };
  return [message || String(error), cause?.code || cause?.message].filter(Boolean).join(", ");
}
