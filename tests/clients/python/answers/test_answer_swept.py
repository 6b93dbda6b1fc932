"""A sweep as arrays."""

from __future__ import annotations

import re

import numpy as np

from softkv.answers.answer import Swept


def swept(temperatures=(0.1, 1.0)):
    evidence = {
        "verdict": "several",
        "verdict_certain": True,
        "alike": False,
        "null_weight": 0.25,
        "null_similarity": 0.3,
        "log_partition": 1.0,
        "entropy": 1.0,
        "effective_documents": 2.0,
    }
    entries = [
        {"temperature": temperature, "weights": [0.5, 0.125], "rest_weight": 0.125, "evidence": evidence}
        for temperature in temperatures
    ]
    matches = [{"id": "a", "similarity": 0.6}, {"id": "b", "similarity": 0.2}]
    content = {"matches": matches, "temperatures": entries, "documents": 9, "keys": 9, "took_ms": 1.0}
    return Swept(content, question="cats")


def test_arrays():
    result = swept()
    assert result.weights.tolist() == [[0.5, 0.125]] * 2
    assert result.null_weights.dtype == np.float64
    assert result.null_weights.tolist() == [0.25, 0.25]
    assert result.rest_weights.tolist() == [0.125, 0.125]
    assert result.verdicts == ["several", "several"]
    assert repr(result) == "<Swept 2 temperatures, 2 of 9 documents, 'a'>"


def test_a_notebook_shows_the_weights_at_up_to_eight_temperatures():
    temperatures = [
        {"temperature": 0.1 * (i + 1), "weights": [0.5, 0.25], "rest_weight": 0.125, "evidence": {"null_weight": 0.125}}
        for i in range(20)
    ]
    matches = [{"id": "<b>", "similarity": 0.6, "value": "<script>"}, {"id": "c", "similarity": 0.5}]
    content = {"temperatures": temperatures, "matches": matches, "documents": 3, "keys": 3, "took_ms": 1}
    page = Swept(content)._repr_html_()
    assert page.count("T = ") == 7
    assert page.count("0.5000") == 7
    assert {"&lt;b&gt;", "&lt;script&gt;", "1 others", "none of these"} <= set(re.findall(r">([^<>]+)<", page))
