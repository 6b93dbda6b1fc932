"""Errors from responses that are not successful, and the same errors for requests that the client refuses itself."""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from softkv.errors import Flaw, Invalid, Refused, error_class
from softkv.record import Record


class Reply(Record):
    """A response before it is parsed.

    Attributes:
        proxy: the proxy of the environment through which it came; empty without one.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    url: object
    proxy: str = ""

    @property
    def request_id(self) -> str | None:
        """The request id in the service's log."""
        return self.headers.get("x-request-id")

    @property
    def retry_after(self) -> float | None:
        """The seconds after which to retry, or None if the header is missing or a date."""
        header = self.headers.get("retry-after", "")
        return float(header) if header.isdecimal() else None

    def json(self) -> Any:
        """Parse the content as JSON.

        Raises:
            ValueError: the content is not JSON.
        """
        return json.loads(self.content)


_PACKAGE = str(Path(__file__).parent)


def warn_caller(message: str) -> None:
    """Show a UserWarning at the line outside of this package that made the call."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


_OUR_ARGUMENTS = {"filter": "where"} | dict.fromkeys(("k", "limit", "n_results", "topk"), "top_k")


def unexpected_argument(method: str, name: str) -> TypeError:
    """Return the error for an argument that a method does not have, which names ours for that of another API."""
    ours = f": it is {_OUR_ARGUMENTS[name]} here" if name in _OUR_ARGUMENTS else ""
    return TypeError(f"{method}() got an unexpected keyword argument {name!r}{ours}")


COLLECTION_NOT_FOUND = "collection_not_found"
INVALID_CONTENT = "invalid_content"
# Python advice for messages that give HTTP advice; added as a note, which a traceback shows.
_PYTHON_HINTS = {"key_refused": "in Python: Client(url, key=…), or the variable SOFTKV_KEY"}
_CREATE_REQUEST = re.compile(r"PUT /v1/collections/\S+$")


def parse_refusal(reply: Reply) -> Refused:
    """Convert an unsuccessful response to the error to raise."""
    try:
        content = reply.json()
    except ValueError:
        content = None
    if isinstance(content, dict) and isinstance(content.get("error"), dict):  # as OpenAI's calls answer
        return _openai_error(content["error"], reply)
    if isinstance(content, dict) and isinstance(content.get("detail"), str):
        return problem_error(content, reply)
    return foreign_response_error(reply)


def problem_error(problem: Mapping[str, Any], reply: Reply) -> Refused:
    """Convert a problem (RFC 9457) to an error. The problem is a whole response, or the last line of a stream."""
    status, detail = problem.get("status", reply.status), problem["detail"]
    if problem.get("code") == COLLECTION_NOT_FOUND:
        detail = _CREATE_REQUEST.sub("collection.create()", detail)
    code = problem.get("code")
    error = error_class(status, code)(
        detail,
        code=code,
        errors=[Flaw(flaw.get("pointer", ""), flaw.get("detail", "")) for flaw in problem.get("errors") or ()],
        status=status,
        request_id=reply.request_id,
        retry_after=reply.retry_after,
    )
    if error.code in _PYTHON_HINTS:
        error.add_note(_PYTHON_HINTS[error.code])
    return error


def foreign_response_error(reply: Reply) -> Refused:
    """Return the error for a response that did not come from softkv, such as a proxy's."""
    url, location = str(reply.url), reply.headers.get("location")
    if location is not None and 300 <= reply.status < 400:
        detail = f"{url} redirects to {_redirect_target(url, location)}"
    else:
        kind = reply.headers.get("content-type", "no content type")
        slash = ", and that a proxy passes on %2F, the slash of an id" if "%2F" in url else ""
        detail = f"{url} answered {reply.status} with {kind}, which is not softkv's: check the address{slash}"
    if reply.proxy:
        detail += f". It came through {proxy_advice(reply.proxy, url)}"
    return error_class(reply.status, None)(
        detail,
        status=reply.status,
        request_id=reply.request_id,
        retry_after=reply.retry_after,
    )


def _redirect_target(url: str, location: str) -> str:
    """Return the address of a redirect, and the advice which address to give."""
    target, path = urljoin(url, location), url[url.find("/v1") :]
    if "/v1" in url and target.endswith(path):
        return f"{target}: give {target.removesuffix(path)} as url"
    return f"{target}: give the address of the service itself as url"


def proxy_advice(proxy: str, url: str) -> str:
    """Return the name of a proxy, and how to do without it."""
    return f"the environment's proxy {proxy}: add {urlsplit(url).hostname} to NO_PROXY to ask without it"


def raise_flaws(flaws: Iterable[Flaw]) -> None:
    """Raise Invalid if there are flaws, with the service's message for the same request."""
    flaw_list = list(flaws)
    if flaw_list:
        (pointer, detail), other_count = flaw_list[0], len(flaw_list) - 1
        first = f"{pointer}: {detail}" if pointer else detail
        raise invalid_request(f"{first} (and {other_count} more, see errors)" if other_count else first, flaw_list)


def invalid_request(detail: str, errors: Iterable[Flaw]) -> Invalid:
    """Return the error for a request that was not sent."""
    return Invalid(detail, code=INVALID_CONTENT, errors=tuple(errors), status=422)


def invalid_value(pointer: str, detail: str) -> Invalid:
    """Return the error for a request with one flaw, at this pointer."""
    return invalid_request(detail, [Flaw(pointer, detail)])


def invalid_value_at(pointer: str, detail: str) -> Invalid:
    """Return the error for one invalid field, whose message begins with the pointer."""
    return invalid_request(f"{pointer}: {detail}" if pointer else detail, [Flaw(pointer, detail)])


def _openai_error(error: Mapping[str, Any], reply: Reply) -> Refused:
    """Convert an error response of the endpoints that are compatible with OpenAI's."""
    parameter = error.get("param")
    code = error.get("code")
    kind = Invalid if reply.status == 400 and parameter else error_class(reply.status, code)
    detail = str(error.get("message"))
    return kind(
        detail,
        code=code,
        errors=[Flaw(f"/{parameter}", detail)] if parameter else [],
        status=reply.status,
        request_id=reply.request_id,
        retry_after=reply.retry_after,
    )
