"""What can go wrong: no service answered, or it refused. Each error carries what the service said of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Flaw(NamedTuple):
    """One thing that is wrong with a request.

    Attributes:
        pointer: a JSON pointer (RFC 6901) into the request's body; empty for the whole.
        detail: what was wanted, and what came.
    """

    pointer: str
    detail: str


class Error(Exception):
    """Whatever this client raises.

    Attributes:
        detail: what was wanted, what came and what to do, in a sentence.
        code: what went wrong in one stable word, for programs; None where no service said one.
        errors: every flaw of a request that was refused for its content.
        status: of HTTP; None where no service answered.
        request_id: the request's name, which the service's log has in every line; None where none was sent.
        retry_after: after how many seconds the service asked to be called again; None where it did not.
        report: the `Report` of an upload that this ended, for `resume`; else None.
    """

    report: Any = None

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        errors: Sequence[Flaw] = (),
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.errors = tuple(errors)
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after

    def __str__(self) -> str:
        # One flaw is usually the whole of the detail already.
        more = [f"  {flaw.pointer or '/'}: {flaw.detail}" for flaw in self.errors if flaw.detail not in self.detail]
        return "\n".join([self.detail, *more])


class Unreachable(Error):
    """No service answered.

    Attributes:
        sent: whether the service may have received the request, and done what it asks.
    """

    sent = True


class TimedOut(Unreachable):
    """No service answered in time."""


class Refused(Error):
    """The service answered, and not with what was asked for; the classes below say why."""

    @property
    def again(self) -> bool:
        """Whether the same request may succeed a moment later, without anybody having done anything."""
        return self.code in RETRYABLE_CODES if self.code else self.status in _GATEWAY_STATUSES


class Invalid(Refused):
    """The content is wrong (422); `errors` says where. Raised before anything is sent where the client can see it."""


class NotFound(Refused):
    """There is no such collection, document, model or call (404)."""


class Conflict(Refused):
    """What is there already is in the way (409)."""


class KeyRefused(Refused):
    """The service wants a key, or does not know this one (401)."""


class Forbidden(Refused):
    """This key may not do that (403)."""


class TooLarge(Refused):
    """More than one request may bring (413)."""


class Busy(Refused):
    """More requests are under way than the service takes at once (429)."""


class Unavailable(Refused):
    """The service cannot answer this now: it loads, stops, or found something damaged (502, 503, 504)."""


class Unsupported(Refused):
    """The service was installed without what this needs (501)."""


class StorageFull(Refused):
    """The service's disk is full; nothing is lost (507)."""


class ServiceFailed(Refused):
    """An error of the service's own (500): its log has the cause under the `request_id`."""


ERRORS_BY_STATUS: dict[int, type[Refused]] = {
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
}
# The codes of which docs/errors.md says "again": nothing was done, and a moment later it may be.
RETRYABLE_CODES = frozenset(
    {
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
        "rate_limit_exceeded",  # queue_full, as OpenAI's calls say it
        "rooms_full",
        "shards_missing",
        "stopping",
        "store_unavailable",
        "too_slow",
    }
)
# What a proxy in front of the service answers in its own words.
_GATEWAY_STATUSES = (429, 502, 503, 504)
