"""Errors that the client raises: no service answered, or the service refused the request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Flaw(NamedTuple):
    """One flaw of a request.

    Attributes:
        pointer: a JSON pointer (RFC 6901) into the request's body; empty for the whole body.
        detail: what was expected, and what was sent.
    """

    pointer: str
    detail: str


class Error(Exception):
    """Base of all errors that the client raises.

    Attributes:
        detail: what was expected, what was sent and what to do.
        code: the service's stable code for programs; None if no service sent one.
        errors: every flaw of a request that was refused for its content.
        status: the HTTP status; None if no service answered.
        request_id: the id of the request in the service's log; None if no request was sent.
        retry_after: the seconds after which the service asks to retry; None if it did not say.
        report: the `Report` of an upload that this error ended, for `resume`; otherwise None.
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
        # The detail usually contains the text of a single flaw.
        lines = [f"  {flaw.pointer or '/'}: {flaw.detail}" for flaw in self.errors if flaw.detail not in self.detail]
        return "\n".join([self.detail, *lines])


class Unreachable(Error):
    """No service answered.

    Attributes:
        sent: whether the service may have received and processed the request.
    """

    sent = True


class TimedOut(Unreachable):
    """No service answered in time."""


class Refused(Error):
    """The service answered with an error; subclasses name the reason."""

    @property
    def again(self) -> bool:
        """Whether the same request may succeed later without any change."""
        return self.code in RETRYABLE_CODES if self.code else self.status in _GATEWAY_STATUSES


class Invalid(Refused):
    """The content is invalid (422); `errors` names the fields. Raised before sending if the request cannot be sent."""


class NotFound(Refused):
    """The collection, document, model, room or endpoint does not exist (404)."""


class Conflict(Refused):
    """The request conflicts with what exists (409)."""


class KeyRefused(Refused):
    """The API key is missing or unknown (401)."""


class Forbidden(Refused):
    """The API key or the secret does not permit the request (403)."""


class TooLarge(Refused):
    """The request exceeds a size limit (413)."""


class Busy(Refused):
    """The service has too many requests in progress, or a quota of the key is used up (429, `quota_exceeded`)."""


class Unavailable(Refused):
    """The service cannot answer now: it is loading, shutting down or has found damaged data (502, 503, 504)."""


class Unsupported(Refused):
    """The request needs an optional part of the service that is not installed (501)."""


class StorageFull(Refused):
    """The service's disk is full; no data is lost (507)."""


class ServiceFailed(Refused):
    """The service failed with an internal error (500). Its log has the cause under the `request_id`."""


def error_class(status: int, code: object) -> type[Refused]:
    """Return the class of the error for a status and the service's code; None if a proxy or another program answered.

    Only the service knows what exists, so an answer without a code is not a `NotFound`, `Conflict` or `Invalid`.
    """
    return Refused if code is None and status in (404, 409, 422) else _CLASSES.get(status, Refused)


_CLASSES: dict[int, type[Refused]] = {
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
# The codes with "yes" under "retry" in docs/reference/errors.md: nothing was changed, and a retry may succeed.
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
        "values_pending",
    }
)
# Statuses that a proxy in front of the service answers with its own content.
_GATEWAY_STATUSES = (429, 502, 503, 504)
