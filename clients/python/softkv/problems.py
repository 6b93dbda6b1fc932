"""From an answer that is not a success to the error that says so, and from a flaw seen here to the same error."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from softkv.errors import OF_STATUS, Flaw, Invalid, Refused
from softkv.reply import Reply

CONTENT = "invalid_content"
# What to do in Python, where the service says it in words of HTTP; a note, which a traceback shows.
_HERE = {"key_refused": "in Python: Client(url, key=…), or the variable SOFTKV_KEY"}
_CREATE = re.compile(r"PUT /v1/collections/\S+$")


def refusal(reply: Reply) -> Refused:
    """What the service said in refusing a request, as an error to raise."""
    try:
        said = reply.json()
    except ValueError:
        said = None
    if isinstance(said, dict) and isinstance(said.get("error"), dict):  # as OpenAI's calls answer
        return _of_openai(said["error"], reply)
    if isinstance(said, dict) and isinstance(said.get("detail"), str):
        return of_problem(said, reply)
    return foreign(reply)


def of_problem(problem: Mapping[str, Any], reply: Reply) -> Refused:
    """A problem of RFC 9457, the whole answer or the end of a stream."""
    status, detail = problem.get("status", reply.status), problem["detail"]
    if problem.get("code") == "collection_not_found":
        detail = _CREATE.sub("collection.create()", detail)
    error = OF_STATUS.get(status, Refused)(
        detail,
        code=problem.get("code"),
        errors=[Flaw(flaw.get("pointer", ""), flaw.get("detail", "")) for flaw in problem.get("errors") or ()],
        status=status,
        request_id=reply.request_id,
        retry_after=reply.retry_after,
    )
    if error.code in _HERE:
        error.add_note(_HERE[error.code])
    return error


def foreign(reply: Reply) -> Refused:
    """An answer that softkv would not give: a proxy's, or that of another program."""
    kind = reply.headers.get("content-type", "no content type")
    return OF_STATUS.get(reply.status, Refused)(
        f"{reply.url} answered {reply.status} with {kind}, which is not softkv's: check the address",
        status=reply.status,
        request_id=reply.request_id,
        retry_after=reply.retry_after,
    )


def refuse(flaws: Iterable[Flaw]) -> None:
    """Raise Invalid where there are any, in the words in which the service would refuse the request."""
    found = list(flaws)
    if found:
        (pointer, detail), more = found[0], len(found) - 1
        first = f"{pointer}: {detail}" if pointer else detail
        raise invalid(f"{first} (and {more} more, see errors)" if more else first, found)


def invalid(detail: str, errors: Iterable[Flaw]) -> Invalid:
    """The refusal of a request that was not sent."""
    return Invalid(detail, code=CONTENT, errors=tuple(errors), status=422)


def flawed(pointer: str, detail: str) -> Invalid:
    """The refusal for one flaw."""
    return invalid(detail, [Flaw(pointer, detail)])


def misfit(pointer: str, detail: str) -> Invalid:
    """The refusal for one field that is not what it has to be, whose detail begins with its place."""
    return invalid(f"{pointer}: {detail}" if pointer else detail, [Flaw(pointer, detail)])


def _of_openai(error: Mapping[str, Any], reply: Reply) -> Refused:
    parameter = error.get("param")
    kind = Invalid if reply.status == 400 and parameter else OF_STATUS.get(reply.status, Refused)
    detail = str(error.get("message"))
    return kind(
        detail,
        code=error.get("code"),
        errors=[Flaw(f"/{parameter}", detail)] if parameter else [],
        status=reply.status,
        request_id=reply.request_id,
        retry_after=reply.retry_after,
    )
