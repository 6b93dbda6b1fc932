"""The errors of this package. Each message says what was expected, what the caller sent, and what to do."""

from __future__ import annotations


class AttentionError(ValueError):
    """The base class of all errors of this package."""


class ShapeError(AttentionError):
    """Error for arrays whose widths, lengths or leading dimensions do not fit each other."""


class ParameterError(AttentionError):
    """Error for a name, a number or a kind of array that is invalid for the call."""
