"""The limits of an encoder's batches."""

from __future__ import annotations

from typing import Protocol

BATCH_SECONDS = 0.1
"""The target duration of a batch; texts that arrive while it runs wait for it."""

FIRST_CHARACTERS, MIN_CHARACTERS, MAX_CHARACTERS = 1024, 256, 4096
"""Characters of the first batch, and their bounds; 4,096 are about 1,000 tokens and reach full speed."""

SPECIAL_TOKEN_CHARACTERS = 8  # the cost of the two special tokens of a text, at four characters a token
BYTES_PER_TOKEN = 3  # UTF-8: about four in English, three in Chinese, where a character is often a token


class BatchLimits(Protocol):
    """The limits of the batches in which a queue hands texts to an encoder."""

    def size_of(self, text: str) -> int:
        """Return the size of a text, in the unit of these limits."""

    def fits(self, texts: int, size: int, text: str) -> bool:
        """Return whether a text may join a batch.

        Args:
            texts: how many texts the batch has.
            size: the sum of their sizes.
            text: the text.
        """

    def learn(self, size: int, seconds: float) -> None:
        """Adjust the limits to a batch of this size, which took `seconds`."""


class BatchSize:
    """The number of characters of a batch that takes about `BATCH_SECONDS` on this machine under its current load.

    A batch that took longer makes the next one smaller at once. A full batch that took less makes the next one larger,
    at most twice as large. A batch that was not full is ignored, because most of its time may be a fixed cost.
    """

    def __init__(self) -> None:
        self.characters = FIRST_CHARACTERS

    def size_of(self, text: str) -> int:
        """Return how many characters a text counts for."""
        return len(text) + SPECIAL_TOKEN_CHARACTERS

    def fits(self, texts: int, size: int, text: str) -> bool:
        """Return whether the batch is not full yet; the last text may exceed the limit."""
        return size < self.characters

    def learn(self, size: int, seconds: float) -> None:
        """Adjust the size to a batch of `size` characters that took `seconds`."""
        target = int(size * BATCH_SECONDS / max(seconds, 1e-6))
        if seconds > BATCH_SECONDS:
            self.characters = max(min(target, self.characters), MIN_CHARACTERS)
        elif size >= self.characters:
            self.characters = min(max(target, self.characters), 2 * self.characters, MAX_CHARACTERS)


class FixedLimits:
    """The most texts and tokens of a batch. The tokens are estimated from the characters, rather too many than too few.

    Args:
        texts, tokens: the limits; a longer text is a batch of its own.
        prefix: the text that is put before each text of a batch.
    """

    def __init__(self, texts: int, tokens: int, prefix: str = "") -> None:
        self._texts = texts
        self._tokens = tokens
        self._prefix_tokens = estimate_tokens(prefix)

    def size_of(self, text: str) -> int:
        """Return the estimated tokens of a text, with its prefix."""
        return self._prefix_tokens + estimate_tokens(text)

    def fits(self, texts: int, size: int, text: str) -> bool:
        """Return whether a batch keeps the limits if a text joins it; every text fits into an empty batch."""
        return texts == 0 or (texts < self._texts and size + self.size_of(text) <= self._tokens)

    def learn(self, size: int, seconds: float) -> None:
        """Do nothing: these limits are the operator's."""


def estimate_tokens(text: str) -> int:
    """Return about how many tokens a text has in a model whose tokeniser is not known.

    >>> estimate_tokens(""), estimate_tokens("soft"), estimate_tokens("注意力")
    (0, 2, 3)
    """
    return -(-len(text.encode()) // BYTES_PER_TOKEN)
