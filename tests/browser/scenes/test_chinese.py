"""Rows in Chinese are offered only if the encoder reads Chinese; the default model does not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.reading import checked, module

# Two texts in Chinese, then their translations, as unit vectors of a plane.
TOLD_APART = [[1, 0.1], [0.1, 1], [1, 0], [0, 1]]
SWAPPED = [[0.1, 1], [1, 0.1], [1, 0], [0, 1]]
ALL_ALIKE = [[1, 0.1], [1, 0.1], [1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("vectors", "unknown", "reads"),
    [
        (TOLD_APART, [0, 0, 0, 0], True),
        (TOLD_APART, [0, 1, 0, 0], False),  # a token that the model does not know
        (SWAPPED, [0, 0, 0, 0], False),
        (ALL_ALIKE, [0, 0, 0, 0], False),  # bytes, which it knows all, and no word
    ],
)
def test_an_encoder_reads_both_if_each_text_is_nearest_to_its_translation(
    visit: Any, vectors: list[list[float]], unknown: list[int], reads: bool
) -> None:
    page = visit("lesson.html").page
    encoded = {"embeddings": vectors, "unknown_tokens": unknown}
    assert module(page, "/js/chinese.js", "({knowsBoth}, encoded) => knowsBoth(encoded, 2)", encoded) is reads


def test_the_rows_are_translations_of_those_that_the_scene_begins_with(visit: Any) -> None:
    page = visit("lesson.html").page
    use = "({CHINESE, sceneNamed}) => [CHINESE.rows, sceneNamed('rows').state.rows]"
    chinese, english = module(page, "/js/scenes.js", use)
    assert [row["id"] for row in chinese] == [row["id"] for row in english]
    assert all(row["key"].isascii() for row in english)
    assert not any(character.isascii() for row in chinese for character in row["key"])


def test_the_default_model_is_asked_in_english(visit: Any) -> None:
    opened = visit("#scene=rows&lang=zh")
    checked(opened.page)
    assert sum("/v1/encode" in url for url in opened.requests) >= 1
    assert not opened.page.locator("#set-chinese").is_visible()
    assert "请用英文" in opened.page.locator("label[for=question]").inner_text()
