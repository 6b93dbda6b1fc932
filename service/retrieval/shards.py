"""What is to be told of the slots that hold a service's keys, where the service does not hold them itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NodeStatus:
    """One slot; what only it knows is None where it did not answer in time.

    Attributes:
        node: the machine that it runs on.
        leaving: whether it goes as soon as others hold what it has.
        ranges: how many it has ready, as the store knows it.
        keys: how many live in them.
        coming: how many ranges it reads, or is to read.
        lag: how many versions it is behind the store, of the collection of which it is the most.
        trouble: why its last look at the store did not succeed; None also where it did.
    """

    name: str
    node: str
    leaving: bool
    ranges: int
    keys: int | None
    coming: int | None
    lag: int | None
    trouble: str | None


@dataclass(frozen=True)
class ClusterStatus:
    """All slots together, and how the ranges of all collections are held; no ranges while the store cannot be asked.

    Attributes:
        copies: how many slots are to hold each range.
        ranges: how many there are.
        whole: how many of them as many slots have ready, or more.
        unheld: how many of them no slot has ready.
        slots: those that were seen lately, by name.
    """

    copies: int
    ranges: int | None
    whole: int | None
    unheld: int | None
    slots: tuple[NodeStatus, ...]

    @property
    def fewer(self) -> int | None:
        """How many ranges some slots have ready, but fewer than `copies`."""
        if self.ranges is None or self.whole is None or self.unheld is None:
            return None
        return self.ranges - self.whole - self.unheld
