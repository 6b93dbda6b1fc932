"""Progress of an upload, drawn with the installed libraries."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import pytest

from softkv import Report
from softkv.uploading import progress_callback


def acknowledged(many: int) -> Report:
    report = Report()
    report.rows = report.acknowledged = many
    return report


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Hides distributions."""

    def hide(*names: str) -> None:
        find_spec = importlib.util.find_spec
        monkeypatch.setattr("softkv.uploading.find_spec", lambda name: None if name in names else find_spec(name))

    return hide


@pytest.mark.parametrize("missing", [(), ("rich",), ("rich", "tqdm")])
@pytest.mark.parametrize("total", [2500, None])
def test_progress_is_drawn_on_standard_error(capfd, without, missing, total):
    without(*missing)
    with progress_callback(True, total) as tell:
        tell(acknowledged(1000))
        tell(acknowledged(2500))
    drawn = capfd.readouterr()
    assert drawn.out == ""
    assert "2500" in drawn.err.replace(",", "")


def test_a_function_hears_of_every_batch(made):
    heard = []
    report = made(encoder=None).upsert(
        ({"id": str(number)} for number in range(2500)), progress=lambda report: heard.append(report.acknowledged)
    )
    assert heard == [1000, 2000, 2500]
    assert report.upserted == 2500
    assert "softkv.uploading" in sys.modules
