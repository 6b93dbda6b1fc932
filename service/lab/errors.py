"""Errors of the lab; the message says what was expected, what came, and what to do."""

from __future__ import annotations


class LabError(Exception):
    """Base class of the lab's errors."""


class LabBusy(LabError):
    """The lab already trains a model, and it trains one at a time."""


class LibraryNeeded(LabError):
    """Training needs torch, which this installation leaves out."""


class ModelNotTrained(LabError):
    """The lab has no model with this id, or no longer keeps it."""


class NotLearnable(LabError):
    """A task that the chosen model cannot learn."""


class UnreadableSource(LabError):
    """A source that is invalid for the model's task."""


class TrainingFailed(LabError):
    """The process that trains ended without a model."""
