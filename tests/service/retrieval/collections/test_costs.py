"""What a collection costs: an estimate of its bytes on disk, and the times of its calls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from softkv_service.retrieval.collections import QuestionTimes, estimate_disk_bytes
from softkv_service.storage import SQLiteStore
from softkv_service.storage.records import CollectionSettings, DocumentRecord

RANDOM = np.random.default_rng(4)
WORDS = ["tide", "harbour", "lantern", "of", "the", "north", "salt", "quay", "rope", "and"]


def text(words: int) -> str:
    return " ".join(RANDOM.choice(WORDS, words))


def documents(count: int, width: int, words: int, value_width: int | None, fields: int) -> list[DocumentRecord]:
    return [
        DocumentRecord(
            f"document-{i:05}",
            text(words) if words else None,
            text(2 * words),
            RANDOM.standard_normal((1, width)).astype(np.float32),
            None if value_width is None else RANDOM.standard_normal(value_width).astype(np.float32),
            {f"field {field}": text(2) if field % 2 else i for field in range(fields)},
        )
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("count", "width", "words", "value_width", "fields"),
    [(2000, 384, 30, None, 2), (3000, 64, 0, None, 0), (2000, 2, 60, 3, 5), (600, 768, 20, 768, 3)],
)
def test_the_estimated_bytes_are_near_the_growth_of_the_file(
    tmp_path: Path, count: int, width: int, words: int, value_width: int | None, fields: int
) -> None:
    with SQLiteStore.open(tmp_path):
        pass
    path = tmp_path / "softkv.sqlite3"
    empty = path.stat().st_size
    with SQLiteStore.open(tmp_path) as store:
        with store.writing() as writer:
            number = writer.create_collection("c", CollectionSettings("dot", 1.0)).id
            assert estimate_disk_bytes(writer.collection("c"), writer) == 0
            writer.upsert(number, documents(count, width, words, value_width, fields))
        with store.reading() as reader:
            estimate = estimate_disk_bytes(reader.collection("c"), reader)
    assert estimate == pytest.approx(path.stat().st_size - empty, rel=0.2)


def test_p99_is_that_of_all_calls_rounded_up_by_a_fifth_at_most() -> None:
    times, other = QuestionTimes(), QuestionTimes()
    assert QuestionTimes.p99([times, other]) is None
    seconds = RANDOM.exponential(0.01, 2000)
    for duration in seconds:
        times.add(duration, 3)
    expected = float(np.quantile(seconds, 0.99, method="inverted_cdf"))
    p99 = QuestionTimes.p99([times])
    assert p99 is not None
    assert expected <= p99 <= 1.2 * expected
    assert times.questions == 6000
    for _ in range(2000):
        other.add(10_000.0, 1)
    together = QuestionTimes.p99([times, other])
    assert together is not None
    assert together > 100
