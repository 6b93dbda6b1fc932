"""Many concurrent callers: no caller sees half a write, and a scroll sees each lasting document exactly once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

LASTING = [f"lasting-{i:03}" for i in range(0, 300, 3)]


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


def test_a_scroll_sees_each_lasting_document_once_while_others_come_and_go(service, client, collection):
    documents = [{"id": identifier, "key_vector": vector(i)} for i, identifier in enumerate(LASTING)]
    path = collection(documents, encoder=None)

    def come_and_go(own_client, round_):
        passing = [f"lasting-{i:03}x{round_ % 2}" for i in range(round_ % 7, 300, 7)]
        batch = [{"id": identifier, "key_vector": vector(round_)} for identifier in passing]
        assert own_client.post(f"{path}/documents", json={"documents": batch}).status_code == 200
        rewritten = LASTING[round_ % len(LASTING)]
        assert own_client.put(f"{path}/documents/{rewritten}", json={"key_vector": vector(round_)}).status_code == 200
        assert own_client.post(f"{path}/documents/delete", json={"ids": passing}).status_code == 200

    with meanwhile(service, come_and_go):
        for _ in range(5):
            seen, cursor = Counter[str](), None
            while True:
                page = client.post(f"{path}/documents/query", json={"limit": 7, "cursor": cursor, "include": []}).json()
                seen.update(document["id"] for document in page["documents"])
                cursor = page["next_cursor"]
                if cursor is None:
                    break
            assert {identifier: seen[identifier] for identifier in LASTING} == dict.fromkeys(LASTING, 1)
            assert max(seen.values()) == 1


def test_each_document_is_written_by_one_of_many_skipping_callers(service, client, collection):
    path, writers = collection(encoder=None), range(4)
    ids = [f"d{i:02}" for i in range(60)]
    answers: dict[int, list[dict[str, object]]] = {writer: [] for writer in writers}

    def fill(writer: int) -> None:
        turned = ids[writer * 15 :] + ids[: writer * 15]
        with service.client() as own_client:
            for start in range(0, len(ids), 20):
                batch = [{"id": row, "key_vector": vector(writer), "value": writer} for row in turned[start:][:30]]
                answer = own_client.post(f"{path}/documents", json={"documents": batch, "mode": "skip"})
                answers[writer].append(answer.json() | {"sent": [document["id"] for document in batch]})

    threads = [threading.Thread(target=fill, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wrote = Counter(
        (identity, writer)
        for writer, message in answers.items()
        for answer in message
        for identity in set(answer["sent"]) - set(answer["skipped"])
    )
    assert sum(answer["upserted"] for reply in answers.values() for answer in reply) == len(ids)
    stored = client.post(f"{path}/documents/query", json={"limit": 100}).json()["documents"]
    assert wrote == Counter((document["id"], document["value"]) for document in stored)
    assert len(wrote) == len(ids)


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
