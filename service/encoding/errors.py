"""What can go wrong between a text and its vector."""

from __future__ import annotations


class EncodingError(Exception):
    """The root of this room's errors; the message says what was wanted, what came and what to do."""


class ModelUnusable(EncodingError):
    """A model cannot be found, is not the one it claims to be, or cannot be loaded."""


class LibraryMissing(ModelUnusable):
    """A model that only a library computes which this installation leaves out."""


class InvalidText(EncodingError):
    """A text that no model can read.

    Attributes:
        position: where the text stands in the list, from 0; None where the list itself is wrong.
    """

    def __init__(self, message: str, position: int | None) -> None:
        super().__init__(message)
        self.position = position


class InvalidTokens(InvalidText):
    """Token ids that are no text of the model's."""


class Untraceable(EncodingError):
    """A model that cannot be looked into."""


class QueueClosed(EncodingError):
    """The queue takes no texts: it has not been started, or it drains before the service stops."""
