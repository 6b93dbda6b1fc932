"""Which texts can be encoded at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from service.encoding.errors import InvalidText

Purpose = Literal["query", "document"]
"""What a text is for: some models read a question and a passage with different prompts."""

PURPOSES: tuple[Purpose, ...] = ("query", "document")


def check_texts(texts: Sequence[str]) -> None:
    """Let pass what every tokeniser can read: any Unicode text, the empty one too.

    Raises:
        InvalidText: a lone surrogate (half of a character, which UTF-8 cannot hold), or something that is
            not a text; it names the position in the list.
    """
    if isinstance(texts, str):
        raise InvalidText("wanted a list of texts, got one text: put it in a list", None)
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidText(f"texts[{position}] is of type {type(text).__name__}: wanted a text", position)
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidText(
                f"texts[{position}] has a lone surrogate (U+{ord(text[error.start]):04X}) at character "
                f"{error.start}: it is half of a character, send the whole one or leave it out",
                position,
            ) from error
