"""What a service answered, before it is read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from softkv.errors import ERRORS_BY_STATUS, Flaw, Invalid, Refused
from softkv.record import Record


class Reply(Record):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    url: object

    @property
    def request_id(self) -> str | None:
        """The request's name in the service's log."""
        return self.headers.get("x-request-id")

    @property
    def retry_after(self) -> float | None:
        """After how many seconds to call again, where it says so in seconds."""
        asked = self.headers.get("retry-after", "")
        return float(asked) if asked.isdecimal() else None

    def json(self) -> Any:
        """Its content; ValueError where that is no JSON."""
        return json.loads(self.content)


INVALID_CONTENT = "invalid_content"
# What to do in Python, where the service says it in words of HTTP; a note, which a traceback shows.
_PYTHON_HINTS = {"key_refused": "in Python: Client(url, key=…), or the variable SOFTKV_KEY"}
_CREATE_REQUEST = re.compile(r"PUT /v1/collections/\S+$")


def parse_refusal(reply: Reply) -> Refused:
    """What the service said in refusing a request, as an error to raise."""
    try:
        said = reply.json()
    except ValueError:
        said = None
    if isinstance(said, dict) and isinstance(said.get("error"), dict):  # as OpenAI's calls answer
        return _openai_error(said["error"], reply)
    if isinstance(said, dict) and isinstance(said.get("detail"), str):
        return problem_error(said, reply)
    return foreign_response_error(reply)


def problem_error(problem: Mapping[str, Any], reply: Reply) -> Refused:
    """A problem of RFC 9457, the whole answer or the end of a stream."""
    status, detail = problem.get("status", reply.status), problem["detail"]
    if problem.get("code") == "collection_not_found":
        detail = _CREATE_REQUEST.sub("collection.create()", detail)
    error = ERRORS_BY_STATUS.get(status, Refused)(
        detail,
        code=problem.get("code"),
        errors=[Flaw(flaw.get("pointer", ""), flaw.get("detail", "")) for flaw in problem.get("errors") or ()],
        status=status,
        request_id=reply.request_id,
        retry_after=reply.retry_after,
    )
    if error.code in _PYTHON_HINTS:
        error.add_note(_PYTHON_HINTS[error.code])
    return error


def foreign_response_error(reply: Reply) -> Refused:
    """An answer that softkv would not give: a proxy's, or that of another program."""
    kind = reply.headers.get("content-type", "no content type")
    return ERRORS_BY_STATUS.get(reply.status, Refused)(
        f"{reply.url} answered {reply.status} with {kind}, which is not softkv's: check the address",
        status=reply.status,
        request_id=reply.request_id,
        retry_after=reply.retry_after,
    )


def raise_flaws(flaws: Iterable[Flaw]) -> None:
    """Raise Invalid where there are any, in the words in which the service would refuse the request."""
    found = list(flaws)
    if found:
        (pointer, detail), more = found[0], len(found) - 1
        first = f"{pointer}: {detail}" if pointer else detail
        raise invalid_request(f"{first} (and {more} more, see errors)" if more else first, found)


def invalid_request(detail: str, errors: Iterable[Flaw]) -> Invalid:
    """The refusal of a request that was not sent."""
    return Invalid(detail, code=INVALID_CONTENT, errors=tuple(errors), status=422)


def invalid_value(pointer: str, detail: str) -> Invalid:
    """The refusal for one flaw."""
    return invalid_request(detail, [Flaw(pointer, detail)])


def invalid_value_at(pointer: str, detail: str) -> Invalid:
    """The refusal for one field that is not what it has to be, whose detail begins with its place."""
    return invalid_request(f"{pointer}: {detail}" if pointer else detail, [Flaw(pointer, detail)])


def _openai_error(error: Mapping[str, Any], reply: Reply) -> Refused:
    parameter = error.get("param")
    kind = Invalid if reply.status == 400 and parameter else ERRORS_BY_STATUS.get(reply.status, Refused)
    detail = str(error.get("message"))
    return kind(
        detail,
        code=error.get("code"),
        errors=[Flaw(f"/{parameter}", detail)] if parameter else [],
        status=reply.status,
        request_id=reply.request_id,
        retry_after=reply.retry_after,
    )
