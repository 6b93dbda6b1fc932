"""English and Chinese: the words of the page, of the service and of its parts."""

from __future__ import annotations

import json
from typing import Any

from softkv_service.api.parts import find_parts
from softkv_service.api.routes.page import folders
from tests.browser.reading import same_names_in_both


def topics() -> dict[str, dict[str, Any]]:
    """Return the words of each part of the page, by the path of their file in its folder."""
    files = [(web, path) for web in folders(find_parts()) for path in web.glob("**/*.json")]
    texts = {
        path.relative_to(web).as_posix(): json.loads(path.read_text(encoding="utf-8"))
        for web, path in files
        if "node_modules" not in path.parts
    }
    return {path: text for path, text in texts.items() if isinstance(text, dict) and text.keys() == {"en", "zh"}}


def test_both_languages_have_the_same_words_and_places() -> None:
    assert len(topics()) > 20
    for path, texts in topics().items():
        if path.endswith("glossary.json"):  # its names are words of the language
            assert len(texts["en"]) == len(texts["zh"])
        elif all(isinstance(text, str) for text in texts["en"].values()):
            same_names_in_both(texts)
