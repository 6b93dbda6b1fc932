"""What can be wrong between a coordinator and its slots."""

from __future__ import annotations

from collections.abc import Iterable

from service.retrieval import SnapshotGone


class ClusterError(Exception):
    """The root of what this room raises."""


class NodeLost(ClusterError):
    """A slot does not answer: its process or its machine is gone, or it was never there."""


class ScanTimeout(ClusterError):
    """A slot scanned for others for as long as its asker waits."""


class NodeNameTaken(ClusterError):
    """Another machine has a slot of this name."""


class RayMissing(ClusterError):
    """Ray is not installed."""


class ClusterUnreachable(ClusterError):
    """No head answers at the address, or this machine could not join it."""


class TokenRefused(ClusterError):
    """The cluster's token is wrong, or there is none."""


class VersionGone(SnapshotGone):
    """A slot has newer versions only: the answer has to be of one of these."""

    def __init__(self, version: int) -> None:
        super().__init__(f"version {version} is not kept any more: ask again")


class ShardsLost(SnapshotGone):
    """Nobody answered for some ranges in time, whoever was asked.

    Attributes:
        first_rows: the ranges.
        reasons: what those said who were asked, each once.
    """

    def __init__(self, first_rows: Iterable[int], reasons: Iterable[str]) -> None:
        self.first_rows, self.reasons = frozenset(first_rows), tuple(dict.fromkeys(reasons))
        super().__init__(f"{len(self.first_rows)} ranges did not answer ({'; '.join(self.reasons)}): ask again")
