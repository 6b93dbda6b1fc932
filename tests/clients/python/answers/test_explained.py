"""What an answer says of itself: why it was answered or not, how sure it is, what was added."""

from __future__ import annotations

import numpy as np
import pytest

from softkv.answers.answer import Answer
from softkv.answers.explained import verdict

UNDER = "the documents do not outweigh none of these"
LESS_SURE = "not answered: the first match is not as sure as was asked"
ABOVE = "not answered: the best document is not above none of these"


def answer(matches=(), *, null_weight=0.25, answered=True, log_partition=1.0, documents=2, temperature=0.05, **others):
    content = {
        "matches": list(matches),
        "rest_weight": 0.0,
        "complete": True,
        "evidence": {"answered": answered, "null_weight": null_weight, "null_similarity": 0.3,
                     "log_partition": log_partition, "entropy": 1.0, "effective_documents": 2.7},
        "temperature": temperature, "documents": documents, "keys": documents, "took_ms": 1.5, **others,
    }  # fmt: skip
    return Answer(content)


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({}, "answered"),
        ({"answered": False, "null_weight": 0.75}, f"not answered: {UNDER}"),
        ({"answered": False, "null_weight": 0.5}, f"not answered: {UNDER}"),
        ({"answered": False}, LESS_SURE),
        ({"null_weight": 0.75}, f"answered: the first match is as sure as was asked, though {UNDER}"),
        ({"answered": False, "documents": 0, "null_weight": 0.0}, "not answered: there is no document to attend to"),
        # There a document that is as similar as the null key shares its weight with it, and is not above it.
        ({"answered": False, "temperature": 0, "null_weight": 1 / 3}, ABOVE),
        ({"answered": False, "log_partition": None, "null_weight": 0.5}, ABOVE),
        ({"temperature": 0, "null_weight": 0.0}, "answered"),
    ],
)
def test_why_it_was_answered_or_not(told, wanted):
    found = answer(**told)
    assert verdict(found) == wanted
    assert found.explain().endswith(f"  {wanted}")
    assert wanted in found._repr_html_()


def test_what_was_added_stands_below_a_match():
    addends = [
        {"of": "full_text", "rank": 6.4514, "addend": 0.64514},
        {"of": "bias", "field": "metadata.year", "value": 1995, "addend": -0.8664},
        {"of": "bias", "field": "metadata.shelf", "value": "QA", "addend": 0.5},
        {"of": "bias", "passes": True, "addend": 1.0},
        {"of": "bias", "passes": False, "addend": 0.0},
    ]
    how = {"similarity": 0.6, "temperature": 0.05, "logit": 13.0, "log_partition": 1.0, "log_weight": -0.3}
    one = {"id": "a", "similarity": 0.6, "logit": 13.0, "weight": 0.5, "confidence": 0.875, "key": "cats"}
    matches = [one | {"explanation": how | {"addends": addends}}, one | {"id": "b", "weight": 0.25, "explanation": how}]
    told = answer(matches, full_text={"weight": 0.1, "ranking": "bm25", "documents": 1}).explain()
    assert told.splitlines() == [
        "  0.5000  a              confidence 0.8750  cats",
        "          added +0.6451 (of full_text, rank 6.4514), -0.8664 (of metadata.year, 1995), "
        '+0.5000 (of metadata.shelf, "QA"), +1.0000 (of a filter, passes), +0.0000 (of a filter, passes not)',
        "  0.2500  b              confidence 0.8750  cats",
        "  0.2500  none of these",
        "  1.0000  answered",
        "          full_text 0.1, ranked by bm25: 1 document with a word of it",
    ]


def test_it_is_true_of_answers_that_were_given(made):
    random = np.random.default_rng(0)
    shelf = made(encoder=None, similarity="dot", temperature=1.0, null=0.2)
    shelf.write([{"id": "east", "key_vector": [1, 0], "metadata": {"n": 2}}, {"id": "north", "key_vector": [0, 1]}])
    labelled = [([6.0, random.normal()], "east") if i % 2 else ([0.1, random.normal()], None) for i in range(60)]
    assert shelf.calibrate([{"query": query, "id": name} for query, name in labelled], apply=True).applied
    sure = shelf.attend([3.0, 0.0], null=False, answer_if=0.0)
    assert (
        sure.explain().splitlines()[0].split()
        == f"{sure[0].weight:.4f} east confidence {sure[0].confidence:.4f}".split()
    )
    assert verdict(sure) == "answered"
    assert verdict(shelf.attend([3.0, 0.0], null=False, answer_if=1.0)) == LESS_SURE
    above = 3.0 + sure.temperature
    assert verdict(shelf.attend([3.0, 0.0], null=above, answer_if=0.0)).endswith(f"as was asked, though {UNDER}")
    assert verdict(shelf.attend([3.0, 0.0], null=above)) == f"not answered: {UNDER}"
    assert verdict(shelf.attend([1.0, 1.0], temperature=0, null=1.0)) == ABOVE
    biased = shelf.attend([3.0, 0.0], bias={"field": "metadata.n", "factor": 2}, include=["explanation"])
    assert "added +4.0000 (of metadata.n, 2)" in biased.explain()
    assert "added +0.0000 (of metadata.n, null)" in biased.explain()
