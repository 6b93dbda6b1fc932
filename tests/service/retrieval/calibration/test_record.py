"""A calibration is read as it was written, and knows when a collection has outgrown it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from softkv_service.retrieval.calibration import Calibration, Curve, RerankerSettings, TextTerms, Variant
from softkv_service.retrieval.calibration.abstention import ErrorBound

BOUNDS = (ErrorBound(0.05, "questions", 0.7, 0.2),)
PLAIN = Variant(0.2, Curve(0.7, 0.3, 0.2, 0.1, -1.0), 0.75, BOUNDS)
WORDS = Variant(0.25, Curve(0.6, 0.2, 0.3, 0.0, -1.1))
KEPT = Calibration(1000, "all-MiniLM-L6-v2", 0.06, 0.1, 100, 90, PLAIN, WORDS, (0.05, "auto"))


def test_a_calibration_is_read_as_it_was_written():
    assert Calibration.read(KEPT.text()) == KEPT
    assert Calibration.read(None) is None
    reranked = replace(KEPT, rerank=RerankerSettings("marco", 50, 0.3), reranked=WORDS)
    assert Calibration.read(reranked.text()) == reranked
    stored = json.loads(KEPT.text())
    earlier = {name: field for name, field in stored.items() if name not in ("rerank", "reranked")}
    assert Calibration.read(json.dumps(earlier | {"itself": stored["plain"]})) == KEPT


def test_one_of_another_version_is_as_none():
    assert Calibration.read(json.dumps(json.loads(KEPT.text()) | {"version": 3})) is None


def test_a_calibration_holds_for_its_fitted_shares_of_words():
    assert [KEPT.variant(TextTerms(weight)) for weight in (0.0, 0.1, 0.15)] == [PLAIN, WORDS, None]


def test_a_calibration_holds_for_its_reranker_alone():
    rerank = RerankerSettings("marco", 50, 0.3)
    reranked = replace(KEPT, rerank=rerank, reranked=WORDS)
    assert reranked.variant(TextTerms(0.0, rerank)) == WORDS
    assert reranked.variant() == PLAIN
    assert reranked.variant(TextTerms(0.1, rerank)) is None
    assert reranked.variant(TextTerms(0.0, replace(rerank, depth=49))) is None
    assert KEPT.variant(TextTerms(0.0, rerank)) is None
    useless = replace(rerank, weight=0.0)
    assert replace(KEPT, rerank=useless).variant(TextTerms(0.0, useless)) == PLAIN


@pytest.mark.parametrize(
    ("documents", "encoder", "temperature", "outgrown"),
    [
        (1000, "all-MiniLM-L6-v2", 0.06, False),
        (2000, "all-MiniLM-L6-v2", 0.06, False),
        (2001, "all-MiniLM-L6-v2", 0.06, True),
        (499, "all-MiniLM-L6-v2", 0.06, True),
        (1000, "another", 0.06, True),
        (1000, "all-MiniLM-L6-v2", 0.05, True),
    ],
)
def test_another_collection_has_outgrown_it(documents, encoder, temperature, outgrown):
    assert KEPT.outgrown(documents, encoder, temperature) is outgrown
