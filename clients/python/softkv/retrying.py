"""Retry policy: whether and when a call is sent again. Nothing is sent here."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from softkv.calls.call import Call
from softkv.errors import Error, Refused, TimedOut, Unreachable
from softkv.record import Record

_FIRST_DELAY, _MAX_DELAY = 0.25, 8.0


class RetryPolicy(Record):
    """A rule for whether and when a failed call is sent again.

    A refusal that the service marks as temporary changed nothing, so any call is repeated. If the connection failed, a
    call is repeated only if it is idempotent or was not sent. A call that ran out of time is not repeated, because the
    timeout was its limit.

    Attributes:
        retries: the largest number of repetitions.
        max_delay: the longest wait in seconds. If the service asks for a longer one, its refusal is raised with
            `retry_after`.
        jitter: a random number from 0 to 1, so that many clients do not retry at the same moment.
    """

    retries: int = 2
    max_delay: float = 60.0
    jitter: Callable[[], float] = random.random

    def delay(self, call: Call[Any], error: Error, attempts: int) -> float | None:
        """Return the seconds to wait before the call is repeated; None if the error must be raised.

        Args:
            attempts: the number of attempts so far.
        """
        if attempts > self.retries or not _is_retryable(call, error):
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= self.max_delay else None
        seconds: float = min(_FIRST_DELAY * 2 ** (attempts - 1), _MAX_DELAY)
        return seconds * (0.5 + 0.5 * self.jitter())


def _is_retryable(call: Call[Any], error: Error) -> bool:
    """Return whether a call may be repeated after this error."""
    if isinstance(error, Refused):
        return error.again and (call.repeatable or error.code is not None)
    if isinstance(error, Unreachable) and not error.sent:
        return True
    return call.repeatable and isinstance(error, Unreachable) and not isinstance(error, TimedOut)
