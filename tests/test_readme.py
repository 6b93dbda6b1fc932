"""The README's examples, run as they stand: commands against the real service, answers compared."""

from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.running import RunningService

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
VARYING = {"took_ms", "total_variation", "output_error"}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    with RunningService(data_dir=tmp_path_factory.mktemp("readme"), demo=("library",)) as running:
        running.wait_until_ready()
        yield running


def test_the_readme_is_short_and_its_first_command_is_in_the_first_screen():
    lines = README.splitlines()
    assert len(lines) <= 150
    assert lines.index("git clone … softkv && cd softkv && make run") < 25


def test_every_example_answers_what_the_readme_shows(library):
    printed, compared = "", 0
    for language, text in BLOCKS:
        if language == "sh" and "curl" in text:
            command = text.replace("http://127.0.0.1:8000", library.url)
            printed = subprocess.run(["bash", "-euc", command], capture_output=True, text=True, check=True).stdout
            for answer in answers(printed):
                assert "status" not in answer, answer
        elif language == "json":
            shown = json.loads(text)
            same_shape(shown, answers(printed)[-1])
            compared += 1
    assert compared >= 2


def test_the_python_examples_print_what_they_say():
    for language, text in BLOCKS:
        if language == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(text, "README.md", "exec"), {})
            expected = "\n".join(line[2:] for line in text.splitlines() if line.startswith("# "))
            assert printed.getvalue().strip() == expected


def answers(printed: str) -> list[dict[str, Any]]:
    """The JSON objects a command printed, one after another."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(printed):
        answer, at = decoder.raw_decode(printed, at)
        found.append(answer)
    return found


def same_shape(shown: Any, came: Any, name: str = "") -> None:
    """Equal, numbers to the digits that a README shows; timings and bounds only in kind."""
    if isinstance(shown, dict):
        assert shown.keys() == came.keys()
        for field in shown:
            same_shape(shown[field], came[field], field)
    elif isinstance(shown, list):
        assert len(shown) == len(came)
        for one, other in zip(shown, came, strict=True):
            same_shape(one, other, name)
    elif name in VARYING:
        assert (shown is None) == (came is None)
    elif isinstance(shown, float | int) and not isinstance(shown, bool):
        assert came == pytest.approx(shown, rel=2e-3, abs=1e-9), name
    else:
        assert shown == came
