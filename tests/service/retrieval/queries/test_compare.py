"""Four ways to ask: all of one version, whatever is written between them."""

from __future__ import annotations

import asyncio

import pytest

from softkv_attention.lookup import summary_of
from softkv_service.encoding import Encoders
from softkv_service.retrieval import InvalidContent, ShardsMissing
from softkv_service.retrieval.documents import SentDocument, upsert
from softkv_service.retrieval.queries import compare_collection, compare_rows
from softkv_service.retrieval.question import CollectionQuestion
from tests.service.retrieval.making import lacking, texts


def ids(timed):
    return [row.id for row in timed.found.rows]


@pytest.mark.parametrize("written", [False, True])
def test_a_write_between_sql_and_attention_is_seen_by_both(tmp_path, encoder, monkeypatch, written):
    async def run():
        async with texts(tmp_path, encoder, "a cat", "a dog") as collection:
            searches, real = [], type(collection).snapshot
            monkeypatch.setattr(
                type(collection), "snapshot", lambda self: (searches.append(self.record.documents), real(self))[1]
            )
            lookups = collection.lookups.ask

            async def after_a_write(*arguments, **options):
                if written:
                    await upsert(collection, [SentDocument("new", "a cat")], ["/0"])
                return await lookups(*arguments, **options)

            collection.lookups.ask = after_a_write
            return searches, await compare_collection(collection, "a cat", CollectionQuestion())

    searches, compared = asyncio.run(run())
    assert searches == [2]  # SQL had its own snapshot, before its turn; the queue's is taken unwatched
    assert compared.attention.answer.documents == 2 + written
    assert ids(compared.sql) == ["000", "new"][: 1 + written]
    assert set(ids(compared.full_text)) == {"000", "001", "new"} if written else {"000", "001"}


def test_missing_shards_are_refused(tmp_path, encoder):
    async def run():
        async with texts(tmp_path, encoder, "a cat", "a dog") as collection:
            with collection.snapshot() as snapshot:
                lacking(collection, summary_of(snapshot.view))
            await compare_collection(collection, "a cat", CollectionQuestion())

    with pytest.raises(ShardsMissing, match="only 2 of the 4 documents of collection 'texts' can be asked now"):
        asyncio.run(run())


def test_rows_are_not_compared_without_an_encoder():
    with pytest.raises(InvalidContent, match="ENCODER=none"):
        asyncio.run(compare_rows(Encoders(), [SentDocument("a", "a cat")], "cat", CollectionQuestion()))
