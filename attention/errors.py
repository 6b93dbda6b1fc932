"""What the core refuses, and why. Each message says what was wanted, what came and what to do."""

from __future__ import annotations


class AttentionError(ValueError):
    """The root of everything this room raises."""


class ShapeError(AttentionError):
    """Arrays whose widths, lengths or leading dimensions do not fit one another."""


class ParameterError(AttentionError):
    """A name, number or kind of array that the call cannot take."""
