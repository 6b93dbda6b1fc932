"""Documents on their way in: every flaw named at its place, each text encoded once."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from softkv_service.encoding import Encoders, LoadingEncoder
from softkv_service.retrieval import InvalidContent
from softkv_service.retrieval.documents import SentDocument, prepare_documents
from softkv_service.storage.records import CollectionRecord, CollectionSettings, TextSpan


def record(**settings):
    return CollectionRecord(1, "c", CollectionSettings(**({"similarity": "cosine", "temperature": 0.05} | settings)))


def vector(*numbers):
    return np.array(numbers, np.float32)


def flaws(record, *documents):
    with pytest.raises(InvalidContent) as refused:
        asyncio.run(prepare_documents(Encoders(), record, documents, [f"/{i}" for i in range(len(documents))]))
    return [flaw.pointer for flaw in refused.value.flaws]


@pytest.mark.parametrize("parts", [[(0, 2)], [(0, 2), (2, 2)], [(0, 2), (3, 2)], [(0, 2), (2, 5)]])
def test_parts_go_with_key_vectors_and_lie_in_the_key_text(parts):
    keys = [vector(1, 2), vector(2, 1)]
    wrong = SentDocument("a", "text", key_vectors=keys, parts=tuple(TextSpan(*part) for part in parts))
    (pointer,) = flaws(record(), wrong)
    assert pointer in ("/0/parts", "/0/parts/1")


@pytest.mark.parametrize("of", [{}, {"encoder": "e"}])
def test_a_document_without_text_or_vector_is_keyless(of):
    sent = [SentDocument("a"), SentDocument("b", value="a text", value_vector=vector(7))]
    if not of:
        sent.append(SentDocument("c", key="a text"))
    for made in asyncio.run(prepare_documents(Encoders(), record(**of), sent, ["/0", "/1", "/2"][: len(sent)])).records:
        assert (made.keys.shape, made.parts) == ((0, 0), ())
        assert (made.value_vector is None) == (made.id != "b")


def test_the_first_document_sets_the_widths_of_the_others():
    first = SentDocument("a", key_vector=vector(1, 2), value_vector=vector(1))
    wrong = SentDocument("b", key_vector=vector(1, 2, 3), value_vector=vector(1, 2))
    assert flaws(record(), first, wrong) == ["/1/key_vector", "/1/value_vector"]
    key_alone = SentDocument("c", key_vector=vector(1, 2))
    assert flaws(record(dimension=3, value_dimension=3), key_alone) == ["/0/key_vector"]
    with pytest.raises(InvalidContent, match=r"^the key vector, which is the value vector too where none is sent, has"):
        asyncio.run(prepare_documents(Encoders(), record(dimension=2, value_dimension=3), [key_alone], [""]))


@pytest.mark.parametrize(("value_from", "texts"), [("value", ["a dog", "a hound"]), ("key", ["a dog"])])
async def test_a_text_is_encoded_once_and_only_if_needed(encoder, value_from, texts):
    encoded = []
    loading = LoadingEncoder(encoder.name, lambda: encoder)
    await loading.start()
    queue = await loading.ready()
    settings = record(encoder=encoder.name, precision=encoder.precision, value_from=value_from, dimension=384)
    real = queue.encode_each
    queue.encode_each = lambda asked, purpose, **_: (encoded.append((asked, purpose)), real(asked, purpose))[1]
    documents = [SentDocument("a", "a dog", "a hound"), SentDocument("b", "a dog"), SentDocument("c", "a dog", 5)]
    prepared = await prepare_documents(Encoders([loading]), settings, documents, ["/0", "/1", "/2"])
    await loading.close()
    assert encoded == [(texts, "document")]
    first, second, third = prepared.records
    np.testing.assert_array_equal(first.keys, second.keys)
    assert (first.value_vector is None) == (value_from == "key")
    assert [text.value for text in prepared.records] == ["a hound", "a dog", 5]
    assert third.value_vector is None
    assert prepared.truncated == []
