"""Full-text indexes of earlier versions: they answer until new ones are built in the background."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from softkv_service.storage import SQLiteStore
from softkv_service.storage.conditions import Comparison, Condition, parse_search
from softkv_service.storage.sqlite import full_text
from softkv_service.storage.sqlite.connections import Connection, connect
from softkv_service.storage.sqlite.integrity import find_damage
from softkv_service.storage.sqlite.schema.version import SCHEMA
from softkv_service.storage.sqlite.search import Search
from softkv_service.storage.sqlite.writer import Writer
from tests.service.storage.making import collection, document
from tests.waiting import until

ENGLISH = ["what's a cat? a small animal", "a dog is an animal too", "C++ and C are languages", "Café crème", None]
HAN = ["softkv是一个工具", "注意力 机制", "ラーメンを食べる", "แมวชอบนม"]
QUESTIONS = ["what's a cat?", "animal languages", "CAFE", "注意力", "softkv是一个工具", "cat*", "力"]
KILLED = """
import os, sys
from pathlib import Path
from softkv_service.storage.sqlite import full_text
from softkv_service.storage.sqlite.connections import connect
connection = connect(Path(sys.argv[1]))
next(full_text.replace_older(connection))
add = full_text.add
full_text.add = lambda *arguments: (add(*arguments), os.kill(os.getpid(), 9))
next(full_text.replace_older(connection))
"""


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A data directory of version 9: an English collection, one in several scripts, and a small one."""
    with SQLiteStore.open(tmp_path) as store:
        for name, keys, count in (("english", ENGLISH, 300), ("mixed", [*ENGLISH, *HAN], 700), ("small", HAN, 9)):
            collection(store, [document(f"d{i}", key=keys[i % len(keys)]) for i in range(count)], name)
    with closing(sqlite3.connect(tmp_path / "softkv.sqlite3")) as connection:
        for number in (1, 2):
            connection.executescript(
                f"DROP TABLE folds_{number}; CREATE VIRTUAL TABLE words_{number} USING fts5 (key, content = '', "
                "tokenize = 'unicode61 remove_diacritics 2');"
                f'INSERT INTO words_{number} (rowid, key) SELECT "row", key FROM documents WHERE collection = {number};'
                "PRAGMA user_version = 9"
            )
    return tmp_path


@pytest.fixture
def connection(older: Path) -> Iterator[Connection]:
    with closing(connect(older / "softkv.sqlite3")) as opened:
        yield opened


EACH = Comparison("id", "!=", "")
"""A condition that all documents pass."""


def answers(connection: Connection, number: int, counted: Condition | None = None) -> list[object]:
    search = Search(connection, number, counted=counted)
    return [[part.tolist() for part in search.ranks(question)] for question in QUESTIONS]


def damage(connection: Connection) -> list[str]:
    with closing(connect(None)) as empty:
        return list(find_damage(connection, empty))


def test_an_older_index_answers_to_the_digit_until_the_new_one_has_all_keys(connection: Connection) -> None:
    before = {number: answers(connection, number) for number in (1, 2)}
    states = []
    for _ in full_text.replace_older(connection):
        states.append([full_text.existing(connection, number) for number in (1, 2)])
        assert damage(connection) == []
        assert answers(connection, 1) == before[1]  # also by the new index
        assert answers(connection, 2, EACH) == answers(connection, 2)  # as softkv computes it for restricted callers
        if "words_2" in states[-1][1]:
            assert answers(connection, 2) == before[2]
    assert [["words_1", "folds_1"], ["words_2"]] in states
    assert [["folds_1"], ["words_2", "folds_2"]] in states
    assert states[-1] == [["folds_1"], ["folds_2"]]
    new = dict(zip(QUESTIONS, answers(connection, 2), strict=True))
    assert all(len(new[question][0]) == 78 for question in ("注意力", "力"))  # type: ignore[index]


def test_writes_meanwhile_are_in_both_indexes(connection: Connection) -> None:
    for step, _ in enumerate(full_text.replace_older(connection)):
        connection.execute("BEGIN")
        writer = Writer(connection)
        writer.upsert(2, [document(f"n{step}", key="新的文字"), document(f"d{step}", key="一段文字")])
        writer.delete_ids(2, [f"d{690 - step}", f"d{50 + step}", f"n{step - 1}"])
        connection.execute("COMMIT")
        assert damage(connection) == []
    assert full_text.find_older(connection) == []
    assert len(Search(connection, 2).ranks("文字")[0]) == step + 2


def test_a_collection_that_is_deleted_meanwhile_leaves_nothing(connection: Connection) -> None:
    for step, _ in enumerate(full_text.replace_older(connection)):
        if step == 0:
            connection.execute("BEGIN")
            Writer(connection).delete_collection("english")
            Writer(connection).delete_collection("mixed")
            connection.execute("COMMIT")
    assert not connection.execute("SELECT 1 FROM sqlite_schema WHERE name GLOB '[ftw][eo][lr][dm]s_*'").fetchall()


def test_after_a_kill_the_next_start_goes_on_and_an_older_softkv_refuses_the_file(older: Path) -> None:
    path = older / "softkv.sqlite3"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], timeout=60)
    assert killed.returncode == -signal.SIGKILL
    with closing(connect(path)) as connection:
        assert damage(connection) == []
        assert full_text.find_older(connection) == [1, 2]
        connection.executescript("CREATE TABLE other AS SELECT randomblob(4000000); DROP TABLE other")
    with SQLiteStore.open(older) as store:
        with closing(connect(path)) as connection:
            until(lambda: not full_text.find_older(connection))
            until(lambda: connection.execute("PRAGMA freelist_count").fetchone()[0] <= 128)
        assert list(store.check()) == []
        with store.reading() as reader:
            assert [len(reader.search(number).ranks("工具 食べ แมว")[0]) for number in (1, 2, 3)] == [0, 232, 7]
        assert store._connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,)


STREET = ["Die Straße der Häuser", "STRASSE", "die STRAẞE", "Strasse", "der ﬁnal cut", "城市 Straße"]


@pytest.fixture
def unfolded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of version 10, whose indexes have bigrams and no folded letters."""
    with monkeypatch.context() as patched:
        patched.setattr(full_text, "PREFIXES", full_text.PREFIXES[:-1])
        with SQLiteStore.open(tmp_path) as store:
            collection(store, [document(f"d{i}", key=STREET[i % len(STREET)]) for i in range(600)])
    with closing(sqlite3.connect(tmp_path / "softkv.sqlite3")) as connection:
        connection.execute("PRAGMA user_version = 10")
    return tmp_path


def test_letters_that_are_two_when_folded_meet_in_every_spelling(unfolded: Path) -> None:
    def found(connection: Connection, question: str) -> int:
        return len(Search(connection, 1).ranks(question)[0])

    spellings = ["Straße", "STRASSE", "strasse", "STRAẞE", "stra*", "strass*", '"die strasse"']
    with closing(connect(unfolded / "softkv.sqlite3")) as connection:
        assert full_text.find_older(connection) == [1]
        assert [found(connection, question) for question in spellings[:4]] == [300, 200, 200, 300]
        for _ in full_text.replace_older(connection):
            assert damage(connection) == []
            connection.execute("BEGIN")
            Writer(connection).delete_ids(1, ["d595"])
            Writer(connection).upsert(1, [document("d595", key="城市 Straße")])
            connection.execute("COMMIT")
            assert damage(connection) == []
        assert full_text.existing(connection, 1) == ["folds_1"]
        assert [found(connection, question) for question in spellings[:4]] == [500] * 4
        terms = [Search(connection, 1).ranks(parse_search(question))[0] for question in spellings[4:]]
        assert [len(rows) for rows in terms] == [500, 500, 200]
        assert found(connection, "final") == 100
        assert found(connection, "城市") == 101  # with the document that was replaced
