"""How a memory keeps its rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from attention.lookup.codes.quantisation import MAX_WIDTH


@dataclass(frozen=True)
class BlockFormat:
    """What there is room for in a block, beside the originals.

    Attributes:
        similarity: what rows are compared by; cosine has directions in codes, gaussian has no codes.
        directory: where the float32 originals lie in files; None for memory.
        codes_later: whether there are none yet, see `Memory`.
    """

    similarity: str
    directory: Path | None = None
    codes_later: bool = False

    def codes(self, width: int) -> bool:
        """Whether keys of that width are kept in codes."""
        return self.similarity != "gaussian" and width <= MAX_WIDTH and not self.codes_later
