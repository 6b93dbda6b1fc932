"""An upload whose service is killed: its report is true, and resuming it writes nothing twice."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import softkv
from benchmarks.running import Service
from softkv import Client, Report
from tests.thorough import thorough

UNDER_WAY = 2000  # rows that may have been written and not acknowledged


def rows(many: int) -> Iterator[dict[str, Any]]:
    for number in range(many):
        vector = np.array([number, 1, -number, 2], np.float32)
        yield {"id": f"{number:06}", "value": number, "metadata": {"n": number % 7}, "key_vector": vector}


def killing(service: Service, delay: int, moment: float) -> Callable[[Report], None]:
    """Return a progress function that kills the service `delay` after a number of rows is acknowledged."""
    started = threading.Event()

    def watch(report: Report) -> None:
        if report.acknowledged >= delay and not started.is_set():
            started.set()
            threading.Timer(moment, service.process.kill).start()

    return watch


@pytest.mark.kill
@pytest.mark.parametrize(
    ("on_conflict", "many"), [thorough("replace", 100_000), ("replace", 30_000), ("skip", 20_000), ("fail", 10_000)]
)
def test_report_and_store_agree_and_the_upload_goes_on(tmp_path: Path, on_conflict: Any, many: int) -> None:
    moments = random.Random(many)
    stored_ids = [f"{number:06}" for number in (3, many // 2, many - 1)] if on_conflict == "skip" else []
    with Service(tmp_path, "--encoder", "none") as service:
        service.wait_until_ready()
        with Client(service.url, retries=1) as client:
            collection = client.collection("a")
            collection.create(encoder=None)
            collection.upsert({"id": item, "value": "before", "key_vector": [1, 2, 3, 4]} for item in stored_ids)
            watch = killing(service, moments.randrange(many // 4, 3 * many // 4), moments.uniform(0, 0.1))
            with pytest.raises(softkv.Unreachable) as broken:
                collection.upsert(rows(many), on_conflict=on_conflict, progress=watch)
    report = broken.value.report
    acknowledged = report.acknowledged
    assert 0 < acknowledged < many
    assert report.upserted + len(report.skipped) == acknowledged
    with Service(tmp_path, "--encoder", "none") as service:
        service.wait_until_ready()
        with Client(service.url) as client:
            collection = client.collection("a")
            stored = {document.id: document.value for document in collection.find(include=["value"])}
            written = {identity for identity, value in stored.items() if value != "before"}
            assert {f"{number:06}" for number in range(acknowledged)} <= stored.keys()
            assert acknowledged - len(report.skipped) <= len(written) <= acknowledged + UNDER_WAY
            done = collection.upsert(rows(many), on_conflict=on_conflict, resume=report)
            assert done is report
            assert (done.acknowledged, done.upserted) == (many, many - len(stored_ids))
            assert (done.skipped, done.refused) == (stored_ids, [])
            stored = {document.id: document.value for document in collection.find(include=["value"])}
            info = collection.info()
    assert stored == {f"{number:06}": number for number in range(many)} | dict.fromkeys(stored_ids, "before")
    assert info.documents == info.keys == many
