"""Pages that meet, uploads that lose bad lines only."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from softkv_service.retrieval import InvalidContent
from softkv_service.retrieval import documents as store
from softkv_service.retrieval.collections import parse_filter
from softkv_service.retrieval.documents import SentDocument, documents, prepare_documents
from tests.service.retrieval.making import texts


def vector(*numbers):
    return np.array(numbers, np.float32)


def test_pages_meet_and_count_the_passing_documents(collection):
    odd = parse_filter({"field": "metadata.odd", "operator": "==", "value": True})
    seen, cursor = [], None
    while True:
        page = store.page(collection, ids=None, condition=odd, cursor=cursor, limit=7, count=True, detail="texts")
        seen += [document.id for document in page.documents]
        assert page.count == 30
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
        assert store.decode_cursor(cursor) == seen[-1]
    assert seen == [f"{i:03}" for i in range(1, 60, 2)]


def test_a_page_with_vectors_ends_before_they_are_too_many(collection, monkeypatch):
    """The page after it goes on, and a document whose vectors alone are too many is a page of its own."""
    width = collection.record.settings.dimension + collection.record.settings.value_dimension

    def list_pages(most):
        monkeypatch.setattr(documents, "MAX_COMPONENTS", most)
        pages, cursor, more = [], None, True
        while more:
            page = store.page(
                collection, ids=None, condition=None, cursor=cursor, limit=40, count=False, detail="vectors"
            )
            pages.append([document.id for document in page.documents])
            assert all(document.keys.shape == (1, width // 2) for document in page.documents)
            more, cursor = page.next_cursor is not None, page.next_cursor
        return pages

    ids = [f"{i:03}" for i in range(60)]
    assert list_pages(25 * width + width - 1) == [ids[:25], ids[25:50], ids[50:]]
    assert list_pages(width - 1) == [[one] for one in ids]
    assert list_pages(60 * width) == [ids[:40], ids[40:]]


@pytest.mark.parametrize("cursor", ["????", "MD", "\ud83d", "/w=="])
def test_a_cursor_of_another_kind_is_refused(cursor):
    with pytest.raises(InvalidContent, match="send next_cursor as it came"):
        store.decode_cursor(cursor)


def test_existing_documents_are_skipped_without_being_encoded(tmp_path, encoder):
    read = []

    async def run():
        async with texts(tmp_path, encoder, "cats", "dogs") as made:
            queue = await made.encoders.default.ready()
            real = queue.encode_each

            async def watched(arguments, purpose):
                read.extend(arguments)
                return await real(arguments, purpose)

            queue.encode_each = watched
            sent = [SentDocument("000", "horses"), SentDocument("new", "birds")]
            return await store.upsert(made, sent, ["/0", "/1"], mode="skip"), store.get(made, "000").key

    written, key = asyncio.run(run())
    assert (written.upserted, written.skipped, key, read) == (1, ("000",), "cats", ["birds"])


def test_a_document_that_is_deleted_while_others_are_encoded_is_not_skipped(collection, monkeypatch):
    async def deleting(*arguments, **options):
        if options["existing"]:
            store.delete_document(collection, "001")
        return await prepare_documents(*arguments, **options)

    monkeypatch.setattr(store.documents, "prepare_documents", deleting)
    sent = [SentDocument(name, key_vector=vector(5, 5)) for name in ("000", "001", "new")]
    written = asyncio.run(store.upsert(collection, sent, ["/0", "/1", "/2"], mode="skip"))
    assert (written.upserted, written.skipped) == (2, ("000",))
    assert store.get(collection, "001").keys.tolist() == [[5, 5]]
    assert (collection.record.documents, collection.size) == (61, 61)


def test_an_upload_writes_the_good_lines_and_says_of_each_bad_one_why(collection):
    lines = {
        3: SentDocument("a", key_vector=vector(1, 2)),
        4: SentDocument("b", key_vector=vector(1, 2, 3)),
        5: SentDocument("c", key_vectors=[]),
        9: SentDocument("a", key_vector=vector(2, 1)),
    }
    uploaded = asyncio.run(store.upload(collection, lines))
    assert uploaded.upserted == 1
    assert {line: [flaw.pointer for flaw in flaws] for line, flaws in uploaded.refused.items()} == {
        4: ["/key_vector"],
        5: ["/key_vectors"],
        9: ["/id"],
    }
    assert store.get(collection, "a").keys.tolist() == [[1, 2]]
