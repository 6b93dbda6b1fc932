"""Errors of requests that are refused before their content is validated."""

from __future__ import annotations

from starlette.exceptions import HTTPException


class APIError(Exception):
    """Base class of the API's errors."""


class MalformedRequest(APIError):
    """The request is not valid HTTP/1.1."""


class HeadTooLarge(APIError):
    """The request line and headers have more bytes than the service accepts."""


class MalformedPath(APIError):
    """The path holds a control character, or is not UTF-8."""


class AmbiguousLength(APIError):
    """The body has two lengths, an invalid one, or a form of length that its HTTP version lacks."""


class MalformedBody(APIError):
    """The body is not JSON."""


class UnsupportedMediaType(APIError):
    """The call does not accept the body's declared media type."""


class TooSlow(APIError):
    """The request line, the headers or the body arrive too slowly."""


class ConnectionsFull(APIError):
    """The service has its maximum of open connections."""


class NoDescriptors(APIError):
    """The process cannot open more files or connections."""


class LengthRequired(APIError):
    """The value of the Content-Length header is not a valid length."""


class KeyRefused(APIError):
    """The key is missing, unknown or expired."""


class Forbidden(APIError):
    """The caller's key does not permit the call, for example a write with a read-only key."""


class MalformedHost(APIError):
    """The Host header is missing, repeated or invalid."""


class HostRefused(APIError):
    """The Host header is not a name of this service, and the request has no key."""


class OriginRefused(APIError):
    """The request comes from a web page of an origin that is not allowed."""


class MCPMissing(APIError):
    """The library of the Model Context Protocol is not installed."""


class ReaderMissing(APIError):
    """The library that reads the format of a table is not installed."""


class BodyTooLarge(APIError):
    """The body has more bytes than the service accepts."""


class QueueFull(APIError):
    """A limit on concurrent calls is reached."""


class RateExceeded(APIError):
    """The caller's key has sent as many requests in the last minute as it may.

    Attributes:
        seconds: the time until the next request is accepted.
    """

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


class ServiceStopping(APIError):
    """The service is shutting down."""


class AccessLogUnwritable(APIError):
    """The line of a change cannot be written to the access log, so the change is refused."""


def refusal_of_file(*, exists: bool) -> HTTPException:
    """Return the refusal of a request to a mount of files: of the path without a file, or else of the method."""
    return HTTPException(405 if exists else 404)
