"""The pages in Firefox, which puppeteer drives: chapters, a question and a drag, also in a frame of another site."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.browser.frame.test_frames import framing
from tests.running import RunningService
from tools.node import NodeMissingError, checked, node, packages

pytestmark = pytest.mark.thorough

HERE = Path(__file__).parent
ROWS = "3*my_cat*a_dog*a_violin"
SIZE = 'width="800" height="520"'
TOLD = {
    "question": "One row has nearly all the weight: >99.9%.",
    "drag": "All 3 rows answer alike. This is an average.",
}


@pytest.fixture(scope="module")
def folder() -> Path:
    """Return the folder from which Node.js finds puppeteer."""
    try:
        return packages(HERE).folder
    except NodeMissingError as error:
        pytest.skip(str(error))


def test_firefox_answers_drags_and_refuses_as_chromium(tmp_path: Path, folder: Path) -> None:
    firefox = shutil.which("firefox-esr") or shutil.which("firefox")
    if firefox is None:
        pytest.skip("no Firefox: apt-get install firefox-esr")
    shutil.copy(HERE / "visit.mjs", folder)
    with RunningService(data_dir=tmp_path) as running:
        running.wait_until_ready()
        chapter = f"{running.url}/?embed=1#hard-and-soft&rows={ROWS}"
        with framing(chapter, SIZE) as framed, framing(f"{running.url}/", SIZE) as refused:
            addresses = {"service": running.url, "framed": framed, "refused": refused, "rows": ROWS}
            visit = node(folder, "visit.mjs", json.dumps({"executable": firefox, "told": TOLD, **addresses}))
    seen: dict[str, Any] = json.loads(checked(visit))
    assert seen["refused"]
    assert ["frame-ancestors 'self'" in error for error in seen["errors"]] == [True]  # that refusal, and no other error
    assert len(seen["chapters"]) == 8
    assert (seen["heads"], seen["sideways"]) == (72, 0)  # of the zoom, for 8 tokens
