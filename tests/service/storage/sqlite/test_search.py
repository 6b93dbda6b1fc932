"""SQL `=` and full text: over stored documents and over rows that are only asked about."""

from __future__ import annotations

import sqlite3

import pytest

from softkv_service.storage import SQLiteStore, Store, temporary_search
from softkv_service.storage.conditions import Comparison
from softkv_service.storage.errors import DocumentsRepeated, Unstorable
from softkv_service.storage.records import SearchRow
from softkv_service.storage.sqlite.full_text import MAX_UNINDEXED
from tests.service.storage.making import collection, document

KEYS = [
    "what's a cat? a small animal",
    "a dog is an animal too",
    "C++ and C are languages",
    "注意力 机制",
    "Café crème",
    'she said "no"',
    "* stars and more stars *",
    "the cat sat where the cat was",
    "",
    "a cat\x01hidden dog",
]
ROWS = [SearchRow(f"r{i}", key, {"place": i}) for i, key in enumerate([*KEYS, None])]
QUESTIONS = ["what's a cat?", "C++", '"', "*", "", "注意力", "cat dog", "CAFE", "NOT cat", "key:cat", "cat*", "no\0pe"]
QUESTIONS += ["NEAR(a b)", "(", "a AND", "-cat", "^cat", "{key}: cat", "😺", " ", "\\", '""cat""', "it''s", "a" * 9000]


def many(count: int) -> list[SearchRow]:
    return [SearchRow(f"m{i}", f"another text of {i}", i) for i in range(count)]


def stored(store: Store, rows: list[SearchRow], name: str = "c") -> int:
    return collection(store, [document(row.id, key=row.key, value=row.value) for row in rows], name)


@pytest.mark.parametrize("question", QUESTIONS)
def test_stored_documents_and_the_same_rows_answer_alike(store: Store, question: str) -> None:
    # Other documents, replaced ones and deleted ones must not weigh in.
    stored(store, [SearchRow(str(i), f"cat {i} " * i, None) for i in range(30)], "other")
    number = stored(store, [*ROWS, SearchRow("gone", "cat cat stars", 1)])
    with store.writing() as writer:
        writer.upsert(number, [document("r0", key="for a moment something else about cats, at length")])
        writer.upsert(number, [document("r0", key=KEYS[0], value={"place": 0})])
        writer.delete_ids(number, ["gone"])
    with store.reading() as reader, temporary_search(ROWS) as rows:
        search = reader.search(number)
        for limit in (3, 100):
            from_store, from_rows = search.full_text(question, limit), rows.full_text(question, limit)
            assert from_store.rows == from_rows.rows
            assert from_store.parameters == from_rows.parameters
            assert from_store.statement == from_rows.statement.replace("folds_1", f"folds_{number}")
            assert search.equal(question, limit).rows == rows.equal(question, limit).rows


@pytest.mark.parametrize(
    ("question", "expected_ids"),
    [
        ("what's a cat?", ["r0", "r9", "r7", "r1"]),
        ("C++", ["r2"]),
        ("注意力", ["r3"]),
        ("CAFE", ["r4"]),
        ("cat*", ["r7", "r9", "r0"]),
        ("hidden", ["r9"]),
        ("nothing here", []),
    ],
)
def test_full_text_finds_any_of_the_words_best_first(question: str, expected_ids: list[str]) -> None:
    with temporary_search(ROWS) as rows:
        answer = rows.full_text(question, 10)
    assert [row.id for row in answer.rows] == expected_ids
    assert "MATCH :words" in answer.statement


def test_equal_wants_the_whole_key() -> None:
    with temporary_search([*ROWS, SearchRow("a twin", KEYS[0], [1])]) as rows:
        answer = rows.equal(KEYS[0], 10)
        assert [row.id for row in answer.rows] == ["a twin", "r0"]
        assert answer.rows[0].value == [1]
        assert rows.equal(KEYS[0], 1).rows == answer.rows[:1]
        assert rows.equal("a cat", 10).rows == []
        assert rows.equal("' OR 1 = 1 --", 10).rows == []


def test_equal_bests_come_in_the_order_of_their_ids() -> None:
    with temporary_search([SearchRow(name, "the same key", None) for name in ("b", "é", "a", "10", "9")]) as rows:
        assert [row.id for row in rows.full_text("same", 9).rows] == ["10", "9", "a", "b", "é"]


def test_the_statement_shown_is_the_one_that_runs(store: Store) -> None:
    number = stored(store, [*ROWS, *many(MAX_UNINDEXED)])
    ran: list[str] = []
    with store.reading() as reader:
        search = reader.search(number)
        reader._connection.set_trace_callback(ran.append)
        ignored = Comparison("id", "contains", "R", ignore_case=True)
        answers = [search.equal("C++", 5), search.full_text("a cat", 5), search.full_text("a cat", 5, ignored)]
        reader._connection.set_trace_callback(None)
        again = [reader._connection.execute(ranks.statement, ranks.parameters).fetchall() for ranks in answers]
    assert answers[2].rows == answers[1].rows
    for answer, rows in zip(answers, again, strict=True):
        assert [row.id for row in answer.rows] == [row[0] for row in rows]
        statement = answer.statement
        for name, value in answer.parameters.items():
            statement = statement.replace(f":{name}", f"'{value}'" if isinstance(value, str) else str(value))
        assert statement in ran


def index_of(store: Store, number: int) -> list[str]:
    """The tables of a collection's index in the file."""
    with store.reading() as reader:
        names = reader._connection.execute("SELECT name FROM sqlite_schema WHERE name LIKE 'folds%' ORDER BY name")
        return [name for (name,) in names if name.split("_")[1] == str(number)]


def test_an_index_is_in_the_file_from_some_documents_on_and_answers_stay_the_same(store: Store) -> None:
    """A question to fewer documents builds it in memory, and leaves nothing behind."""
    number, others = stored(store, ROWS), many(MAX_UNINDEXED - len(ROWS))
    with store.writing() as writer:
        writer.upsert(number, [document(row.id, key=row.key, value=row.value) for row in others])
    asked = [(question, limit) for question in QUESTIONS for limit in (3, 1000)]

    def answers() -> list[object]:
        with store.reading() as reader:
            search = reader.search(number)
            found = [search.full_text(*question) for question in asked]
            ranks = [[part.tolist() for part in search.ranks(question)] for question in QUESTIONS]
            assert not reader._connection.execute("SELECT 1 FROM sqlite_temp_schema").fetchall()
            return [found, ranks]

    small = answers()
    assert index_of(store, number) == []
    with store.writing() as writer:
        writer.upsert(number, [document("one more", key="of another kind")])
    assert index_of(store, number)[0] == f"folds_{number}"
    with store.writing() as writer:
        writer.delete_ids(number, ["one more"])
    assert index_of(store, number)
    assert answers() == small
    assert isinstance(store, SQLiteStore)
    assert list(store.check()) == []


def test_a_search_in_memory_leaves_the_connection_read_only(store: Store) -> None:
    number = stored(store, ROWS)
    with store.reading() as reader:
        assert len(reader.search(number).full_text("cat", 9).rows) == 3
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader._connection.execute("DELETE FROM documents")


def test_equal_is_looked_up_in_an_index(store: Store) -> None:
    number = stored(store, ROWS)
    with store.reading() as reader:
        answer = reader.search(number).equal("C++", 5)
        plan = reader._connection.execute(f"EXPLAIN QUERY PLAN {answer.statement}", answer.parameters).fetchall()
    assert any("documents_by_key (collection=? AND key=?)" in step[3] for step in plan)


def test_invalid_rows_and_queries_are_refused() -> None:
    with pytest.raises(DocumentsRepeated), temporary_search([SearchRow("a", "k", 1), SearchRow("a", "l", 2)]):
        pass
    with pytest.raises(Unstorable), temporary_search([SearchRow("a", "\ud800", 1)]):
        pass
    with temporary_search([]) as rows:
        assert rows.full_text("a", 3).rows == []
        with pytest.raises(Unstorable):
            rows.equal("\ud800", 3)
