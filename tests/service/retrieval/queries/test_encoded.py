"""Queries as vectors: what needs an encoder, and whose words it does not know."""

from __future__ import annotations

import asyncio

import numpy as np

from softkv_service.encoding import Encoders
from softkv_service.retrieval.queries.encoded import check_readable
from softkv_service.storage.records import CollectionRecord, CollectionSettings

QUERY = np.array([3, 4], np.float32)
RECORD = CollectionRecord(1, "c", CollectionSettings("dot", 0.25, dimension=2), documents=3)


def test_without_an_encoder_no_question_is_refused_for_its_words():
    asyncio.run(check_readable(Encoders(), "", "/query"))
