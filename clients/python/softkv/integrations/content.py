"""What a document says, as frameworks have it: one text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from softkv.answers.document import Document
    from softkv.answers.match import Match

Content: TypeAlias = Literal["value", "key"]


def text_of(found: Document | Match, content: Content = "value") -> str:
    """The text of a document.

    Args:
        content: `"value"`, what is found there, as JSON where it is no text, and the key where there is none; or
            `"key"`, the text that queries are compared with, empty where it came as a vector.
    """
    told = found.key if content == "key" or found.value is None else found.value
    if isinstance(told, str):
        return told
    return "" if told is None else json.dumps(told, ensure_ascii=False)
