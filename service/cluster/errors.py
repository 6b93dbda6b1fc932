"""Errors between a coordinator and its nodes."""

from __future__ import annotations

from collections.abc import Iterable

from service.retrieval import SnapshotGone


class ClusterError(Exception):
    """Base class of the cluster's errors."""


class NodeLost(ClusterError):
    """A node does not answer: its process or machine is gone, or no node of this name ever existed."""


class ScanTimeout(ClusterError):
    """The node was busy with other scans until the request's deadline."""


class NodeNameTaken(ClusterError):
    """Another machine has a node of this name."""


class RayMissing(ClusterError):
    """Ray is not installed."""


class ClusterUnreachable(ClusterError):
    """No Ray head answers at the address, or this machine cannot join it."""


class TokenRefused(ClusterError):
    """The cluster's token is wrong or missing."""


class VersionGone(SnapshotGone):
    """A node has dropped the requested version and has only newer ones. Repeat the request with the current version."""

    def __init__(self, version: int) -> None:
        super().__init__(f"version {version} is not kept any more: ask again")


class ShardsLost(SnapshotGone):
    """No replica of some shards answered in time.

    Attributes:
        first_rows: first rows of these shards.
        reasons: why the nodes gave no answer, each reason once.
    """

    def __init__(self, first_rows: Iterable[int], reasons: Iterable[str]) -> None:
        self.first_rows, self.reasons = frozenset(first_rows), tuple(dict.fromkeys(reasons))
        super().__init__(f"{len(self.first_rows)} ranges did not answer ({'; '.join(self.reasons)}): ask again")
