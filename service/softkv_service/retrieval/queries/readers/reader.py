"""The base of readers: of what describes an answer, and changes no weight of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from softkv_service.retrieval.collections import Collection
from softkv_service.retrieval.queries.results import Answered, Reading, Result


class Reader:
    """A reader of answers.

    Attributes:
        name: the option of a question that it is made of, and its field of the answer, if it has one.
        reads_all: whether it reads a number of every document that passes.
        weighs_all: whether the answer must list the weight of every document.
    """

    name: ClassVar[str]
    reads_all: ClassVar[bool] = False
    weighs_all: ClassVar[bool] = False

    @property
    def is_of_first(self) -> bool:
        """Whether the verdict is on the first match alone because of it."""
        return False

    def read(self, answered: Answered) -> Sequence[Reading]:
        """Return what it says of each answer, by the version of the collection that was asked."""
        return [Reading()] * len(answered.answers)

    async def complete(self, collection: Collection, results: list[Result]) -> list[Result]:
        """Return the results with what it computes after the lookup."""
        return results
