"""pgvector: an index that lacks rows, filters that lose rows, and settings that do not; nothing is written."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray

from benchmarks.http import POSTGRES
from extensions.referee.benchmarks.planted import UNINDEXED
from extensions.referee.tests.stores.conftest import PYTHON, QUESTIONS, ROWS, WIDTH, Check
from tests import postgres

pytestmark = pytest.mark.integration

TABLE = f"""
CREATE EXTENSION vector;
CREATE TABLE documents (id text PRIMARY KEY, percent integer, embedding vector({WIDTH}));
"""
INDEX = "CREATE INDEX by_cosine ON documents USING hnsw (embedding vector_cosine_ops); ANALYZE documents"


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.PostgresServer]:
    if not PYTHON.exists():
        pytest.skip("there is no .venv-integrations: make test-alone makes it")
    done = subprocess.run([PYTHON, "-c", POSTGRES], capture_output=True, text=True, check=True)
    with postgres.running(folder=Path(done.stdout.strip())) as running:
        yield running


@pytest.fixture
def database(server: postgres.PostgresServer, vectors: NDArray[np.float32]) -> str:
    """Return the address of a database with the vectors in a table, without an index.

    Sequential scans are off in it, as few rows would otherwise be scanned.
    """
    address = server.database()
    with psycopg.connect(address) as connection:
        connection.execute(TABLE)  # type: ignore[arg-type]
        with connection.cursor() as cursor, cursor.copy("COPY documents FROM STDIN") as copy:
            for row, vector in enumerate(vectors.tolist()):
                copy.write_row((f"d{row}", row % 100, str(vector)))
        name = address.rpartition("/")[2]
        connection.execute(f"ALTER DATABASE {name} SET enable_seqscan = off")  # type: ignore[arg-type]
    return address


@pytest.fixture
def indexed(database: str) -> str:
    execute(database, INDEX)
    return database


def execute(address: str, script: str) -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(script)  # type: ignore[arg-type]


def test_a_whole_index_has_no_fault(check: Check, indexed: str, questions: Path) -> None:
    checked = check(indexed, "documents", "--from", "pgvector", "--questions", questions)
    assert checked.code == 0, checked.messages
    report = checked.report
    assert report["rows"] == report["rows"] | {"counted": ROWS, "compared": ROWS, "width": WIDTH}
    assert report["similarity"] == "cosine"
    assert report["searches"][0]["index"].startswith("HNSW by_cosine (hnsw.ef_search 40")
    (group,) = report["summary"]["groups"]
    assert group["questions"] == QUESTIONS
    assert group["recall"]["mean"] > 0.98


def test_rows_that_are_not_in_the_index_are_named(check: Check, indexed: str, questions: Path) -> None:
    execute(indexed, UNINDEXED.format(table="documents", condition="percent % 10 = 3", index="by_cosine"))
    checked = check(indexed, "--from", "pgvector", "--questions", questions)
    assert checked.code == 1
    assert checked.report["rows"]["compared"] == ROWS
    text = checked.faults["unreachable_rows"]
    assert text.startswith("about a tenth of the rows cannot be reached by search")
    assert text.endswith("What helps: REINDEX INDEX CONCURRENTLY by_cosine")
    lost = {row["id"] for row in checked.report["probes"]["rows"] if not row["found_by_widest"] and not row["found"]}
    assert lost
    assert {int(id_.removeprefix("d")) % 10 for id_ in lost} == {3}
    execute(indexed, "REINDEX INDEX by_cosine")
    again = check(indexed, "--from", "pgvector", "--questions", questions)
    assert again.code == 0, again.messages


def test_a_filter_that_loses_rows_is_named_and_an_iterative_scan_mends_it(
    check: Check, indexed: str, questions: Path, tmp_path: Path
) -> None:
    command = (indexed, "--from", "pgvector", "--questions", questions, "--filter", "percent < 2", "--probes", "0")
    lossy = check(*command, "--report", tmp_path / "before.json")
    assert lossy.code == 1
    assert lossy.faults["filter_loses_rows"].startswith("the filter percent < 2 loses rows: ")
    whole, filtered = lossy.report["summary"]["groups"]
    assert whole["too_few"] == 0
    assert filtered["passing"] == [ROWS // 50, ROWS // 50]
    assert filtered["too_few"] > QUESTIONS / 2
    mended = check(*command, "--set", "hnsw.iterative_scan=strict_order", "--before", tmp_path / "before.json")
    assert mended.code == 0, mended.faults
    compared = mended.report["compared"]
    assert compared["better"] >= filtered["too_few"]
    assert any("percent < 2 loses rows" in text for text in compared["faults_gone"])


def test_more_results_than_the_search_keeps_are_too_few(check: Check, indexed: str, questions: Path) -> None:
    checked = check(indexed, "--from", "pgvector", "--questions", questions, "-k", "100", "--probes", "0")
    assert checked.faults["search_loses_rows"].startswith(
        f"the search loses rows: {QUESTIONS} of {QUESTIONS} questions"
    )
    assert "The search is too narrow" in checked.faults["low_recall"]


def test_rows_that_no_index_has_are_named(check: Check, database: str, questions: Path) -> None:
    zeros = "[" + ",".join(["0"] * WIDTH) + "]"
    execute(database, f"INSERT INTO documents VALUES ('bare', 1, NULL), ('zero', 1, '{zeros}')")
    execute(database, INDEX)
    checked = check(database, "--from", "pgvector", "--questions", questions)
    assert checked.code == 1
    assert "1 rows have no vector" in checked.faults["rows_without_vector"]
    assert "bare" in checked.faults["rows_without_vector"]
    assert "zero" in checked.faults["invalid_vectors"]
    assert checked.report["rows"]["counted"] == ROWS + 2


def test_without_an_index_the_search_is_exact(check: Check, database: str, questions: Path) -> None:
    checked = check(database, "--from", "pgvector", "--questions", questions)
    assert checked.code == 0, checked.faults
    assert checked.report["searches"][0]["index"] is None
    assert checked.report["summary"]["groups"][0]["recall"] == {"mean": 1.0, "error": 0.0}


@pytest.mark.parametrize(
    ("expression", "operators", "similarity"),
    [
        ("embedding", "vector_l2_ops", "gaussian"),
        ("embedding", "vector_ip_ops", "dot"),
        (f"(embedding::halfvec({WIDTH}))", "halfvec_cosine_ops", "cosine"),
    ],
)
def test_the_search_orders_as_the_index_does(
    check: Check, database: str, questions: Path, expression: str, operators: str, similarity: str
) -> None:
    execute(database, f"CREATE INDEX by_it ON documents USING hnsw ({expression} {operators})")
    checked = check(database, "--from", "pgvector", "--questions", questions, "--probes", "0")
    assert checked.report["searches"][0]["index"].startswith("HNSW by_it")
    assert checked.report["similarity"] == similarity
    assert checked.report["summary"]["groups"][0]["recall"]["mean"] > 0.9


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nothing"], 1, 'relation "nothing" does not exist'),
        (["documents", "--id", "number"], 1, "has no column 'number', its columns are id, percent, embedding"),
        (["documents", "--id", "percent"], 1, "comes twice: name a column of unique ids"),
        (["documents", "--vector", "nope"], 1, "documents has no column of vectors (--vector) 'nope'"),
        (["documents", "--filter", "percent <"], 1, "PostgreSQL refused: syntax error"),
        (["documents", "--filter", "lo_create(0) > 0"], 1, "read-only transaction"),
        (["documents", "--set", "hnsw.ef_search=0"], 1, "0 is outside the valid range"),
    ],
)
def test_an_invalid_request_is_refused(
    check: Check, indexed: str, questions: Path, arguments: list[str], code: int, says: str
) -> None:
    checked = check(indexed, *arguments, "--from", "pgvector", "--questions", questions)
    assert checked.code == code, checked.messages
    assert says in checked.messages


def test_an_empty_table_and_a_server_that_does_not_answer(check: Check, database: str, questions: Path) -> None:
    execute(database, "TRUNCATE documents")
    empty = check(database, "--from", "pgvector", "--questions", questions)
    assert (empty.code, "the collection has no vectors (0 rows)" in empty.messages) == (1, True)
    refusal = check("postgresql://nobody@127.0.0.1:1/none", "--from", "pgvector", "--questions", questions)
    assert (refusal.code, "no PostgreSQL answers" in refusal.messages) == (3, True)
