"""What can be wrong with a request before its content is looked at."""

from __future__ import annotations


class APIError(Exception):
    """The root of this room's errors."""


class MalformedRequest(APIError):
    """What came is no request of HTTP/1.1."""


class HeadTooLarge(APIError):
    """A request line and headers of more bytes than the service takes."""


class MalformedPath(APIError):
    """The path holds a control character, or is not UTF-8."""


class AmbiguousLength(APIError):
    """The body has two lengths, one that is none, or one in a form that its version of HTTP does not have."""


class MalformedBody(APIError):
    """The body is not JSON."""


class UnsupportedMediaType(APIError):
    """The body is declared as something the call does not take."""


class TooSlow(APIError):
    """A head or a body that comes more slowly than the service waits for."""


class ConnectionsFull(APIError):
    """More connections than the service has at once."""


class NoDescriptors(APIError):
    """The process may open no more files."""


class LengthRequired(APIError):
    """The Content-Length is not a length."""


class KeyRefused(APIError):
    """No key, or one that the service does not know."""


class Forbidden(APIError):
    """The caller may read and wants to write."""


class LabClosed(APIError):
    """The caller may read and wants to train, where only writers may."""


class MalformedHost(APIError):
    """No Host header, several, or one that is no host."""


class HostRefused(APIError):
    """A Host header with a name that is none of the service's, and no key."""


class OriginRefused(APIError):
    """A web page of another origin, which is not listed."""


class MCPMissing(APIError):
    """The library of the Model Context Protocol is not installed."""


class BodyTooLarge(APIError):
    """More bytes than the service takes."""


class QueueFull(APIError):
    """More requests wait than the service holds."""


class ServiceStopping(APIError):
    """The service was told to stop."""
