"""An answer in words: its reason, and the sum of its weights with confidences and added terms."""

from __future__ import annotations

import pytest

from softkv.answers.answer import Answer

ONE, SEVERAL, NONE = "One document stands out.", "Several share it: here they are.", "Nothing here about that."
SETTLED = "That is within its error; a smaller max_error settles it."
FIRST = {"id": "a", "similarity": 0.6, "logit": 12.0, "weight": 0.625, "confidence": 0.875}


def answer(matches=(), *, null_weight=0.25, verdict="one", certain=True, alike=False, null_similarity=0.3, **fields):
    content = {
        "matches": list(matches),
        "rest_weight": 0.0,
        "complete": True,
        "evidence": {
            "verdict": verdict,
            "verdict_certain": certain,
            "alike": alike,
            "null_weight": null_weight,
            "null_similarity": null_similarity,
            "log_partition": 1.0,
            "entropy": 1.0,
            "effective_documents": 2.7,
        },
        "temperature": 0.05,
        "documents": 2,
        "keys": 2,
        "took_ms": 1.5,
        **fields,
    }
    return Answer(content)


def test_explain_returns_the_reason_and_the_warnings():
    assert answer(reason="Why.").explain() == answer(reason="Why.").reason == "Why."
    assert answer(reason="Why.", warnings=["One.", "Two."]).explain() == "Why.\nOne.\nTwo."
    assert "Why: 1 &lt; 2." in answer(reason="Why: 1 < 2.")._repr_html_()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"matches": [FIRST]}, ONE),
        ({"verdict": "several", "certain": False}, f"{SEVERAL} {SETTLED}"),
        ({"verdict": "several", "alike": True}, "Several that say nearly the same share it: here they are."),
        ({"verdict": "none", "documents": 0}, NONE),
    ],
)
def test_the_sum_ends_with_the_verdict(fields, expected):
    assert answer(**fields).to_text().splitlines()[-1].endswith(f"  {expected}")


def test_addends_are_listed_below_their_match():
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
    text = answer(matches, full_text={"weight": 0.1, "ranking": "bm25", "documents": 1}).to_text()
    assert text.splitlines() == [
        "  0.5000  a              confidence 0.8750  cats",
        "          added +0.6451 (of full_text, rank 6.4514), -0.8664 (of metadata.year, 1995), "
        '+0.5000 (of metadata.shelf, "QA"), +1.0000 (of a filter, passes), +0.0000 (of a filter, passes not)',
        "  0.2500  b              confidence 0.8750  cats",
        "  0.2500  none of these",
        "  1.0000  One document stands out.",
        "          full_text 0.1, ranked by bm25: 1 document with a word of it",
    ]
