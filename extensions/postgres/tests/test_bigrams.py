"""Words as full text indexes them, in tables of earlier versions: rows answer as before until they are written."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from softkv_postgres import bigrams
from softkv_postgres.connections import connect, prepare
from softkv_postgres.schema.version import SCHEMA
from softkv_postgres.store import PostgresStore
from softkv_service.storage import open_shared
from tests.service.storage.making import collection, document
from tests.waiting import until

ENGLISH = ["what's a cat? a small animal", "a dog is an animal too", "C++ and C are languages", "Café crème", None]
HAN = ["softkv是一个工具", "注意力 机制", "ラーメンを食べる", "แมวชอบนม"]
KEYS = [*ENGLISH, *HAN]
QUESTIONS = ["what's a cat?", "animal languages", "Café", "注意力", "softkv是一个工具", "animal 机制"]
VERSION_8 = (
    "ALTER TABLE softkv.documents DROP COLUMN bigrams",  # and its index
    "UPDATE softkv.state SET schema_version = 8",
)


@pytest.fixture
def older(address: str) -> str:
    """A database of version 8, with an English collection and one in several scripts."""
    with open_shared(address) as store:
        for name, keys, count in (("english", ENGLISH, 20), ("mixed", KEYS, 1800)):
            collection(store, [document(f"d{i}", key=keys[i % len(keys)]) for i in range(count)], name)
    with connect(address) as connection:
        for statement in VERSION_8:
            connection.execute(statement)
    return address


def ranks(store: Any, question: str, number: int = 2) -> list[list[float]]:
    with store.reading() as reader:
        return [part.tolist() for part in reader.search(number).ranks(question)]


def version(address: str) -> int:
    with connect(address) as connection:
        return int(connection.execute("SELECT schema_version FROM softkv.state").fetchall()[0][0])


def test_rows_answer_as_before_until_their_bigrams_are_written(older: str) -> None:
    plain = "SELECT \"row\", ts_rank_cd(words, q)::float8 FROM softkv.documents, to_tsquery('simple', %s) q"
    plain += ' WHERE collection = %s AND words @@ q ORDER BY "row"'
    assert prepare(older, "test")
    assert version(older) == 11
    with PostgresStore(older, "test") as store, connect(older) as connection:
        for number in (1, 2):
            for question in QUESTIONS:
                words = " | ".join(f"'{word.replace(chr(39), chr(39) * 2)}'" for word in question.split())
                expected = connection.execute(plain, (words, number)).fetchall()
                assert list(zip(*ranks(store, question, number), strict=True)) == expected
        english = [ranks(store, question, 1) for question in QUESTIONS]
        row: tuple[int, int] | None = (0, 0)
        found = []
        while row is not None:
            row = bigrams.write_missing(connection, row)
            assert list(store.check()) == []
            assert [ranks(store, question, 1) for question in QUESTIONS] == english
            found.append(len(ranks(store, "工具")[0]))
        assert found[0] < found[-1] == 200 == len(ranks(store, "แมว")[0])
        assert version(older) == SCHEMA
        connection.execute("UPDATE softkv.documents SET bigrams = NULL WHERE id = 'd5' AND collection = 2")
        connection.execute("UPDATE softkv.documents SET bigrams = words WHERE id = 'd6' AND collection = 2")
        assert [line.partition(": ")[2] for line in store.check()] == [
            "the words that full text looks for are not those of its key"
        ] * 2


def test_rows_that_another_transaction_holds_are_written_in_the_next_round(older: str) -> None:
    prepare(older, "test")
    with connect(older) as connection, psycopg.connect(older) as other:
        other.execute("SELECT FROM softkv.documents WHERE id = 'd5' AND collection = 2 FOR UPDATE")
        row: tuple[int, int] | None = (0, 0)
        while (row := bigrams.write_missing(connection, row)) != (0, 0):
            assert row is not None
        assert version(older) == 11
        other.rollback()
        while row is not None:
            row = bigrams.write_missing(connection, row)
    assert version(older) == SCHEMA


def test_several_processes_open_an_older_database_at_once(older: str) -> None:
    with open_shared(older) as store, open_shared(older) as other:
        with store.writing() as writer:
            writer.upsert(2, [document("new", key="新的工具"), document("d5", key="replaced")])
        until(lambda: version(older) == SCHEMA)
        assert len(ranks(store, "工具")[0]) == len(ranks(other, "工具")[0]) == 200
        assert list(store.check()) == []
    assert not prepare(older, "test")


STREET = ["Die Straße der Häuser", "STRASSE", "die STRAẞE", "Strasse", "der ﬁnal cut", "城市 Straße"]


def test_letters_that_are_two_when_folded_meet_in_every_spelling(address: str) -> None:
    """The database is one of version 10, which had bigrams, and no letter folded."""
    with open_shared(address) as store:
        collection(store, [document(f"d{i}", key=STREET[i % len(STREET)]) for i in range(600)])
    with connect(address) as connection:
        connection.execute("UPDATE softkv.documents SET bigrams = NULL WHERE key NOT LIKE '城市%'")
        unfolded = "to_tsvector('simple', '城市 市 Straße')"
        connection.execute(f"UPDATE softkv.documents SET bigrams = {unfolded} WHERE key LIKE '城市%'")
        connection.execute("UPDATE softkv.state SET schema_version = 10")
    with open_shared(address) as store:
        until(lambda: version(address) == SCHEMA)
        assert list(store.check()) == []
        for question in ("Straße", "STRASSE", "strasse", "STRAẞE"):
            assert len(ranks(store, question, 1)[0]) == 500, question
        assert [len(ranks(store, question, 1)[0]) for question in ("final", "城市")] == [100, 100]
    assert not prepare(address, "test")
