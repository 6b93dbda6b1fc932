"""The tail of a sweep, of which the picture of a collection shows the weights of all other documents."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.reading import module


def test_a_rest_of_rounding_errors_is_nothing_and_never_nan(visit: Any) -> None:
    evidence = {"log_partition": 0.0, "effective_documents": 1.0}
    rests = {1e300: 0.99, 0.05: 0.1, 0.01: 1e-12, 0.005: 0.0, 0.004: 1.1e-16, 0.003: 0.0}
    rungs = [{"temperature": t, "rest_weight": rest, "evidence": evidence} for t, rest in rests.items()]
    sweep = {"documents": 100, "keys": 100, "matches": [{}], "temperatures": rungs}
    use = "({Tail}, {sweep, at}) => at.map((temperature) => new Tail(sweep).logMass(temperature))"
    arguments = {"sweep": sweep, "at": [0.02, 0.007, 0.0045, 0.0035, 0.001]}
    result = module(visit("explore").page, "/shared/tail.js", use, arguments)
    assert result[0] == pytest.approx(-15, abs=13)
    assert result[1:] == [float("-inf")] * 4
