"""The text of a document."""

from __future__ import annotations

import pytest

from softkv import Document
from softkv.integrations import document_text


@pytest.mark.parametrize(
    ("document", "value", "key"),
    [
        (Document("a", "the key", "the value"), "the value", "the key"),
        (Document("a", "the key", {"é": [1, None]}), '{"é": [1, null]}', "the key"),
        (Document("a", "the key", None), "the key", "the key"),
        (Document("a", None, "the value"), "the value", ""),
        (Document("a", "", ""), "", ""),
        (Document("a", None, False), "false", ""),
        (Document("a"), "", ""),
    ],
)
def test_a_text_stays_and_others_are_json(document, value, key):
    assert document_text(document) == value
    assert document_text(document, "key") == key
