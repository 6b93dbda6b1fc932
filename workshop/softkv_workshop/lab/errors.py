"""Errors of the lab; the message says what was expected, what came, and what to do."""

from __future__ import annotations


class LabError(Exception):
    """Base class of the lab's errors."""


class LabClosed(LabError):
    """The caller may only read, but only callers that may write can train models in the lab."""


class LabBusy(LabError):
    """The lab already trains a model, and it trains one at a time."""


class LibraryNeeded(LabError):
    """Training needs torch, which is not installed."""


class ModelNotTrained(LabError):
    """The lab has no model with this id, or no longer keeps it."""


class NotLearnable(LabError):
    """The chosen model cannot learn this task."""


class UnreadableSource(LabError):
    """The source is invalid for the model's task."""


class TrainingFailed(LabError):
    """The process that trains ended without a model."""
