"""What is wrong with an input, as an error of LangChain's and of softkv's at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from langchain_core.exceptions import LangChainException

from softkv.errors import Invalid


class InvalidInput(Invalid, LangChainException, ValueError):
    """The content of a call is wrong; `detail` and `errors` say where, in the service's words."""


@contextmanager
def inputs_checked() -> Iterator[None]:
    """Make an InvalidInput of what the client or the service finds wrong; other errors stay what they are."""
    try:
        yield
    except InvalidInput:
        raise
    except Invalid as error:
        raise input_error(error) from error


def input_error(error: Invalid) -> InvalidInput:
    """The same error as one of LangChain's."""
    made = InvalidInput(
        error.detail,
        code=error.code,
        errors=error.errors,
        status=error.status,
        request_id=error.request_id,
        retry_after=error.retry_after,
    )
    made.report = error.report
    return made
