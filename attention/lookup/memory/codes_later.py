"""Codes that rows are given after they were written, while readers and the writer go on; see `Memory.code`."""

from __future__ import annotations

from dataclasses import dataclass

from attention.lookup.memory.blocks import Block
from attention.lookup.memory.segments import Segment


@dataclass
class CodedBlock:
    """A block that was given codes, and how many of its rows have them."""

    block: Block
    count: int

    def in_place_of(self, bare: Segment) -> Segment:
        """The segment with codes, those of rows that came meanwhile too."""
        if bare.count > self.count:
            self.block.code(self.count, bare.count)
            self.count = bare.count
        return Segment(self.block, bare.count, bare.live, bare.several)
