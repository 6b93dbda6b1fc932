"""Random histories of writes, failures and restarts, and of a memory that follows the log."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from extensions.postgres.tests.conftest import emptied
from service.storage import open_shared
from tests.postgres import PostgresServer
from tests.service.storage.test_storage_histories import StoreMachine


def test_history_in_postgresql(postgres: PostgresServer) -> None:
    """Beside what a dictionary does, a memory that follows the log holds the same rows."""
    address = postgres.database()

    class InPostgreSQL(StoreMachine):
        def __init__(self) -> None:
            self.followed: dict[int, tuple[int, set[int]]] = {}
            super().__init__()
            emptied(self.store)

        def opened(self) -> Any:
            return open_shared(address)

        @invariant()
        def a_follower_holds_what_the_model_holds(self) -> None:
            for number, version in self.store.versions().items():
                followed_version, rows = self.followed.get(number, (0, set()))
                if (done := self.store.changes_since(number, followed_version)) is not None:
                    with self.store.reading_at(done.version) as reader:
                        new = {row for vector in reader.vectors(number, first=done.first) for row in vector.numbers}
                    rows = rows - set(done.removed.tolist()) | {int(row) for row in new}
                    followed_version = done.version
                assert followed_version == version
                self.followed[number] = followed_version, rows
                with self.store.reading() as reader:
                    assert rows == set(reader.rows_where(number).tolist())

    run_state_machine_as_test(
        InPostgreSQL, settings=settings(max_examples=8, stateful_step_count=15, deadline=None, database=None)
    )
