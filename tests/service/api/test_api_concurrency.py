"""Many concurrent callers: no caller sees half a write, and a scroll sees each lasting document exactly once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np


@contextmanager
def meanwhile(service, work: Callable[[object, int], None]) -> Iterator[list[BaseException]]:
    """Call `work(client, round)` in a thread while the block runs."""
    stop, failures = threading.Event(), []

    def run() -> None:
        with service.client() as own_client:
            round_ = 0
            while not stop.is_set():
                try:
                    work(own_client, round_)
                except BaseException as error:
                    failures.append(error)
                    return
                round_ += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield failures
    finally:
        stop.set()
        thread.join()
    assert not failures, failures


def vector(i: int) -> list[float]:
    return [1.0, float(i)]


def test_an_answer_never_shows_half_a_write(service, client, collection):
    """All documents are always replaced together, so that every answer is of one generation."""

    def generation(round_: int) -> list[dict[str, object]]:
        return [
            {"id": str(i), "key_vector": vector(i), "value_vector": [float(round_)], "value": round_} for i in range(40)
        ]

    path = collection(generation(0), encoder=None, similarity="dot")

    def replace(own_client, round_):
        assert own_client.post(f"{path}/documents", json={"documents": generation(round_ + 1)}).status_code == 200

    body = {"query": [1.0, 0.1], "temperature": 5, "top_k": 40, "include": ["value", "output"]}
    with meanwhile(service, replace):
        for _ in range(40):
            answer = client.post(f"{path}/attend", json=body).json()
            assert answer["documents"] == 40
            values = {match["value"] for match in answer["matches"]}
            assert len(values) == 1
            np.testing.assert_allclose(answer["output"], [values.pop()], rtol=1e-6)


def test_each_document_is_written_by_one_of_many_skipping_callers(service, client, collection):
    path, ids = collection(encoder=None), [f"d{i:02}" for i in range(60)]

    def fill(writer: int) -> list[tuple[str, int]]:
        turned, written = ids[writer * 15 :] + ids[: writer * 15], []
        with service.client() as own_client:
            for start in range(0, len(ids), 20):
                batch = [{"id": row, "key_vector": vector(writer), "value": writer} for row in turned[start:][:30]]
                answer = own_client.post(f"{path}/documents", json={"documents": batch, "mode": "skip"}).json()
                new = {document["id"] for document in batch} - set(answer["skipped"])
                assert answer["upserted"] == len(new)
                written += [(identity, writer) for identity in new]
        return written

    with ThreadPoolExecutor(4) as threads:
        written = [pair for pairs in threads.map(fill, range(4)) for pair in pairs]
    stored = client.post(f"{path}/documents/query", json={"limit": 100}).json()["documents"]
    assert sorted(written) == [(document["id"], document["value"]) for document in stored]
    assert len(stored) == len(ids)
