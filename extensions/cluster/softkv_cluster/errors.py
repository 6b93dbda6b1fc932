"""Errors between a coordinator and the shard servers."""

from __future__ import annotations

import re
from collections.abc import Iterable

from softkv_service.retrieval import SnapshotGone


class ClusterError(Exception):
    """Base class of the cluster's errors."""


class ServerLost(ClusterError):
    """A server does not answer: its process or machine is gone, or no server of this name exists."""


class ScanTimeout(ClusterError):
    """The server was busy with other scans until the request's deadline."""


class RayMissing(ClusterError):
    """Ray is not installed."""


class RayUnreachable(ClusterError):
    """No Ray cluster answers at the address, or it refuses this process."""


class VersionGone(SnapshotGone):
    """A server has only newer versions than the requested one. Repeat the request with the current version."""

    def __init__(self, version: int) -> None:
        super().__init__(f"version {version} is not kept any more: ask again")


class ShardsLost(SnapshotGone):
    """No replica of some shards answered in time.

    Attributes:
        first_rows: first rows of these shards.
        reasons: why the servers gave no answer, each reason once.
    """

    def __init__(self, first_rows: Iterable[int], reasons: Iterable[str]) -> None:
        self.first_rows, self.reasons = frozenset(first_rows), tuple(dict.fromkeys(reasons))
        super().__init__(f"{len(self.first_rows)} shards did not answer ({'; '.join(self.reasons)}): ask again")


def describe_version_mismatch(address: str, message: str) -> str | None:
    """Return in one line the versions that Ray's message has on several lines; None for another message.

    Args:
        address: the address of the cluster.
        message: the message of Ray's error, first with the versions of the cluster, then with those of this process.
    """
    versions = re.findall(r"Ray: (\S+)\s+Python: (\S+)", message)
    if "version mismatch" not in message.lower() or len(versions) != 2:
        return None
    (ray, python), (own_ray, own_python) = versions
    return (
        f"the Ray cluster at {address} runs Ray {ray} with Python {python}, this machine Ray {own_ray} with Python "
        f"{own_python}: use the same Ray and Python, down to the patch release"
    )
