"""The drawings of the documentation are those that their program draws, from numbers that are measured."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.examples import ROOT
from tools import pictures
from tools.documentation.pages import sources

IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)]+\.svg)\)")
FEWEST_CHARACTERS = 60
"""The length from which an alternative text can say what a drawing shows."""


@pytest.fixture(scope="module")
def numbers() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(pictures.NUMBERS.read_text(encoding="utf-8"))
    return content


def test_each_file_matches_its_program(numbers: dict[str, Any]) -> None:
    drawn = pictures.draw(numbers)
    assert {path.name for path in pictures.FOLDER.glob("*.svg")} == drawn.keys()
    for name, content in drawn.items():
        stored = (pictures.FOLDER / name).read_text(encoding="utf-8")
        assert stored == content, f"{name} is out of date: run `python -m tools.pictures`"


def test_each_picture_is_on_a_page_with_an_alternative_text() -> None:
    pages: defaultdict[str, list[Path]] = defaultdict(list)
    documented = [path for path in sources() if path.suffix == ".md"]
    for page in [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *documented]:
        for alternative, target in IMAGE.findall(page.read_text(encoding="utf-8")):
            path = (page.parent / target).resolve()
            if path.parent == pictures.FOLDER:
                pages[path.name].append(page)
                assert len(alternative) >= FEWEST_CHARACTERS, (page, target)
    assert pages.keys() == pictures.draw(json.loads(pictures.NUMBERS.read_text(encoding="utf-8"))).keys()


def test_the_weights_in_a_picture_sum_to_one(numbers: dict[str, Any]) -> None:
    for question in ("known", "unknown"):
        assert sum(numbers[question]["weights"].values()) == pytest.approx(1, abs=2e-4)
    shown = [match["weight"] for match in numbers["matches"]]
    evidence = numbers["evidence"]
    assert sum(shown) + evidence["rest_weight"] + evidence["null_weight"] == pytest.approx(1, abs=2e-4)


def test_the_shards_are_placed_as_the_cluster_places_them(numbers: dict[str, Any]) -> None:
    placed = pictures.place_shards()
    assert {name: numbers[name] for name in placed} == placed


@pytest.mark.thorough
def test_the_numbers_are_those_of_the_service(numbers: dict[str, Any]) -> None:
    measured = pictures.measure()
    assert measured.keys() == numbers.keys()
    _assert_close(measured, numbers)


def _assert_close(measured: Any, stored: Any) -> None:
    if isinstance(stored, dict):
        assert measured.keys() == stored.keys()
        for name, value in stored.items():
            _assert_close(measured[name], value)
    elif isinstance(stored, list):
        for one, other in zip(measured, stored, strict=True):
            _assert_close(one, other)
    elif isinstance(stored, float):
        assert measured == pytest.approx(stored, abs=0.003)
    else:
        assert measured == stored
