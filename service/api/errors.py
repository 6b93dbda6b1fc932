"""What can be wrong with a request before its content is looked at."""

from __future__ import annotations


class APIError(Exception):
    """The root of this room's errors."""


class MalformedPath(APIError):
    """The path holds a control character, or is not UTF-8."""


class AmbiguousLength(APIError):
    """The body has two lengths, or one in a form that its version of HTTP does not have."""


class MalformedBody(APIError):
    """The body is not JSON."""


class UnsupportedMediaType(APIError):
    """The body is declared as something the call does not take."""


class LengthRequired(APIError):
    """The Content-Length is not a length."""


class KeyRefused(APIError):
    """No key, or one that the service does not know."""


class Forbidden(APIError):
    """The caller may read and wants to write."""


class HostRefused(APIError):
    """A Host header that a service open to this machine only does not answer to."""


class BodyTooLarge(APIError):
    """More bytes than the service takes."""


class TooMuch(APIError):
    """More items than the service takes in one request."""


class QueueFull(APIError):
    """More requests wait than the service holds."""
