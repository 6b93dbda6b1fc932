"""The examples of a page of documentation: its fenced blocks, run as they stand, and what came compared with it."""

from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SHOWN_URL = "http://127.0.0.1:8000"
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
DECIMAL = re.compile(r"(?<![\w.])\d+\.\d{2,}(?![\w.])")
LEFT_OUT = "…"  # names, in an object of a page, the fields that the page does not show
# These vary with the machine: only whether they are null is compared.
VARYING = {"took_ms", "p99_ms", "total_variation", "output_error", "error"}


@dataclass(frozen=True)
class Page:
    """A page in Markdown, by its path in the repository."""

    name: str

    @property
    def text(self) -> str:
        """Return the text of the page."""
        return (ROOT / self.name).read_text(encoding="utf-8")

    @property
    def blocks(self) -> list[tuple[str, str]]:
        """(language, text) of each fenced block."""
        return FENCED.findall(self.text)

    @property
    def prose(self) -> str:
        """All but the fenced blocks."""
        return FENCED.sub("", self.text)

    @property
    def words(self) -> int:
        """The number of words outside fenced blocks and tables."""
        return sum(len(line.split()) for line in self.prose.splitlines() if not line.startswith("|"))

    @property
    def sections(self) -> dict[str, str]:
        """Return the text under each heading, by the name that links use: lower case, dashes, no other punctuation."""
        headings = set(re.findall(r"^#+ .+$", self.prose, re.MULTILINE))
        texts: dict[str, str] = {}
        name = ""
        for line in self.text.splitlines():
            if line in headings:
                name = re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
            texts[name] = texts.get(name, "") + line + "\n"
        return texts


def run_commands(page: Page, url: str) -> int:
    """Run each sh block with curl; compare the last answer with the json block below it; return the number of pairs.

    A problem fails, unless the json block shows it.
    """
    came: list[Any] | None = None
    compared = 0
    for language, text in [*page.blocks, ("sh", "")]:
        if language == "json":
            assert came is not None, f"{page.name}: nothing is asked above this answer: {text}"
            shown = answers(text)
            assert len(shown) <= len(came), f"{page.name}: fewer answers came than it shows: {came}"
            same(shown, came[len(came) - len(shown) :])
            came = came[: len(came) - len(shown)]
            compared += 1
        elif language == "sh":
            assert not any("status" in answer for answer in came or []), came
            came = None
            if "curl" in text:
                command = ["bash", "-euc", text.replace(SHOWN_URL, url)]
                came = answers(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return compared


def run_python(page: Page, url: str = SHOWN_URL) -> int:
    """Run the python blocks, one after another in one place; each prints what its comments say → how many.

    Args:
        url: of the service that they ask.
    """
    names: dict[str, Any] = {}
    blocks = [text.replace(SHOWN_URL, url) for language, text in page.blocks if language == "python"]
    for text in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(text, page.name, "exec"), names)
        expected = "\n".join(line[2:] for line in text.splitlines() if line.startswith("# "))
        same_text(expected, printed.getvalue().strip(), f"{page.name} prints\n{printed.getvalue()}\nfor\n{text}")
    return len(blocks)


def answers(printed: str) -> list[Any]:
    """The JSON values in a text, one after another."""
    decoder, values, printed = json.JSONDecoder(), [], printed.strip()
    while printed:
        answer, end = decoder.raw_decode(printed)
        values.append(answer)
        printed = printed[end:].lstrip()
    return values


def same(shown: Any, came: Any, name: str = "") -> None:
    """Compare two values: numbers to the digits that a page shows, timings and bounds only by type.

    A text may end in … after its beginning, and an object with the field … leaves others out.
    """
    if isinstance(shown, dict):
        fields = shown.keys() - {LEFT_OUT}
        assert fields < came.keys() if LEFT_OUT in shown else fields == came.keys(), f"{name}: {came}"
        for field in fields:
            same(shown[field], came[field], field)
    elif isinstance(shown, list):
        assert len(shown) == len(came), f"{name}: {came}"
        for one, other in zip(shown, came, strict=True):
            same(one, other, name)
    elif name in VARYING:
        assert (shown is None) == (came is None)
    elif isinstance(shown, float | int) and not isinstance(shown, bool):
        assert came == pytest.approx(shown, rel=2e-3, abs=_last_digit(repr(shown))), name
    elif isinstance(shown, str) and isinstance(came, str) and shown.endswith("…"):
        assert came.startswith(shown[:-1]), f"{name}: {came}"
    else:
        assert shown == came, name


def same_text(shown: str, came: str, message: str) -> None:
    """Compare two texts: numbers of two and more decimals to one in the last digit, all else exactly.

    The encoder computes in float32 on processors with AMX and in int16 on others, so the last digit varies.
    """
    numbers, others = DECIMAL.findall(shown), DECIMAL.findall(came)
    assert DECIMAL.sub("#", shown) == DECIMAL.sub("#", came), message
    for number, other in zip(numbers, others, strict=True):
        digit = max(_last_digit(number), _last_digit(other))
        assert float(other) == pytest.approx(float(number), rel=0, abs=1.01 * digit), message


def _last_digit(number: str) -> float:
    """Return one in the last decimal of a number; next to nothing if it has fewer than two decimals."""
    decimals = len(number.partition(".")[2])
    return 10.0**-decimals if decimals > 1 and "e" not in number else 1e-9
