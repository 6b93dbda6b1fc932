/** Errors: no service answered, or it refused the request. Each error has the details of the service's answer. */

import type { Code, Flaw, UploadReport } from "./types.ts";

/** The details of an error besides its sentence. */
export interface Circumstances {
  readonly code?: Code | undefined;
  readonly errors?: readonly Flaw[] | undefined;
  readonly status?: number | undefined;
  readonly requestId?: string | undefined;
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
}

/** The base of all errors of this client. Only the reason of an AbortSignal is thrown unchanged instead. */
export class SoftkvError extends Error {
  override name = "SoftkvError";
  /** The expectation, the actual content and the remedy, in a sentence; `message` adds further flaws below it. */
  readonly detail: string;
  /** The kind of error in one stable word, for programs; undefined if no service sent one. */
  readonly code: Code | undefined;
  /** Every flaw of a request whose content is invalid. */
  readonly errors: readonly Flaw[];
  /** The HTTP status; undefined if no service answered. */
  readonly status: number | undefined;
  /** The id of the request, in every line of the service's log; undefined if no request was sent. */
  readonly requestId: string | undefined;
  /** The seconds after which the service allows another try; undefined if it named none. */
  readonly retryAfter: number | undefined;
  /** The report of an upload that this error ended, for `resume`. */
  report: UploadReport | undefined = undefined;

  constructor(detail: string, details: Circumstances = {}) {
    const { errors = [], cause } = details;
    const others = errors.filter((flaw) => !detail.includes(flaw.detail));
    const lines = others.map((flaw) => `  ${flaw.pointer || "/"}: ${flaw.detail}`);
    super([detail, ...lines].join("\n"), cause === undefined ? {} : { cause });
    this.detail = detail;
    this.code = details.code;
    this.errors = errors;
    this.status = details.status;
    this.requestId = details.requestId;
    this.retryAfter = details.retryAfter;
  }

  /** Whether the same request may succeed a moment later without any other change. */
  get again(): boolean {
    return false;
  }
}

/** No service answered. */
export class Unreachable extends SoftkvError {
  override name = "Unreachable";
  /** Whether the service may have received and executed the request. */
  readonly sent: boolean;

  constructor(detail: string, sent: boolean, details: Circumstances = {}) {
    super(detail, details);
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

/** The service refused the request; the classes below name the reason. */
export class Refused extends SoftkvError {
  override name = "Refused";

  override get again(): boolean {
    return this.code ? REPEATABLE.has(this.code) : OF_GATEWAYS.includes(this.status ?? 0);
  }
}

/** The content is invalid (422); `errors` has the positions. The client throws it before sending if it can. */
export class Invalid extends Refused {
  override name = "Invalid";
}

/** The collection, document, model or call does not exist (404). */
export class NotFound extends Refused {
  override name = "NotFound";
}

/** The request conflicts with stored data (409). */
export class Conflict extends Refused {
  override name = "Conflict";
}

/** The key is missing or unknown (401). */
export class KeyRefused extends Refused {
  override name = "KeyRefused";
}

/** The key does not allow the call (403). */
export class Forbidden extends Refused {
  override name = "Forbidden";
}

/** The request exceeds a limit of the service (413). */
export class TooLarge extends Refused {
  override name = "TooLarge";
}

/** The service has its maximum of calls in progress (429). */
export class Busy extends Refused {
  override name = "Busy";
}

/** The service cannot answer now: it is loading or shutting down, or its data is damaged (502, 503, 504). */
export class Unavailable extends Refused {
  override name = "Unavailable";
}

/** The service was installed without a library that the call needs (501). */
export class Unsupported extends Refused {
  override name = "Unsupported";
}

/** The service's disk is full; nothing is lost (507). */
export class StorageFull extends Refused {
  override name = "StorageFull";
}

/** The service itself failed (500): its log has the cause under the `requestId`. */
export class ServiceFailed extends Refused {
  override name = "ServiceFailed";
}

/**
 * Return the class of the error for a status and the service's code, which an answer of a proxy or of another program lacks.
 *
 * Only the service knows what exists, so an answer without a code is no NotFound, Conflict or Invalid.
 */
export function errorClass(status: number, code?: unknown): typeof Refused {
  return OF_STATUS[code || ![404, 409, 422].includes(status) ? status : 0] ?? Refused;
}

const OF_STATUS: Readonly<Record<number, typeof Refused>> = {
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

/** The codes with "yes" under "retry" in docs/reference/errors.md: nothing was done, and a later try may succeed. */
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
  "rate_limit_exceeded", // queue_full, in the form of OpenAI's calls
  "rooms_full",
  "shards_missing",
  "stopping",
  "store_unavailable",
  "too_slow",
  "values_pending",
]);
/** The statuses of a proxy in front of the service. */
const OF_GATEWAYS: readonly number[] = [429, 502, 503, 504];
