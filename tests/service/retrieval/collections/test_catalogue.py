"""Collections by name: what a change leaves in memory is what it leaves on disk, whatever came before it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from softkv_service.retrieval import CollectionConflict, CollectionNotFound
from softkv_service.retrieval.collections import Catalogue
from softkv_service.storage.records import CollectionRecord
from softkv_service.storage.sqlite.store import SQLiteStore
from softkv_service.storage.sqlite.writer import Writer


class OvertakenStore(SQLiteStore):
    """A store whose next write has to wait for others, which are made as it asks for its turn."""

    others: Callable[[], None] | None = None

    @contextmanager
    def writing(self, *arguments: Any, **named: Any) -> Iterator[Writer]:
        """Begin the write transaction after other catalogues' writes."""
        if (other_collections := self.others) is not None:
            self.others = None
            other_collections()
        with super().writing(*arguments, **named) as writer:
            yield writer


@pytest.fixture
def store(tmp_path: Path) -> Iterator[OvertakenStore]:
    """An empty store."""
    with OvertakenStore.open(tmp_path) as store:
        assert isinstance(store, OvertakenStore)
        yield store


@pytest.fixture
def catalogue(store: OvertakenStore) -> Catalogue:
    """A catalogue with one collection, `q`."""
    made = Catalogue(store, None)
    create(made, temperature=0.5)
    return made


def create(catalogue: Catalogue, temperature: float) -> None:
    asyncio.run(catalogue.create("q", {"temperature": temperature, "null": 0.25}))


def replaced(catalogue: Catalogue) -> Callable[[], None]:
    """Return a function that deletes the collection and creates another one of that name."""

    def replace() -> None:
        catalogue.delete("q")
        create(catalogue, temperature=2.5)

    return replace


def on_disk(store: SQLiteStore) -> list[CollectionRecord]:
    with store.reading() as reader:
        return reader.collections()


def test_a_change_that_a_new_collection_of_that_name_overtook_is_seen_in_it(
    store: OvertakenStore, catalogue: Catalogue
) -> None:
    store.others = replaced(catalogue)
    changed = catalogue.change("q", {"temperature": 77.0})
    assert catalogue.collection("q") is changed
    assert [collection.record for collection in catalogue.collections()] == on_disk(store)
    assert changed.record.settings.temperature == 77.0


def test_a_change_that_a_deletion_overtook_is_refused(store: OvertakenStore, catalogue: Catalogue) -> None:
    store.others = lambda: catalogue.delete("q")
    with pytest.raises(CollectionNotFound):
        catalogue.change("q", {"temperature": 77.0})
    assert catalogue.collections() == on_disk(store) == []


def test_a_change_for_one_collection_is_not_made_to_another_of_its_name(
    store: OvertakenStore, catalogue: Catalogue
) -> None:
    store.others = replaced(catalogue)
    with pytest.raises(CollectionConflict):
        catalogue.change("q", {"temperature": 77.0}, of=catalogue.collection("q").record)
    assert [collection.record for collection in catalogue.collections()] == on_disk(store)
    assert catalogue.collection("q").record.settings.temperature == 2.5


def test_a_creation_that_another_one_overtook_is_of_the_same_collection_or_a_conflict(
    store: OvertakenStore, catalogue: Catalogue
) -> None:
    def overtaken(name: str, temperature: float) -> bool:
        store.others = lambda: asyncio.run(catalogue.create(name, {"temperature": 0.5}))
        collection, created = asyncio.run(catalogue.create(name, {"temperature": temperature}))
        assert collection is catalogue.collection(name)
        return created

    assert not overtaken("same", 0.5)
    with pytest.raises(CollectionConflict):
        overtaken("other", 2.5)
    assert catalogue.collection("other").record.settings.temperature == 0.5
    assert [collection.record for collection in catalogue.collections()] == on_disk(store)
