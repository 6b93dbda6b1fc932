"""A server that is started again has its shards from files of its machine, and gives the same answers."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from extensions.cluster.tests.local_servers import LocalServers, respond_rows
from softkv_attention.lookup import Question, answer
from softkv_cluster.server.files import SWEEP_SECONDS, UNUSED_SECONDS
from softkv_postgres import vector_rows
from softkv_service.retrieval.collections import sealed
from softkv_service.storage.records import CollectionSettings, DocumentRecord
from tests.service.retrieval.sealing import BLOCK, SMALL_BLOCKS, WIDTH, documents, flipped, valued

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("shards_of_a_block")]
QUERIES = np.random.default_rng(9).standard_normal((4, WIDTH))
NAME = "softkv-0"


class Machine:
    """Servers whose clock the test moves, with a disk, and one collection."""

    def __init__(self, run_servers: Any, disk: Path) -> None:
        self.disk, self.now, self.limits, self.results = disk, 0.0, SMALL_BLOCKS, list[Any]()
        self._run_servers = run_servers
        self.servers = self.run(disk)
        self.store = self.servers.store
        self.number = self.create("c")
        self.store.set_cluster_plan(["softkv-0"], 1)

    def run(self, disk: Path | None) -> LocalServers:
        def respond(views: Any, mask: Any, view: Any, fields: Any, arrays: Any, bias: Any = None) -> Any:
            self.results = [answer(view, Question(query, 0.5, mask=mask, top_k=12)) for query in QUERIES]
            return respond_rows(views, mask, view, fields, arrays, bias)

        return self._run_servers(clock=lambda: self.now, sealed=disk, limits=self.limits, respond=respond)

    def create(self, name: str) -> int:
        with self.store.writing() as writer:
            return writer.create_collection(name, CollectionSettings("dot", 0.5)).id

    def write(self, *batches: list[DocumentRecord], deleted: tuple[int, ...] | range = ()) -> None:
        for batch in batches:
            with self.store.writing() as writer:
                writer.upsert(self.number, batch)
        if deleted:
            with self.store.writing() as writer:
                writer.delete_ids(self.number, [f"{i:04}" for i in deleted])

    def execute(self, *statements: str) -> None:
        with self.store._connection() as connection:
            for statement in statements:
                connection.execute(statement)

    def start(self, name: str = NAME) -> None:
        self.servers.start(name)
        self.step()

    def step(self, seconds: float = 1.0) -> None:
        for _ in range(4):
            self.now += seconds
            self.servers.step()

    def ask(self, servers: LocalServers | None = None) -> Any:
        """Return the row numbers, or a refusal; and the arrays of the answers."""
        servers, (_, extent) = servers or self.servers, self.store.extent(self.number)
        self.results = []
        rows = servers.ask(NAME, self.number, extent.version, range(0, extent.next_row, BLOCK))
        return rows, [np.concatenate([r.numbers, r.weights, r.output]) for r in self.results]

    def restart(self) -> Any:
        """Start the server, and end it again; return what it answers."""
        self.start()
        answers = self.ask()
        self.servers.kill(NAME)
        return answers

    def check(self, *, exact: bool = False) -> None:
        """Check that the server answers after a restart as one without files does."""
        plain, (rows, arrays) = self.run(None), self.restart()
        plain.start(NAME).step()
        expected_rows, expected = self.ask(plain)
        plain.kill(NAME)
        assert rows == expected_rows
        assert len(arrays) == len(expected) == len(QUERIES)
        np.testing.assert_allclose(arrays, expected, atol=0.0 if exact else 1e-6)

    def files(self, name: str = NAME) -> list[Path]:
        return sorted(self.disk.glob(f"softkv.shards-{name}/*"))


@pytest.fixture
def machine(run_servers: Any, tmp_path: Path) -> Machine:
    return Machine(run_servers, tmp_path)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The documents whose keys were read from the store."""
    row_numbers, real = list[int](), vector_rows.keys_of

    def count(connection: Any, collection: int, rows: Any, damaged: Any) -> Any:
        row_numbers.extend(rows)
        return real(connection, collection, rows, damaged)

    monkeypatch.setattr(vector_rows, "keys_of", count)
    return row_numbers


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch off the checks of originals in the background."""
    monkeypatch.setattr(sealed.SealedBlocks, "check_next_originals", lambda self, view: False)


@pytest.mark.parametrize("make", [documents, valued])
def test_a_restart_reads_only_rows_that_are_in_no_file(machine: Machine, read: list[int], make: Any) -> None:
    machine.write(make(0, 3 * BLOCK + 20))
    machine.restart()
    files = machine.files()
    assert len(files) == 3
    read.clear()
    machine.restart()
    assert set(read) == set(range(3 * BLOCK, 3 * BLOCK + 21))  # the shard that is not complete
    machine.check(exact=True)
    assert machine.files() == files


def test_writes_and_deletions_while_a_server_is_down_and_while_it_runs(machine: Machine, read: list[int]) -> None:
    machine.write(documents(0, 150, keys=4), documents(150, 200, keys=4))
    machine.restart()
    assert len(machine.files()) >= 5
    machine.write(documents(30, 34, seed=1, keys=4), documents(200, 260), deleted=range(0, 90, 7))
    read.clear()
    machine.restart()
    assert len(read) <= 64 + BLOCK  # the written rows, and the incomplete shard
    machine.check()
    machine.start()
    machine.write(documents(260, 300), documents(5, 7, seed=2), deleted=(1, 40))
    machine.step()
    (rows, _), _ = machine.ask(), machine.servers.kill(NAME)
    machine.check()
    assert machine.restart()[0] == rows


def test_a_file_that_is_not_of_the_shard_is_removed_and_not_used(machine: Machine) -> None:
    other = machine.create("d")
    machine.write(documents(0, 4 * BLOCK))
    machine.restart()
    first, second, third, *_ = machine.files()
    half = first.read_bytes()[: first.stat().st_size // 2]
    flipped(first, "codes", place=9)
    shutil.copy(second, third)  # another shard's
    names = [f"softkv.sealed-{number}-{BLOCK}-00.block" for number in (other, 77)]
    strangers = [second.with_name(name) for name in (*names, "softkv.sealed-1-0-11.block.new")]
    for stranger in strangers:
        shutil.copy(second, stranger)
    machine.check()
    assert not any(path.exists() for path in (first, third, *strangers[1:]))
    assert len([file for file in machine.files() if file not in strangers]) == 4
    incomplete = machine.files()[0]
    incomplete.write_bytes(half)
    machine.check()
    assert not incomplete.exists()


def test_files_of_another_state_of_the_database_are_not_used(machine: Machine, read: list[int]) -> None:
    """After a restore of the database, all rows have the same numbers, and one has another key."""
    machine.write(documents(0, 200))
    machine.restart()
    before = machine.files()
    machine.execute(
        "DELETE FROM softkv.vectors",
        "DELETE FROM softkv.documents",
        "UPDATE softkv.collections SET next_row = 1, documents = 0",
    )
    machine.write([*documents(0, 200)[:100], *documents(100, 101, seed=5), *documents(0, 200)[101:]])
    read.clear()
    machine.restart()
    assert len(set(before) - set(machine.files())) == 1
    assert len(read) < 2 * BLOCK
    machine.check()


@pytest.mark.usefixtures("unchecked")
def test_an_original_that_is_wrong_is_in_no_answer(machine: Machine) -> None:
    machine.write(documents(0, 200))
    machine.restart()
    path, *others = machine.files()
    for position in range(0, BLOCK * WIDTH * 4 - 24, 4 * WIDTH):
        flipped(path, place=position)
    machine.start()
    refusal, arrays = machine.ask()
    assert (path.name in refusal["failed"], arrays, path.exists()) == (True, [], False)
    assert "missing" in machine.ask()[0]
    machine.step()
    assert machine.ask()[0] == [*range(1, 201)]
    assert len(machine.files()) == len(others) + 1
    machine.servers.kill(NAME)
    machine.check()


@pytest.mark.usefixtures("unchecked")
def test_a_file_that_is_cut_in_use_is_read_from_the_database(machine: Machine) -> None:
    machine.write(documents(0, 200))
    machine.restart()
    machine.start()
    path, *_ = machine.files()
    os.truncate(path, 4096)
    refusal, arrays = machine.ask()
    assert (path.name in refusal["failed"], arrays, path.exists()) == (True, [], False)
    machine.step()
    assert machine.ask()[0] == [*range(1, 201)]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("running", [False, True], ids=["at a start", "while it follows"])
def test_rows_are_not_added_behind_a_wrong_original(machine: Machine, running: bool) -> None:
    """The database was restored to a time when the shard had fewer rows: then those of the file are copied."""
    machine.write(documents(0, 40))
    machine.execute(f"UPDATE softkv.collections SET next_row = {2 * BLOCK}")
    machine.restart()
    (path,) = machine.files()
    flipped(path)
    machine.execute("UPDATE softkv.collections SET next_row = 41")
    if running:
        machine.start()
        assert path.exists()
    machine.write(documents(40, 45))
    machine.step() if running else machine.start()
    machine.step()
    assert not path.exists()
    assert machine.ask()[0] == [*range(1, 46)]


def test_a_shard_that_was_handed_over_and_comes_back_is_not_read_again(machine: Machine, read: list[int]) -> None:
    machine.write(documents(0, 6 * BLOCK))
    machine.start()
    files = machine.files()
    machine.servers.deploy(2, 1)
    machine.step()
    moved = [row for _, row in machine.servers.held()["softkv-1"]]
    assert moved
    assert machine.files() == files  # for a while
    assert len(machine.files("softkv-1")) == len(moved)
    read.clear()
    machine.servers.deploy(1, 1)
    machine.step()
    assert machine.ask()[0] == [*range(1, 6 * BLOCK + 1)]
    assert set(read) <= {6 * BLOCK}
    machine.servers.deploy(2, 1)
    for seconds in (SWEEP_SECONDS, UNUSED_SECONDS, SWEEP_SECONDS):
        machine.step()
        machine.now += seconds
    machine.step()
    assert len(machine.files()) + len(machine.files("softkv-1")) == len(files)
    with machine.store.writing() as writer:
        writer.delete_collection("c")
    machine.step(SWEEP_SECONDS)
    assert machine.files() == machine.files("softkv-1") == []
