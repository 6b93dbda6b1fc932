/** What can go wrong: no service answered, or it refused. Each error carries what the service said of it. */

import type { SchemaFieldProblem, SchemaProblemCode } from "./generated/api.ts";
import type { Report } from "./calls/report.ts";

/** What went wrong in one stable word; docs/errors.md has all of them, and what to do. */
export type Code = SchemaProblemCode;

/** One thing that is wrong with a request: a JSON pointer (RFC 6901) into its body, empty for the whole, and what. */
export type Flaw = SchemaFieldProblem;

/** What is known of an error besides its sentence. */
export interface Circumstances {
  readonly code?: Code | undefined;
  readonly errors?: readonly Flaw[] | undefined;
  readonly status?: number | undefined;
  readonly requestId?: string | undefined;
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
}

/** Whatever this client throws, but for the reason of an AbortSignal, which is thrown as it is. */
export class SoftkvError extends Error {
  override name = "SoftkvError";
  /** What was wanted, what came and what to do, in a sentence; `message` has the further flaws below it. */
  readonly detail: string;
  /** What went wrong in one stable word, for programs; undefined where no service said one. */
  readonly code: Code | undefined;
  /** Every flaw of a request that was refused for its content. */
  readonly errors: readonly Flaw[];
  /** Of HTTP; undefined where no service answered. */
  readonly status: number | undefined;
  /** The request's name, which the service's log has in every line; undefined where none was sent. */
  readonly requestId: string | undefined;
  /** After how many seconds the service asked to be called again; undefined where it did not. */
  readonly retryAfter: number | undefined;
  /** The report of an upload that this ended, for `resume`. */
  report: Report | undefined = undefined;

  constructor(detail: string, known: Circumstances = {}) {
    const { errors = [], cause } = known;
    const more = errors.filter((flaw) => !detail.includes(flaw.detail));
    const lines = more.map((flaw) => `  ${flaw.pointer || "/"}: ${flaw.detail}`);
    super([detail, ...lines].join("\n"), cause === undefined ? {} : { cause });
    this.detail = detail;
    this.code = known.code;
    this.errors = errors;
    this.status = known.status;
    this.requestId = known.requestId;
    this.retryAfter = known.retryAfter;
  }

  /** Whether the same request may succeed a moment later, without anybody having done anything. */
  get again(): boolean {
    return false;
  }
}

/** No service answered. */
export class Unreachable extends SoftkvError {
  override name = "Unreachable";
  /** Whether the service may have received the request, and done what it asks. */
  readonly sent: boolean;

  constructor(detail: string, sent: boolean, known: Circumstances = {}) {
    super(detail, known);
    this.sent = sent;
  }

  override get again(): boolean {
    return true;
  }
}

/** No service answered in time. */
export class TimedOut extends Unreachable {
  override name = "TimedOut";
}

/** The service answered, and not with what was asked for; the classes below say why. */
export class Refused extends SoftkvError {
  override name = "Refused";

  override get again(): boolean {
    return this.code ? REPEATABLE.has(this.code) : OF_GATEWAYS.includes(this.status ?? 0);
  }
}

/** The content is wrong (422); `errors` says where. Thrown before anything is sent where the client can see it. */
export class Invalid extends Refused {
  override name = "Invalid";
}

/** There is no such collection, document, model or call (404). */
export class NotFound extends Refused {
  override name = "NotFound";
}

/** What is there already is in the way (409). */
export class Conflict extends Refused {
  override name = "Conflict";
}

/** The service wants a key, or does not know this one (401). */
export class KeyRefused extends Refused {
  override name = "KeyRefused";
}

/** This key may not do that (403). */
export class Forbidden extends Refused {
  override name = "Forbidden";
}

/** More than one request may bring (413). */
export class TooLarge extends Refused {
  override name = "TooLarge";
}

/** More requests are under way than the service takes at once (429). */
export class Busy extends Refused {
  override name = "Busy";
}

/** The service cannot answer this now: it loads, stops, or found something damaged (502, 503, 504). */
export class Unavailable extends Refused {
  override name = "Unavailable";
}

/** The service was installed without what this needs (501). */
export class Unsupported extends Refused {
  override name = "Unsupported";
}

/** The service's disk is full; nothing is lost (507). */
export class StorageFull extends Refused {
  override name = "StorageFull";
}

/** An error of the service's own (500): its log has the cause under the `requestId`. */
export class ServiceFailed extends Refused {
  override name = "ServiceFailed";
}

/** Which error a status is. */
export const OF_STATUS: Readonly<Record<number, typeof Refused>> = {
  401: KeyRefused,
  403: Forbidden,
  404: NotFound,
  409: Conflict,
  413: TooLarge,
  422: Invalid,
  429: Busy,
  500: ServiceFailed,
  501: Unsupported,
  502: Unavailable,
  503: Unavailable,
  504: Unavailable,
  507: StorageFull,
};

/** The codes of which docs/errors.md says "again": nothing was done, and a moment later it may be. */
const REPEATABLE: ReadonlySet<string> = /* @__PURE__ */ new Set<Code | "rate_limit_exceeded">([
  "collection_loading",
  "connections_full",
  "database_busy",
  "document_changed",
  "encoder_unavailable",
  "lab_busy",
  "listeners_full",
  "out_of_descriptors",
  "out_of_memory",
  "queue_full",
  "rate_limit_exceeded", // queue_full, as OpenAI's calls say it
  "rooms_full",
  "shards_missing",
  "stopping",
  "store_unavailable",
  "too_slow",
]);
/** What a proxy in front of the service answers in its own words. */
const OF_GATEWAYS: readonly number[] = [429, 502, 503, 504];
