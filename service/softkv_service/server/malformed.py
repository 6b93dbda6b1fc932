"""Malformed requests: the application answers them with a problem, like any other request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from softkv_service.api.middleware.requests import UNREADABLE
from softkv_service.api.problems.errors import AmbiguousLength, APIError, HeadTooLarge, MalformedHost, MalformedRequest
from softkv_service.logs import log

MAX_HEAD_BYTES = 32 * 1024
"""The limit of a request line and its headers. A head that arrives in large pieces may exceed it by one piece."""
PIECE_BYTES = 16 * 1024
"""The most bytes that the parser gets at once, so that neither a head nor pipelined requests grow far beyond their
limits."""


def head_too_large() -> APIError:
    """Return the error for a head that exceeds its limit."""
    return HeadTooLarge(
        f"The request line and its headers exceed {MAX_HEAD_BYTES} bytes. Shorten the path and the headers, and send "
        "long content in the body."
    )


def ambiguous_length() -> APIError:
    """Return the error for a body with an invalid length or with several lengths."""
    return AmbiguousLength(
        "The length of the body is ambiguous. Send either one Content-Length of digits or Transfer-Encoding: chunked, "
        "not both."
    )


def invalid_host() -> APIError:
    """Return the error for a missing or repeated Host header."""
    return MalformedHost("Expected exactly one Host header. Send one name or address, with its port.")


def invalid_head() -> APIError:
    """Return the error for a malformed request line or header."""
    return MalformedRequest(
        "The request line or a header does not conform to RFC 9112. Send a known method, a path and HTTP/1.1, and each "
        "header on its own line that ends with CR LF."
    )


def invalid_body() -> APIError:
    """Return the error for malformed chunks."""
    return MalformedRequest(
        "The chunks of the body do not conform to RFC 9112, section 7.1. Send for each chunk its size in hexadecimal, "
        "CR LF, that number of bytes and CR LF; end with a chunk of size 0."
    )


def parser_error(reason: str, *, in_body: bool) -> APIError:
    """Return the error for a reason with which the parser rejected a request."""
    log.info("malformed request", reason=reason[:200])
    lowered = reason.lower()
    if "content-length" in lowered or "transfer-encoding" in lowered:
        return ambiguous_length()
    return invalid_body() if in_body else invalid_head()


def rejection_scope(scope: Mapping[str, Any], error: APIError) -> dict[str, Any]:
    """Return the ASGI scope of a request that the application answers with `error` before the connection closes.

    Args:
        scope: the scope as far as the parser has filled it in; the path and the headers may be missing.
        error: the problem to answer with.
    """
    return {
        "method": "-",
        "path": "",
        "raw_path": b"",
        "query_string": b"",
        **scope,
        "headers": [*scope.get("headers", ()), (b"connection", b"close")],
        "state": {**scope.get("state", {}), UNREADABLE: error},
    }
