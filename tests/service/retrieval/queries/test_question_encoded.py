"""Queries as vectors: what needs an encoder, and whose words it does not know."""

from __future__ import annotations

import asyncio
from itertools import product

import numpy as np

from softkv_attention.lookup import Evidence, Verdict
from softkv_service.encoding import Encoders
from softkv_service.retrieval.queries.question import EncodedQuery, check_readable
from softkv_service.storage.records import CollectionRecord, CollectionSettings

QUERY = np.array([3, 4], np.float32)
UNKNOWN = EncodedQuery("猫?", QUERY, 1, words_unknown=True)
RECORD = CollectionRecord(1, "c", CollectionSettings("dot", 0.25, dimension=2), documents=3)


def test_without_an_encoder_no_question_is_refused_for_its_words():
    asyncio.run(check_readable(Encoders(), "", "/query"))


def test_unknown_words_never_single_out_a_document_and_the_verdict_has_a_certainty():
    shares = [0.0, 0.2, 0.4, 0.49, 0.5, 0.6]
    for null, heaviest, variation in product(shares, [0.1, 0.3, 0.5, 0.6, 0.9], [0.0, 0.05, 0.2]):
        evidence = Evidence(1.0, null, 0.1, 0.0, 0.5, 1.6)
        of_weights = Verdict.of(evidence, heaviest, variation, documents=3)
        verdict = UNKNOWN.verdict(of_weights, evidence, variation)
        assert verdict.stands == ("none" if null >= 0.5 else "several")
        # The true null weight is as far away as the variation, at most.
        could_be = {max(null - variation, 0) >= 0.5, null + variation >= 0.5}
        assert verdict.certain == (len(could_be) == 1)


def test_without_a_null_key_it_is_always_several():
    evidence = Evidence(1.0, 0.0, None, 0.0, 0.5, 1.6)
    verdict = UNKNOWN.verdict(Verdict("one", certain=True), evidence, 0.7)
    assert verdict == Verdict("several", certain=True)


def test_weights_decide_if_a_word_is_known():
    evidence = Evidence(1.0, 0.1, 0.1, 0.0, 0.5, 1.6)
    for verdict in (Verdict("one", certain=True), Verdict("several", certain=False)):
        assert EncodedQuery("猫 cat", QUERY, 1).verdict(verdict, evidence, 0.0) == verdict
