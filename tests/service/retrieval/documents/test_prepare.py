"""Documents on their way in: every flaw named at its place, each text encoded once."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from service.encoding import LoadingEncoder
from service.retrieval import InvalidContent
from service.retrieval.documents import SentDocument, prepare_documents
from service.storage import CollectionRecord, CollectionSettings


def record(**settings):
    return CollectionRecord(1, "c", CollectionSettings(**({"similarity": "cosine", "temperature": 0.05} | settings)))


def vector(*numbers):
    return np.array(numbers, np.float32)


def flaws(record, *documents):
    with pytest.raises(InvalidContent) as refused:
        asyncio.run(prepare_documents(None, record, documents, [f"/{i}" for i in range(len(documents))]))
    return [flaw.pointer for flaw in refused.value.flaws]


def test_all_flaws_of_one_kind_are_told_at_once():
    assert flaws(record(), SentDocument("a"), SentDocument("b", key="text")) == ["/0/key_vector", "/1/key_vector"]
    assert flaws(record(encoder="e"), SentDocument("a"), SentDocument("b")) == ["/0/key", "/1/key"]
    given = SentDocument("a", key_vector=vector(1, 2))
    assert flaws(record(), given, given, given) == ["/1/id", "/2/id"]


def test_the_first_document_sets_the_widths_of_the_others():
    first = SentDocument("a", key_vector=vector(1, 2), value_vector=vector(1))
    wrong = SentDocument("b", key_vector=vector(1, 2, 3), value_vector=vector(1, 2))
    assert flaws(record(), first, wrong) == ["/1/key_vector", "/1/value_vector"]
    assert flaws(record(dimension=3), first) == ["/0/key_vector"]


def test_a_zero_key_is_refused_where_cosines_are_compared_only():
    zero = SentDocument("a", key_vector=vector(0, 0))
    assert flaws(record(), zero) == ["/0/key_vector"]
    assert asyncio.run(prepare_documents(None, record(similarity="dot"), [zero], ["/0"])).records


@pytest.mark.parametrize(("value_from", "texts"), [("value", ["a dog", "a hound"]), ("key", ["a dog"])])
def test_a_text_is_encoded_once_and_only_where_it_is_needed(encoder, value_from, texts):
    encoded = []

    async def run():
        loading = LoadingEncoder(encoder.name, lambda: encoder)
        await loading.start()
        queue, (settings,) = (
            await loading.ready(),
            [record(encoder=encoder.name, precision=encoder.precision, value_from=value_from, dimension=384)],
        )
        real = queue.encode
        queue.encode = lambda asked, purpose: (encoded.append((asked, purpose)), real(asked, purpose))[1]
        documents = [SentDocument("a", "a dog", "a hound"), SentDocument("b", "a dog"), SentDocument("c", "a dog", 5)]
        prepared = await prepare_documents(loading, settings, documents, ["/0", "/1", "/2"])
        await loading.close()
        return prepared

    prepared = asyncio.run(run())
    assert encoded == [(texts, "document")]
    first, second, third = prepared.records
    np.testing.assert_array_equal(first.key_vector, second.key_vector)
    assert (first.value_vector is None) == (value_from == "key")
    assert [each.value for each in prepared.records] == ["a hound", "a dog", 5]
    assert third.value_vector is None
    assert prepared.truncated == []
