"""What cannot be read as a request: it is given to the application as one to refuse, and so answered like any other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from service.api.middleware.wellformed import UNREADABLE
from service.api.problems.errors import AmbiguousLength, APIError, HeadTooLarge, MalformedHost, MalformedRequest

log = structlog.get_logger("softkv")

MOST_HEAD_BYTES = 32 * 1024
"""A request line and its headers may have so many bytes. One that comes in large pieces may have a piece more."""
PIECE_BYTES = 16 * 1024
"""A parser is given no more at a time, so that neither a head nor what is sent ahead grows far beyond its bound."""


def too_large() -> APIError:
    """A head above its bound."""
    return HeadTooLarge(
        f"the request line and its headers have more than {MOST_HEAD_BYTES} bytes: send less in the path and the "
        "headers, and what is long in the body"
    )


def unclear_length() -> APIError:
    """No length of the body, or several."""
    return AmbiguousLength(
        "how long the body is cannot be told: send one Content-Length of digits, or Transfer-Encoding: chunked, and "
        "not both"
    )


def unclear_host() -> APIError:
    """No Host, or several."""
    return MalformedHost("the request has no Host header, or several: send one name or address, and its port")


def malformed_head() -> APIError:
    """A request line or a header that is none."""
    return MalformedRequest(
        "the request line or a header is not as RFC 9112 has it: send a method that there is, a path and HTTP/1.1, and "
        "each header on a line of its own that ends with CR LF"
    )


def malformed_body() -> APIError:
    """Chunks that are none."""
    return MalformedRequest(
        "the chunks of the body are not as RFC 9112, 7.1 has them: send the size of each in hexadecimal, CR LF, so "
        "many bytes, CR LF, and a last one of size 0"
    )


def refusal(reason: str, *, in_body: bool) -> APIError:
    """How a parser's complaint is answered: the same, whichever parser it is."""
    log.info("unreadable request", reason=reason[:200])
    said = "" if reason.startswith("illegal") else reason.lower()  # h11 goes on with what came
    if "content-length" in said or "transfer-encoding" in said:
        return unclear_length()
    if "host: header" in said:
        return unclear_host()
    return malformed_body() if in_body else malformed_head()


def to_refuse(known: Mapping[str, Any], error: APIError) -> dict[str, Any]:
    """The scope of a request that the application answers with `error`, and after which the connection ends.

    Args:
        known: what there is of its scope: a path and headers where the parser came so far.
    """
    return {
        "method": "-",
        "path": "",
        "raw_path": b"",
        "query_string": b"",
        **known,
        "headers": [*known.get("headers", ()), (b"connection", b"close")],
        "state": {**known.get("state", {}), UNREADABLE: error},
    }
