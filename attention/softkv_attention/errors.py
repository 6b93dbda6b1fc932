"""The errors of this package. Each message says what was expected, what the caller sent, and what to do."""

from __future__ import annotations


class AttentionError(ValueError):
    """An error in how this package is called; the base class of all its errors."""


class ShapeError(AttentionError):
    """An error for arrays whose widths, lengths or leading dimensions do not fit each other."""


class ParameterError(AttentionError):
    """An error for a name, a number or a kind of array that is invalid for the call."""
