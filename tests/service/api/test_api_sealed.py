"""A sealed file in which a byte of an original is another one: in no answer, and made anew while the service runs."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from softkv_attention.lookup import Limits
from softkv_service import lifespan
from softkv_service.retrieval.collections import sealed
from softkv_service.storage import SQLiteStore
from softkv_service.storage.records import CollectionSettings
from softkv_service.storage.sqlite import vector_rows
from tests.running import RunningService
from tests.service.retrieval.sealing import SMALL_BLOCKS, WIDTH, documents, files, flipped, make_batches_small
from tests.waiting import until

PATH = "/v1/collections/shelf"
N = 200


def said(answer):
    body = answer.json()
    return [(match["id"], pytest.approx(match["weight"], abs=1e-6)) for match in body["matches"]]


@pytest.mark.parametrize("checked_soon", [False, True], ids=["by who reads it", "and soon after the start"])
def test_a_flipped_byte_is_in_no_answer(tmp_path: Path, monkeypatch, checked_soon) -> None:
    make_batches_small(monkeypatch)
    if not checked_soon:
        monkeypatch.setattr(sealed.SealedBlocks, "check_next_originals", lambda self, view: False)
    with SQLiteStore.open(tmp_path) as store, store.writing() as writer:
        writer.upsert(writer.create_collection("shelf", CollectionSettings("dot", 0.5)).id, documents(0, N))
    queries = np.random.default_rng(9).standard_normal((5, WIDTH)).tolist()
    bodies = [{"query": query, "temperature": t, "top_k": 9} for query in queries for t in (0, 0.5, 5)]
    with RunningService(data_dir=tmp_path, encoder="none", limits=SMALL_BLOCKS) as running, running.client() as client:
        running.wait_until_ready()
        until(lambda: len(files(tmp_path)) == N // 64)
        expected = [said(client.post(f"{PATH}/attend", json=body)) for body in bodies]
    before = files(tmp_path)
    for path in before:
        flipped(path, place=33 * 4 * WIDTH + 3)
    with RunningService(data_dir=tmp_path, encoder="none", limits=SMALL_BLOCKS) as running, running.client() as client:
        until(lambda: client.post(f"{PATH}/attend", json=bodies[0]).status_code in (200, 503))
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda body: client.post(f"{PATH}/attend", json=body), 4 * bodies))
        for answer, right in zip(answers, 4 * expected, strict=True):
            if answer.status_code == 200:
                assert said(answer) == right
            else:
                assert (answer.status_code, answer.json()["code"]) == (503, "collection_loading"), answer.text
                assert int(answer.headers["Retry-After"]) > 0
        # A question or the background check reaches each one in turn, and its rows are read from the store.
        until(lambda: [client.post(f"{PATH}/attend", json=body).status_code for body in bodies] == [200] * len(bodies))
        assert [said(client.post(f"{PATH}/attend", json=body)) for body in bodies] == expected
        if checked_soon:
            until(lambda: not set(before) & set(files(tmp_path)) and len(files(tmp_path)) == len(before))
            assert client.get("/readyz").status_code == 200
        assert client.post(f"{PATH}/attend", json=bodies[0]).status_code == 200


def test_a_service_that_was_killed_while_idle_starts_from_the_file_of_its_last_block(
    tmp_path: Path, monkeypatch
) -> None:
    make_batches_small(monkeypatch)
    monkeypatch.setattr(lifespan, "IDLE_SECONDS", 0.05)
    with SQLiteStore.open(tmp_path) as store, store.writing() as writer:
        writer.upsert(writer.create_collection("shelf", CollectionSettings("dot", 0.5)).id, documents(0, 50))
    limits = Limits(block_rows=64, exact_max_components=0)
    body = {"query": [1.0] * WIDTH, "temperature": 0.5, "top_k": 9}
    with RunningService(data_dir=tmp_path, encoder="none", limits=limits) as running, running.client() as client:
        running.wait_until_ready()
        until(lambda: files(tmp_path) and not [*tmp_path.glob("*.new")])
        expected = said(client.post(f"{PATH}/attend", json=body))
        killed = tmp_path.with_name("killed")
        shutil.copytree(tmp_path, killed)
    read, real = [], vector_rows.keys_of

    def counted(connection, numbers, damaged):
        read.extend(numbers)
        return real(connection, numbers, damaged)

    monkeypatch.setattr(vector_rows, "keys_of", counted)
    with RunningService(data_dir=killed, encoder="none", limits=limits) as running, running.client() as client:
        running.wait_until_ready()
        assert said(client.post(f"{PATH}/attend", json=body)) == expected
        assert not read
