"""A slot that is started again over a real PostgreSQL has its ranges from files, and what it answers is the same."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.cluster import place_shard, shard_starts
from service.cluster.node.maintenance import SWEEP_SECONDS, UNUSED_SECONDS
from service.retrieval.collections import sealed
from service.storage.postgres import vector_rows
from tests.postgres import PostgresServer
from tests.service.cluster.disk import Machine
from tests.service.retrieval.sealing import BLOCK, SMALL_BLOCKS, WIDTH, documents, flipped, valued

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("ranges_of_a_block")]


@pytest.fixture
def machine(postgres: PostgresServer, tmp_path: Path) -> Iterator[Machine]:
    made = Machine(postgres.database(), tmp_path)
    yield made
    made.close()


@pytest.fixture
def read(monkeypatch):
    """The documents whose keys were read of the store."""
    row_numbers, real = [], vector_rows.keys_of

    def counted(connection, collection, rows, damaged):
        row_numbers.extend(rows)
        return real(connection, collection, rows, damaged)

    monkeypatch.setattr(vector_rows, "keys_of", counted)
    return row_numbers


@pytest.fixture
def unhurried(monkeypatch):
    """Switch off the background checks of originals."""
    monkeypatch.setattr(sealed.SealedBlocks, "check_next_originals", lambda self, view: False)


@pytest.mark.parametrize("made", [documents, valued])
def test_a_slot_that_comes_again_reads_what_lies_in_no_file(machine, read, made):
    machine.write(made(0, 3 * BLOCK + 20))
    before = machine.answers("a")
    files = machine.files()
    assert len(files) == 3
    read.clear()
    after = machine.answers("a")
    assert machine.files() == files
    assert set(read) == set(range(3 * BLOCK, 3 * BLOCK + 21))  # the range that is not complete
    plain = machine.answers("plain", files=False)
    for name in plain:
        np.testing.assert_array_equal(after[name], before[name])
        np.testing.assert_array_equal(after[name], plain[name])


def test_what_was_written_and_deleted_while_it_was_away(machine, read):
    machine.write(documents(0, 150, keys=4), documents(150, 200, keys=4))
    machine.answers("a")
    assert len(machine.files()) >= 5
    machine.write(documents(30, 34, seed=1, keys=4), documents(200, 260), deleted=[f"{i:04}" for i in range(0, 90, 7)])
    read.clear()
    machine.same()
    with machine.store.reading() as reader:
        # The rows of the plain shard, the 64 written ones, and those of the incomplete range.
        assert len(read) <= len(reader.rows_where(machine.number)) + 64 + BLOCK
    machine.same()


def test_a_slot_follows_on_from_its_files(machine, read):
    machine.write(documents(0, 100))
    machine.answers("a")
    read.clear()
    shard = machine.slot("a")
    assert len(read) < BLOCK
    machine.write(documents(100, 150), documents(5, 7, seed=2), deleted=["0001"])
    machine.look(shard)
    machine.write(deleted=["0040"])
    machine.look(shard)
    _, actual = machine.ask(shard)
    machine.leave(shard)
    expected = machine.answers("plain", files=False)
    np.testing.assert_array_equal(actual["rows"], expected["rows"])
    np.testing.assert_allclose(actual["output"], expected["output"], atol=1e-6)
    machine.same()


def test_what_is_no_file_of_the_range_is_not_used_and_removed(machine):
    other = machine.create("d")
    machine.write(documents(0, 4 * BLOCK))
    machine.answers("a")
    first, second, third, *_ = machine.files()
    flipped(first, "codes", place=9)
    shutil.copy(second, third)  # another range's
    names = [f"softkv.sealed-{number}-{BLOCK}-00.block" for number in (other, 77)]
    strangers = [second.with_name(name) for name in (*names, "softkv.sealed-1-0-11.block.new")]
    for stranger in strangers:
        shutil.copy(second, stranger)
    before = first.read_bytes()
    machine.same()
    assert not any(path_of_file.exists() for path_of_file in (first, third, *strangers[1:]))
    assert len([file for file in machine.files() if file not in strangers]) == 4
    short = machine.files()[0]
    short.write_bytes(before[: len(before) // 2])  # not written to its end
    machine.same()
    assert not short.exists()


def test_files_of_another_state_of_the_database_are_not_used(machine, read):
    """This is the state after a restore of the database: all rows have the same numbers, and some have other keys."""
    changed = documents(0, 200)
    changed[100] = documents(100, 101, seed=5)[0]
    machine.write(documents(0, 200))
    machine.answers("a")
    before = machine.files()
    with machine.store._connection() as connection:
        connection.execute("DELETE FROM vectors")
        connection.execute("DELETE FROM documents")
        connection.execute("UPDATE collections SET next_row = 1, documents = 0")
    machine.write(changed)
    read.clear()
    machine.same()
    assert len(set(before) - set(machine.files())) == 1
    assert len(read) < 200 + 2 * BLOCK


def test_an_original_that_is_wrong_is_in_no_answer(machine, unhurried):
    machine.write(documents(0, 200))
    machine.answers("a")
    (path, *other_paths) = machine.files()
    for position in range(0, BLOCK * WIDTH * 4 - 24, 4 * WIDTH):
        flipped(path, place=position)
    shard = machine.slot("a")
    reply, arrays = machine.ask(shard)
    assert path.name in reply["failed"]
    assert not arrays
    assert not path.exists()
    assert "missing" in machine.ask(shard)[0]
    machine.look(shard)
    assert machine.ask(shard)[1]["rows"].tolist() == list(range(1, 201))
    machine.leave(shard)
    assert len(machine.files()) == len(other_paths) + 1
    machine.same()


def test_all_originals_are_checked_soon_after_a_start(machine, read):
    machine.write(documents(0, 200))
    machine.answers("a")
    (path, *other_paths) = machine.files()
    flipped(path, place=70)
    read.clear()
    machine.answers("a")
    assert not path.exists()
    assert set(range(1, BLOCK)) <= set(read)
    assert len(machine.files()) == len(other_paths) + 1


@pytest.mark.parametrize("running", [False, True], ids=["a start", "a slot that follows"])
def test_what_is_written_behind_a_wrong_original_has_its_range_read_anew(machine, unhurried, running):
    """The database was restored to a time when the range had fewer rows: then those of the file are copied."""
    machine.write(documents(0, 40))
    with machine.store._connection() as connection:
        connection.execute("UPDATE collections SET next_row = %s", (2 * BLOCK,))
    machine.answers("a")
    (path,) = machine.files()
    flipped(path)
    with machine.store._connection() as connection:
        connection.execute("UPDATE collections SET next_row = 41")
    shards = [machine.slot("a")] if running else []
    assert path.exists()
    machine.write(documents(40, 45))
    machine.look(*shards)
    (shard,) = shards or [machine.slot("a")]
    machine.look(shard)
    assert not path.exists()
    assert machine.ask(shard)[1]["rows"].tolist() == list(range(1, 46))


def test_compaction_that_comes_to_a_wrong_original_copies_none_of_it(machine, unhurried):
    machine.limits = replace(SMALL_BLOCKS, removed_in_last=0)
    machine.write(documents(0, 100))
    machine.answers("a")
    (path,) = machine.files()
    flipped(path)
    machine.write(deleted=[f"{i:04}" for i in range(1, 50)])
    shard = machine.slot("a")
    machine.look(shard)
    assert not path.exists()
    assert machine.ask(shard)[1]["rows"].tolist() == [1, *range(51, 101)]


def test_a_range_that_was_given_up_and_comes_back_is_not_read_again(machine, read):
    machine.write(documents(0, 6 * BLOCK))
    one = machine.slot("a")
    files = machine.files()
    other = machine.slot("b")
    machine.look(one, other)
    members = machine.store.nodes.members()
    moved = [row for row in shard_starts(6 * BLOCK + 1) if place_shard(machine.number, row, members, 1) == ("b",)]
    assert moved
    assert machine.files() == files  # for a while
    assert not set(machine.files("b")) & set(files)
    read.clear()
    machine.leave(other)
    machine.look(one)
    assert machine.ask(one)[1]["rows"].tolist() == list(range(1, 6 * BLOCK + 1))
    assert set(read) <= {6 * BLOCK}
    other = machine.slot("b")
    for seconds in (SWEEP_SECONDS, UNUSED_SECONDS, SWEEP_SECONDS):
        machine.look(one, other)
        machine.now += seconds
    machine.look(one, other)
    assert not [file for file in machine.files() for row in moved if f"-{row}-" in file.name]
    assert len(machine.files()) + len(machine.files("b")) == len(files)
    with machine.store.writing() as writer:
        writer.delete_collection("c")
    machine.now += SWEEP_SECONDS
    machine.look(one, other)
    assert machine.files() == machine.files("b") == []
