"""What can go wrong in the lab; the message says what was wanted, what came and what to do."""

from __future__ import annotations


class LabError(Exception):
    """The root of this room's errors."""


class LabBusy(LabError):
    """Another model is being trained: one is at a time."""


class LibraryNeeded(LabError):
    """Training wants torch, which this installation leaves out."""


class ModelNotTrained(LabError):
    """There is no model of that id, or no longer."""


class NotLearnable(LabError):
    """A task that the model cannot learn."""


class UnreadableSource(LabError):
    """A model was given what its task does not have."""


class TrainingFailed(LabError):
    """The process that trained ended without a model."""
