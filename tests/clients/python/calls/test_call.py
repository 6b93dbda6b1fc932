"""The retry policy."""

from __future__ import annotations

import pytest

from softkv.calls.call import Call, RetryPolicy, ignore_content
from softkv.errors import RETRYABLE_CODES, Busy, Conflict, Invalid, Refused, TimedOut, Unavailable, Unreachable
from tests.examples import Page

SAFE = Call("GET", "/", ignore_content)
UNSAFE = Call("POST", "/", ignore_content, repeatable=False)
ALWAYS = RetryPolicy(retries=20, jitter=lambda: 1.0)


def not_sent() -> Unreachable:
    error = Unreachable("no connection")
    error.sent = False
    return error


def test_waits_grow_to_a_limit_and_scatter():
    waits = [ALWAYS.delay(SAFE, Unreachable("lost"), tried) for tried in range(1, 9)]
    assert waits == [0.25, 0.5, 1, 2, 4, 8, 8, 8]
    assert RetryPolicy(jitter=lambda: 0.0).delay(SAFE, Unreachable("lost"), 1) == 0.125
    assert RetryPolicy(retries=2).delay(SAFE, Unreachable("lost"), 3) is None


@pytest.mark.parametrize(
    ("error", "safe", "unsafe"),
    [
        (Unreachable("lost"), True, False),
        (not_sent(), True, True),
        (TimedOut("slow"), False, False),
        (Busy("full", code="queue_full", status=429), True, True),
        (Unavailable("loads", code="encoder_unavailable", status=503), True, True),
        (Unavailable("damaged", code="collection_damaged", status=503), False, False),
        (Unavailable("a proxy", status=502), True, False),
        (Conflict("changed", code="document_changed", status=409), True, True),
        (Conflict("there", code="documents_exist", status=409), False, False),
        (Invalid("wrong", code="invalid_content", status=422), False, False),
        (Refused("odd", status=200), False, False),
    ],
    ids=repr,
)
def test_only_safe_requests_are_sent_again(error, safe, unsafe):
    assert (ALWAYS.delay(SAFE, error, 1) is not None) == safe
    assert (ALWAYS.delay(UNSAFE, error, 1) is not None) == unsafe


def test_a_service_is_given_the_time_it_asks_for():
    assert ALWAYS.delay(SAFE, Busy("full", code="queue_full", status=429, retry_after=17.0), 1) == 17.0
    assert ALWAYS.delay(SAFE, Busy("full", code="queue_full", status=429, retry_after=61.0), 1) is None


def test_retryable_codes_match_the_page_of_errors():
    rows = [line.split("|") for line in Page("docs/reference/errors.md").text.splitlines() if line.startswith("| `")]
    again = {row[1].strip(" `") for row in rows if row[3].strip() == "yes"}
    assert again | {"rate_limit_exceeded"} == RETRYABLE_CODES
