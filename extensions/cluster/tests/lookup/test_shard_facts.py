"""Results that follow from facts alone are the same for rows here and for rows on other nodes."""

from __future__ import annotations

import numpy as np
import pytest

from extensions.cluster.tests.lookup.hosts import afar
from softkv_attention.lookup import Memory, Question
from softkv_attention.lookup.quantised import scan_question
from softkv_attention.lookup.shards.local import LocalShard
from softkv_cluster.lookup.shard import RemoteShard

RANDOM = np.random.default_rng(13)
KEYS = (3 * RANDOM.standard_normal((500, 12))).astype(np.float32)


@pytest.mark.parametrize("similarity", ["cosine", "dot", "scaled_dot"])
def test_both_kinds_of_parts_say_the_same(similarity):
    view = Memory.of(KEYS, similarity=similarity).view
    local, remote = LocalShard(view, None), RemoteShard(afar([view], sampled=False), None)
    query = RANDOM.standard_normal(12)
    question = Question(query, 0.1)
    for part in (local, remote):
        assert scan_question(part, question) is question
        assert part.similarity_function(query, np.arange(3)) is None
        assert part.slack(query).at(1.0) == local.slack(query).at(1.0) > 0
        assert not part.in_logits
