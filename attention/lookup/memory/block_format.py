"""How a memory keeps its rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from attention.lookup.codes.quantisation import WIDEST
from attention.lookup.codes.rotation import Rotation


@dataclass(frozen=True)
class BlockFormat:
    """What there is room for in a block, beside the originals.

    Attributes:
        similarity: what rows are compared by; cosine has directions in codes, gaussian has no codes.
        directory: where the float32 originals lie in files; None for memory.
        rotation: of thin codes; None where keys have none.
        thin_only: whether they have no others, and values none.
        codes_later: whether there are none yet, see `Memory`.
        shared: whether other processes can map them.
    """

    similarity: str
    directory: Path | None = None
    rotation: Rotation | None = None
    thin_only: bool = False
    codes_later: bool = False
    shared: bool = False

    def codes(self, width: int) -> bool:
        """Whether keys of that width are kept in codes of any kind."""
        return self.similarity != "gaussian" and width <= WIDEST and not self.codes_later
