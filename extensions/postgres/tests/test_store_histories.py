"""Random histories: of writes, failures and a memory that follows the log, and of documents that expire."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from softkv_service.retrieval.collections import Catalogue, SharedCatalogue
from softkv_service.storage import Reader, open_shared
from tests.postgres import PostgresServer
from tests.service.retrieval.collections.test_expiry import HISTORIES, History, SetClock, play
from tests.service.storage.test_storage_histories import StoreMachine


def documents_with_keys(reader: Reader, collection: int, first: int = 0) -> set[int]:
    """Return the row numbers of documents that have a key from this row on."""
    return {int(row) for batch in reader.vectors(collection, first=first) for row in batch.owners}


def test_history_in_postgresql(postgres: PostgresServer) -> None:
    """Beside what a dictionary does, a memory that follows the log holds the same rows."""

    class InPostgreSQL(StoreMachine):
        def __init__(self) -> None:
            self.followed: dict[int, tuple[int, set[int]]] = {}
            self.address = postgres.database()
            super().__init__()

        def opened(self) -> Any:
            return open_shared(self.address)

        @invariant()
        def a_follower_holds_what_the_model_holds(self) -> None:
            for number, version in self.store.versions().items():
                followed_version, rows = self.followed.get(number, (0, set()))
                if (done := self.store.changes_since(number, followed_version)) is not None:
                    with self.store.reading_at(done.version) as reader:
                        new = documents_with_keys(reader, number, done.first)
                    rows = rows - set(done.removed.tolist()) | new
                    followed_version = done.version
                assert followed_version == version
                self.followed[number] = followed_version, rows
                with self.store.reading() as reader:
                    assert rows == documents_with_keys(reader, number)

    run_state_machine_as_test(
        InPostgreSQL, settings=settings(max_examples=8, stateful_step_count=15, deadline=None, database=None)
    )


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> str:
    """The address of a database for all histories: to make one takes longer than to play one."""
    return postgres.database()


def play_in_postgres(address: str, events: list[tuple[Any, ...]]) -> None:
    """Play a history in which one process writes, and another one reads as well."""
    clock = SetClock()

    def opened() -> tuple[Catalogue, Catalogue]:
        both = [SharedCatalogue(open_shared(address), None, clock=clock) for _ in range(2)]
        for catalogue in both:
            for collection in catalogue.collections():
                collection.rebuild()
        return both[0], both[1]

    with open_shared(address) as store, store.writing() as writer:  # type: ignore[attr-defined]
        for record in writer.collections():
            writer.delete_collection(record.name)
    play(History(clock, opened), [event for event in events if event[0] != "unload"])


@settings(max_examples=4)
@given(events=HISTORIES)
def test_an_expired_document_is_absent_in_every_process(database, events):
    play_in_postgres(database, events)


@pytest.mark.thorough
@pytest.mark.timeout(7200)
@settings(max_examples=2_000)
@given(events=HISTORIES)
def test_an_expired_document_is_absent_in_every_process_in_many_histories(database, events):
    play_in_postgres(database, events)
