"""The best documents of an answer, which a reranker or late interaction reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class HeadText(NamedTuple):
    """A document among the best ones, as far as it is read.

    Attributes:
        text: the text of its best key, after the title of the document if the key is of a later part.
        title: the characters of that title.
        start: the position of what follows them in the document's key text.
        logit: the logit of the document, all keys together.
        key_row: the row number of this key.
    """

    text: str
    title: int
    start: int
    logit: float
    key_row: int

    def place(self, position: int) -> int:
        """Return the position of a character of the text in the document's key text."""
        return position if position < self.title else position - self.title + self.start


@dataclass(frozen=True)
class Head:
    """The best documents of an answer.

    Attributes:
        texts: these documents by their row numbers, without those that have no key text.
        following: the logit of the best document beyond them; minus infinity if there is none.
    """

    texts: Mapping[int, HeadText]
    following: float
