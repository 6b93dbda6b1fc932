from __future__ import annotations

import numpy as np
import pytest

from softkv_attention import attend
from softkv_service.datasets import DEMOS


@pytest.fixture(scope="module")
def ask(encoder):
    """Return the keys with more than a tenth of the weight for a query, with the level of a service."""
    keys = [card["key"] for card in DEMOS["library"].documents()]
    vectors = encoder.encode(keys, "document").vectors
    level = encoder.background.mean + encoder.background.deviation * np.sqrt(2 * np.log(len(keys)))

    def ask(query):
        asked = encoder.encode([query], "query").vectors
        weights = attend(asked, vectors, vectors, similarity="cosine", temperature=0.05, null=float(level)).weights[0]
        return {key: round(float(weight), 1) for key, weight in zip(keys, weights, strict=True) if weight > 0.1}

    return ask


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("tumours", {"cancer": 1.0}),
        ("insomnia", {"sleep": 1.0}),
        ("feline companions", {"cats": 0.9}),
        ("apes", {"gorillas": 0.5, "chimpanzees": 0.5}),
        ("flibber wozzle grunk", {}),
        ("How do I get a red wine stain out of a carpet?", {}),
    ],
)
def test_queries_share_no_word_with_their_answers(query, found, ask):
    assert ask(query) == found
