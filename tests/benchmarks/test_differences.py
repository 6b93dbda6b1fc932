"""Two answers may differ by their certificates' bounds, by rounding and by the time, and by nothing else."""

from __future__ import annotations

import copy
import json

import pytest

from benchmarks.differences import differences

ANSWER = {
    "matches": [
        {"id": "a", "similarity": 0.8, "logit": 16.0, "weight": 0.6, "value": 1, "metadata": {"year": 1990}},
        {"id": "b", "similarity": 0.7, "logit": 14.0, "weight": 0.2, "value": "x", "metadata": {}},
        {"id": "c", "similarity": 0.7, "logit": 14.0, "weight": 0.1999, "value": None, "metadata": {}},
    ],
    "rest_weight": 0.0001,
    "complete": True,
    "output": [0.5, 0.25],
    "reason": "“a” stands out: it has 60 % of the weight.",
    "evidence": {
        "verdict": "one",
        "verdict_certain": True,
        "alike": False,
        "null_weight": 0.0,
        "null_similarity": None,
        "log_partition": 16.5,
        "entropy": 0.95,
        "effective_documents": 2.585,
    },
    "certificate": {"method": "quantised", "total_variation": 0.0005, "output_error": 0.001},
    "temperature": 0.05,
    "documents": 7,
    "keys": 9,
    "took_ms": 1.5,
}


def changed(path: str, value: object) -> bytes:
    answer = copy.deepcopy(ANSWER)
    *parents, name = path.split("/")
    inner = answer
    for parent in parents:
        inner = inner[int(parent) if parent.isdigit() else parent]
    inner[name] = value
    return json.dumps(answer).encode()


BODY = json.dumps(ANSWER).encode()


WITHIN = [
    ("matches/0/weight", 0.6009),
    ("rest_weight", 0.0009),
    ("evidence/null_weight", 0.0009),
    ("evidence/entropy", 0.955),
    ("evidence/log_partition", 16.501),
    ("matches/0/similarity", 0.8 + 1e-13),
    ("certificate/total_variation", 0.0004),
    ("output", [0.5, 0.2515]),
    ("took_ms", 99.5),
]
BEYOND = [
    ("matches/0/weight", 0.6011),
    ("rest_weight", 0.0012),
    ("evidence/entropy", 0.97),
    ("evidence/log_partition", 16.6),
    ("evidence/verdict", "several"),
    ("matches/0/similarity", 0.8 + 1e-9),
    ("matches/0/value", 2),
    ("matches/0/value", True),
    ("matches/0/value", 1.0),
    ("matches/1/metadata", {"year": 1990}),
    ("matches/0/id", "z"),
    ("certificate/method", "exact"),
    ("output", [0.5, 0.26]),
    ("temperature", 0.06),
    ("complete", False),
    ("matches", ANSWER["matches"][:2]),
    ("unknown_tokens", 0),
]


@pytest.mark.parametrize(("path", "value"), WITHIN)
def test_weights_and_their_sums_may_differ_by_both_bounds(path, value):
    assert differences(BODY, changed(path, value)).beyond == []


@pytest.mark.parametrize(("path", "value"), BEYOND)
def test_a_larger_or_another_difference_is_named_by_its_path(path, value):
    (flaw, *_) = differences(BODY, changed(path, value)).beyond
    assert path.split("/")[0] in flaw


def test_documents_that_tie_within_the_bounds_may_change_places():
    a, b, c = ANSWER["matches"]
    assert differences(BODY, changed("matches", [a, c, b])).beyond == []
    assert differences(BODY, changed("matches", [b, a, c])).beyond != []


def test_answers_to_several_queries_are_each_compared_by_their_own_bounds():
    exact = ANSWER | {"certificate": {"method": "exact", "total_variation": 0.0, "output_error": None}}
    both = [
        json.dumps({"results": [ANSWER, exact]}),
        json.dumps({"results": [json.loads(changed("rest_weight", 0.0009)), exact]}),
    ]
    assert differences(*(text.encode() for text in both)).beyond == []
    other = json.dumps({"results": [ANSWER, exact | {"rest_weight": 0.00011}]})
    assert differences(both[0].encode(), other.encode()).beyond == [
        "/results/1/rest_weight differs by 1e-05, at most 1e-15 is allowed"
    ]


def test_excepted_fields_are_not_compared():
    assert differences(BODY, changed("evidence/alike", True), ["alike"]).beyond == []
    answer = json.loads(BODY)
    del answer["evidence"]["alike"]
    assert differences(BODY, json.dumps(answer).encode(), ["alike"]).beyond == []
    assert differences(BODY, changed("matches/0/value", 2), ["alike"]).beyond == ["/matches/0/value is 1 and 2"]
