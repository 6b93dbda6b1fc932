"""What can be wrong between a coordinator and its slots."""

from __future__ import annotations


class ClusterError(Exception):
    """The root of what this room raises."""


class SlotLost(ClusterError):
    """A slot does not answer: its process or its machine is gone, or it was never there."""


class SlotTaken(ClusterError):
    """Another machine has a slot of this name."""


class RayMissing(ClusterError):
    """Ray is not installed."""


class ClusterUnreachable(ClusterError):
    """No head answers at the address, or this machine could not join it."""


class TokenRefused(ClusterError):
    """The cluster's token is wrong, or there is none."""
