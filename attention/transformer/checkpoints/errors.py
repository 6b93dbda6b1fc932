"""What a checkpoint is refused for."""

from __future__ import annotations

from attention.errors import AttentionError


class CheckpointError(AttentionError):
    """A checkpoint that is missing, damaged, incomplete or not the one that was asked for."""


class UnsupportedModelError(CheckpointError):
    """A sound checkpoint of a model that this core does not compute."""
