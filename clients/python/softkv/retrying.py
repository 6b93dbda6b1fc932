"""When a call is sent again, and after how long: a rule that sends nothing itself."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from softkv.calls.call import Call
from softkv.errors import Error, Refused, TimedOut, Unreachable
from softkv.record import Record

_FIRST_DELAY, _MAX_DELAY = 0.25, 8.0


class RetryPolicy(Record):
    """Repeats what is safe to repeat.

    A refusal of which the service says that the same request may succeed a moment later changed nothing, so any call
    is sent again; where the connection failed, those that may be done twice, or that a service does once however often
    it hears them. What ran out of time is not: that was the limit.

    Attributes:
        retries: how often at most.
        longest: seconds; where the service asks for a longer wait, its refusal is raised, with `retry_after`.
        chance: from 0 to 1, so that many clients do not come back at the same moment.
    """

    retries: int = 2
    longest: float = 60.0
    chance: Callable[[], float] = random.random

    def wait(self, call: Call[Any], error: Error, tried: int) -> float | None:
        """Seconds to wait before the call is sent again after so many tries; None where the error is to be raised."""
        if tried > self.retries or not _is_retryable(call, error):
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= self.longest else None
        seconds: float = min(_FIRST_DELAY * 2 ** (tried - 1), _MAX_DELAY)
        return seconds * (0.5 + 0.5 * self.chance())


def _is_retryable(call: Call[Any], error: Error) -> bool:
    if isinstance(error, Refused):
        return error.again and (call.repeatable or error.code is not None)
    if isinstance(error, Unreachable) and not error.sent:
        return True
    return call.repeatable and isinstance(error, Unreachable) and not isinstance(error, TimedOut)
