"""Two services of this commit answer alike; a status of its own is a difference."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from benchmarks.same import Report
from benchmarks.variety import Request

ROOT = Path(__file__).parents[2]
REQUEST = Request("/v1/collections/dot-1/attend", {"query": [1.0]})


def response(status: int, content: bytes = b"{}", kind: str = "application/json") -> httpx.Response:
    return httpx.Response(status, content=content, headers={"content-type": kind})


def test_answers_are_counted_by_how_they_differ():
    report = Report()
    report.add(REQUEST, response(200, b'{"took_ms":1.5}'), response(200, b'{"took_ms":2}'))
    report.add(REQUEST, response(200, b'{"similarity":1.0}'), response(200, b'{"similarity":1.0000000000000002}'))
    report.add(REQUEST, response(200), response(422))
    report.add(REQUEST, response(422), response(422, kind="application/problem+json"))
    assert (report.identical, report.within, len(report.beyond)) == (1, 1, 2)
    assert report.statuses == {200: 2, 422: 2}
    assert report.largest == pytest.approx({"similarity": 2.2e-16}, rel=0.1)


@pytest.mark.thorough
def test_two_services_of_one_commit_give_the_same_bytes():
    command = [sys.executable, "-m", "benchmarks.same", "--before", str(ROOT), "--questions", "300", "--no-texts"]
    done = subprocess.run([*command, "--sizes", "0", "1", "50"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "|     300 |               300 |                       0 |      0 |" in done.stdout
