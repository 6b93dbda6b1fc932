from __future__ import annotations

import numpy as np
import pytest

FOUND = [("smiling cat", set("😺😸")), ("infinite", {"∞"}), ("crying loudly", {"😭"})]


@pytest.mark.thorough
@pytest.mark.parametrize(("query", "found"), FOUND)
def test_characters_are_found_by_their_meaning(query, found, signs, encoder):
    characters, keys = signs
    similarity = keys @ encoder.encode([query], "query").vectors[0]
    assert characters[int(np.argmax(similarity))] in found


@pytest.fixture(scope="module")
def signs(documents, encoder):
    blocks = {"Emoticons", "Arrows", "Mathematical Operators"}
    shown = [document for document in documents["unicode"] if document["metadata"]["block"] in blocks]
    keys = encoder.encode([document["key"] for document in shown], "document").vectors
    return [document["value"] for document in shown], keys / np.linalg.norm(keys, axis=1, keepdims=True)
