"""How many characters make a batch that the encoder is soon done with, learnt from the batches before."""

from __future__ import annotations

BATCH_SECONDS = 0.1
"""How long a batch may take: whoever asks while one runs waits for it."""

FIRST, FEWEST, MOST = 1024, 256, 4096
"""Characters of the first batch, and between which bounds they stay: 4,096 are some 1,000 tokens, and full speed."""


class BatchSize:
    """The characters of a batch, so that it takes about `BATCH_SECONDS` on this machine, however busy that is.

    A batch that took longer makes the next one smaller at once. One that was full and took less makes it larger, at
    most twice as large; one that was not full says nothing, as most of its time may be what any batch takes.
    """

    def __init__(self) -> None:
        self.characters = FIRST

    def learn(self, characters: int, seconds: float) -> None:
        """Take notice of a batch of so many characters that took so long."""
        fitting = int(characters * BATCH_SECONDS / max(seconds, 1e-6))
        if seconds > BATCH_SECONDS:
            self.characters = max(min(fitting, self.characters), FEWEST)
        elif characters >= self.characters:
            self.characters = min(max(fitting, self.characters), 2 * self.characters, MOST)
