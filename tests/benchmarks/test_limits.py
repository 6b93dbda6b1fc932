"""`python -m benchmarks limits` measures every call with a body."""

from __future__ import annotations

import re

from benchmarks.limits import CALLS, FIXED, operations


def test_every_call_with_a_body_is_measured_or_has_a_fixed_one() -> None:
    measured = {re.split("[?: ]", name)[0] for name in CALLS}
    assert operations().keys() == measured | FIXED
    assert not measured & FIXED
