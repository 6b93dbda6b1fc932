"""Random histories of documents that expire, read by one process and written by another."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from service.retrieval.collections import Catalogue, SharedCatalogue
from service.storage import open_shared
from tests.postgres import PostgresServer
from tests.service.retrieval.collections.test_expiry import HISTORIES, History, SetClock, play


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
