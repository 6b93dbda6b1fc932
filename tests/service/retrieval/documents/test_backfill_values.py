"""Values that are texts are encoded behind: once each, after a kill as well, and never for a text that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from softkv_attention.lookup import Limits
from softkv_service.encoding import DEFAULT_MODEL, Encoder, TextRefused, Uploads, load_encoder
from softkv_service.retrieval import InvalidContent, ValuesPending
from softkv_service.retrieval.collections import Catalogue, Collection, with_values
from softkv_service.retrieval.collections.collection import Collection as WholeCollection
from softkv_service.retrieval.documents import (
    SentDocument,
    Split,
    Worker,
    get,
    patch_document,
    update_documents,
    upsert,
)
from softkv_service.retrieval.documents.prepare import draft_again
from softkv_service.retrieval.documents.work import Slices
from softkv_service.retrieval.queries import attend_collection
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.scheduling import CALLER, READS
from softkv_service.storage import Restriction, SQLiteStore, Store
from softkv_service.storage.conditions import parse_condition
from tests.service.retrieval.documents.test_backfill import LONG, fill_until_killed, serving
from tests.service.retrieval.documents.test_re_encoding import text


@pytest.fixture(scope="module")
def model() -> Encoder:
    return load_encoder(DEFAULT_MODEL)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with SQLiteStore.open(tmp_path / "data") as opened:
        yield opened


def value(i: int) -> str:
    return f"The answer to {text(i)} is number {i}."


def documents(n: int) -> list[SentDocument]:
    return [SentDocument(f"{i:03}", text(i), value(i), {"part": i % 10}) for i in range(n)]


async def written(catalogue: Catalogue, sent: list[SentDocument], **settings: Any) -> Collection:
    """Return a collection with these documents, whose values wait."""
    await catalogue.create("c", settings)
    collection = catalogue.collection("c")
    await upsert(collection, sent, [f"/{i}" for i in range(len(sent))])
    return collection


def count(collection: Collection) -> tuple[int, int]:
    with collection.reading() as (record, reader):
        waiting, failed = reader.find_waiting_values(record.id)
    return len(waiting), len(failed)


def stored_values(collection: Collection) -> dict[str, np.ndarray]:
    with collection.store.reading() as reader:
        page = reader.page(collection.record.id)
    return {one.id: np.asarray(one.value_vector) for one in page if not one.value_waits}


async def encoded(catalogue: Catalogue, texts: list[str]) -> np.ndarray:
    encoder = catalogue.encoders.default
    assert encoder is not None
    return (await encoder.queue.encode(texts, "document")).vectors


async def ask(collection: Collection, **options: Any) -> np.ndarray | None:
    (result,) = await attend_collection(
        collection, ["a question"], CollectionQuestion(include=["output"], null=False, **options), ["/q"]
    )
    return result.output


async def test_a_write_leaves_them_and_they_become_those_of_each_text(store: Store, model: Encoder) -> None:
    async with serving(store, model) as catalogue:
        sent = [
            *documents(70),
            SentDocument("long", LONG, "of several keys", split=Split(60, 5)),
            SentDocument("x", "y"),
        ]
        collection = await written(catalogue, [*sent, SentDocument("json", "z", {"a": 1})])
        with store.reading() as reader:
            assert reader.record(collection.record.id).settings.value_dimension == model.dimension
        assert count(collection) == (71, 0)  # "y" is its own value, and JSON has none
        before = {one: vector.copy() for one, vector in stored_values(collection).items()}
        await Worker(catalogue).finish()
        assert count(collection) == (0, 0)
        vectors = stored_values(collection)
        expected = await encoded(catalogue, [value(i) for i in range(70)])
        assert all(np.array_equal(vectors[f"{i:03}"], expected[i]) for i in range(70))
        assert np.array_equal(vectors["long"], (await encoded(catalogue, ["of several keys"]))[0])
        assert all(np.array_equal(vectors[one], vector, equal_nan=True) for one, vector in before.items() if one == "x")
        assert not len(collection.in_memory.waiting)
        if isinstance(store, SQLiteStore):
            assert list(store.check()) == []


async def test_the_output_is_that_of_values_encoded_at_the_write(store: Store, model: Encoder) -> None:
    async with serving(store, model) as catalogue:
        collection = await written(catalogue, documents(300))
        await Worker(catalogue).finish()
        await catalogue.create("sent", {})
        sent = catalogue.collection("sent")
        vectors = await encoded(catalogue, [value(i) for i in range(300)])
        at_once = [replace(one, value_vector=vectors[i]) for i, one in enumerate(documents(300))]
        await upsert(sent, at_once, [f"/{i}" for i in range(300)])
        ours, theirs = await ask(collection), await ask(sent)
        assert ours is not None
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


async def test_equal_texts_are_encoded_once(store: Store, model: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(store, model) as catalogue:
        same = [SentDocument(f"{i}", text(i), "the same value") for i in range(50)]
        collection = await written(catalogue, [*same, SentDocument("key", "a key", text(3))])
        assert count(collection) == (50, 0)  # the key of another document is encoded already
        texts, real = list[str](), model.encode

        def encode(batch: Any, purpose: Any) -> Any:
            texts.extend(batch)
            return real(batch, purpose)

        monkeypatch.setattr(model, "encode", encode)
        await Worker(catalogue).finish()
        assert texts == ["the same value"]
        assert count(collection) == (0, 0)


async def test_keys_and_then_values_of_an_upload_are_encoded_once_and_by_their_length(
    store: Store, model: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So texts of similar length share a batch."""
    batches, real = list[list[str]](), model.encode

    def encode(batch: Any, purpose: Any) -> Any:
        batches.append(list(batch))
        return real(batch, purpose)

    monkeypatch.setattr(model, "encode", encode)
    words = [f"{i} {'word ' * (7 * i % 20)}" for i in range(100)]
    sent = [SentDocument(f"{i}", f"key {text}", f"value {text}") for i, text in enumerate([*words, *words])]
    async with serving(store, model) as catalogue:
        batches.clear()
        await written(catalogue, sent, late=False)
        keys = [one for batch in batches for one in batch]
        batches.clear()
        await Worker(catalogue).finish()
        values = [one for batch in batches for one in batch]
    for kind, encoded_texts in (("key", keys), ("value", values)):
        assert [len(one) for one in encoded_texts] == sorted(map(len, encoded_texts))
        assert sorted(encoded_texts) == sorted(f"{kind} {text}" for text in words)


async def test_an_answer_encodes_a_few_missing_ones_and_refuses_more(store: Store, model: Encoder) -> None:
    async with serving(store, model) as catalogue:
        collection = await written(catalogue, documents(400))
        (plain,) = await attend_collection(collection, ["a question"], CollectionQuestion(), ["/q"])
        assert plain.output is None
        with pytest.raises(ValuesPending, match="400 documents"):
            await ask(collection)
        assert count(collection) == (400, 0)
        assert await ask(collection, filter={"field": "metadata.part", "operator": "==", "value": 3}) is not None
        assert count(collection) == (360, 0)
        assert get(collection, "003", value_vector=True).value_vector is not None
        with pytest.raises(ValuesPending, match="1 document of"):
            get(collection, "004", value_vector=True)


async def test_the_count_is_of_documents_that_the_key_may_see(store: Store, model: Encoder) -> None:
    async with serving(store, model) as catalogue:
        collection = await written(catalogue, documents(900))
        parts = {"field": "metadata.part", "operator": "<", "value": 3}
        part = collection.restrict(Restriction(parse_condition(parts)))
        assert count(part) == (270, 0)
        with pytest.raises(ValuesPending, match="270 documents"):
            await ask(part)
        await upsert(collection, documents(20), [f"/{i}" for i in range(20)])
        await Worker(catalogue).finish()
        assert count(part) == (0, 0)
        assert await ask(part) is not None


async def test_a_text_that_changes_meanwhile_wins(
    store: Store, model: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(store, model) as catalogue:
        collection = await written(catalogue, documents(5))
        real, rounds = Slices.encode, 0

        async def change_then_encode(self: Slices, *arguments: Any, **options: Any) -> Any:
            nonlocal rounds
            vectors = await real(self, *arguments, **options)
            if not (rounds := rounds + 1) > 1:
                await upsert(collection, [SentDocument("001", "another", "another value")], ["/0"])
                await asyncio.to_thread(collection.delete, ids=["002"])
                await patch_document(collection, "003", {"metadata": {"part": 99}})
                await update_documents(collection, {"metadata": {"part": 98}}, ids=["004"])
            return vectors

        monkeypatch.setattr(Slices, "encode", change_then_encode)
        await Worker(catalogue).finish()
        assert count(collection) == (0, 0)
        vectors = stored_values(collection)
        assert vectors.keys() == {"000", "001", "003", "004"}
        expected = await encoded(catalogue, ["another value", value(3), value(4)])
        for one, vector in zip(("001", "003", "004"), expected, strict=True):
            assert np.array_equal(vectors[one], vector), one
        if isinstance(store, SQLiteStore):
            assert list(store.check()) == []


async def test_steady_uploads_do_not_starve_them(store: Store, model: Encoder) -> None:
    async with serving(store, model) as catalogue:
        collection = await written(catalogue, documents(20))
        encoder = catalogue.encoders.default
        assert encoder is not None
        queue = encoder.queue

        async def upload(caller: int) -> None:
            CALLER.set(f"uploader {caller}")
            for round_number in range(10_000):
                await queue.encode([f"{text(i)} {caller} {round_number}" for i in range(64)], "document")

        uploads = [asyncio.create_task(upload(caller)) for caller in range(3)]
        try:
            async with asyncio.timeout(60):
                await Worker(catalogue, patience_seconds=0.2).finish()
        finally:
            for task in uploads:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        assert count(collection) == (0, 0)


async def test_they_are_encoded_as_soon_as_the_last_upload_ends(store: Store, model: Encoder) -> None:
    async with serving(store, model) as catalogue:
        uploads = catalogue.encoders.uploads = Uploads(gap_seconds=60)
        worker = Worker(catalogue, patience_seconds=600)
        CALLER.set("uploader")
        with uploads.counted():
            collection = await written(catalogue, documents(20))
            encoding = asyncio.create_task(worker.finish())
            await asyncio.sleep(0.1)
            assert count(collection) == (20, 0)
        async with asyncio.timeout(30):  # and not after the gap
            await encoding
        assert count(collection) == (0, 0)


async def test_after_an_upload_of_a_series_they_wait_for_the_next_one(store: Store, model: Encoder) -> None:
    async with serving(store, model) as catalogue:
        uploads = catalogue.encoders.uploads = Uploads(gap_seconds=60)
        worker = Worker(catalogue, patience_seconds=600)
        CALLER.set("uploader")
        with uploads.counted():
            collection = await written(catalogue, documents(10))
        with uploads.counted():
            await upsert(collection, documents(20), [f"/{i}" for i in range(20)])
        encoding = asyncio.create_task(worker.finish())
        await asyncio.sleep(0.1)
        assert count(collection) == (20, 0)
        uploads.gap_seconds = 0.1
        async with asyncio.timeout(30):
            await encoding
        assert count(collection) == (0, 0)


async def test_an_upload_that_waits_for_its_client_holds_none_up(store: Store, model: Encoder) -> None:
    async with serving(store, model) as catalogue:
        uploads = catalogue.encoders.uploads = Uploads(gap_seconds=0.05)
        CALLER.set("uploader")
        with uploads.counted():
            collection = await written(catalogue, documents(20))
            async with asyncio.timeout(30):
                await Worker(catalogue, patience_seconds=600).finish()
            assert count(collection) == (0, 0)


async def test_a_refused_text_fails_alone(store: Store, model: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(store, model) as catalogue:
        collection = await written(catalogue, documents(5))
        real = model.encode

        def encode(texts: Any, purpose: Any) -> Any:
            if value(3) in texts:
                raise TextRefused({list(texts).index(value(3)): "it is refused."})
            return real(texts, purpose)

        monkeypatch.setattr(model, "encode", encode)
        worker = Worker(catalogue)
        await worker.finish()
        assert count(collection) == (0, 1)
        with pytest.raises(InvalidContent, match="it is refused"):
            await ask(collection)
        await patch_document(collection, "003", {"value": "another value"})
        await worker.finish()
        assert count(collection) == (0, 0)
        assert await ask(collection) is not None


async def test_a_move_to_another_encoder_encodes_those_that_wait(store: Store, model: Encoder) -> None:
    async with serving(store, model) as catalogue:
        collection = await written(catalogue, documents(3))
        with store.reading() as reader:
            (one, *_) = reader.page(collection.record.id)
        draft = draft_again(collection.record, one, sent_vectors=False)
        assert draft.texts == [text(0), value(0)]
        vector = np.ones(3, dtype=np.float32)
        record = draft.record(dict.fromkeys(draft.texts, vector))
        assert not record.value_waits
        assert np.array_equal(np.asarray(record.value_vector), vector)


async def test_keys_that_left_memory_come_back_with_values_that_wait(store: Store, model: Encoder) -> None:
    async with serving(store, model) as catalogue:
        collection = await written(catalogue, documents(300))
        if isinstance(store, SQLiteStore):
            assert collection.unload()
        with pytest.raises(ValuesPending, match="300 documents"):
            await ask(collection)
        await Worker(catalogue).finish()
        assert await ask(collection) is not None


async def test_without_its_encoder_a_few_values_are_pending_too(store: Store, model: Encoder) -> None:
    async with serving(store, model) as catalogue:
        collection = await written(catalogue, documents(3))
        await catalogue.encoders.close()
        with pytest.raises(ValuesPending, match="1 document"):
            await with_values(collection, partial(READS.run, partial(get, collection, "001", value_vector=True)))


async def test_no_file_has_values_that_wait(tmp_path: Path, model: Encoder) -> None:
    """A file that was written meanwhile would have zeros under the checksums of vectors."""
    data = tmp_path / "data"
    limits = Limits(block_rows=64, first_rows=16, min_file_bytes=0)
    with SQLiteStore.open(data) as opened:
        async with serving(opened, model) as catalogue:
            await catalogue.create("c", {})
            record = catalogue.collection("c").record
            folder = tmp_path / "sealed"
            folder.mkdir()
            collection = WholeCollection(record, opened, catalogue.encoders, ready=True, sealed=folder, limits=limits)
            await upsert(collection, documents(200), [f"/{i}" for i in range(200)])
            memory = collection.in_memory.present()
            assert not collection.sealed.step(memory.view, waiting=collection.in_memory.waiting)
            await Worker(catalogue).finish()
            collection.show_values()
            assert collection.sealed.step(memory.view, waiting=collection.in_memory.waiting)
            again = WholeCollection(record, opened, catalogue.encoders, ready=False, sealed=folder, limits=limits)
            again.rebuild()
            view = again.in_memory.present().view
            values = np.concatenate([segment.values for segment in view.segments])
            assert np.array_equal(values, await encoded(catalogue, [value(i) for i in range(200)]))


@pytest.mark.kill
@pytest.mark.parametrize(("instant", "left"), [("within", 344), ("after", 88)])
async def test_after_a_kill_the_next_start_goes_on(tmp_path: Path, model: Encoder, instant: str, left: int) -> None:
    data = tmp_path / "data"
    with SQLiteStore.open(data) as opened:
        async with serving(opened, model) as catalogue:
            await written(catalogue, documents(600))
    fill_until_killed(data, "write_values", instant)
    with SQLiteStore.open(data) as opened:
        async with serving(opened, model) as catalogue:
            collection = catalogue.collection("c")
            assert count(collection) == (left, 0)
            await Worker(catalogue).finish()
            assert count(collection) == (0, 0)
            assert len(stored_values(collection)) == 600
            assert list(opened.check()) == []
