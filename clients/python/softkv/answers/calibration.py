"""What labelled questions say of a collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from softkv.record import Record


class KeptCalibration(Record):
    """What a collection keeps of a calibration; `outgrown` where it is another collection by now."""

    version: int
    documents: int
    encoder: str | None
    temperature: float
    level: float
    full_text: float
    labels: Mapping[str, int]
    outgrown: bool


class Calibration(Record):
    """What was fitted to labelled questions, and what it gains; docs/calibration.md tells of each field.

    Attributes:
        confidence: slope, slope_above, lead_slope, lead_slope_above and offset of the curve.
        conformal: promises, and the least weight of a match of each set.
        words: the same with `full_text` at what was fitted; None where that is 0.
        before, after, after_words: figures by name, each a value and its standard error.
        gained: by how much `label_loss` and `log_loss` fell, each with the standard error of that.
        reason: why it is not `applied`, where that was asked.
    """

    temperature: float
    level: float
    full_text: float
    confidence: Mapping[str, float]
    conformal: list[Mapping[str, float]]
    words: Mapping[str, Any] | None
    before: Mapping[str, Mapping[str, float | None]]
    after: Mapping[str, Mapping[str, float | None]]
    after_words: Mapping[str, Mapping[str, float | None]] | None
    gained: Mapping[str, Mapping[str, float | None]]
    labels: Mapping[str, int]
    documents: int
    encoder: str | None
    applied: bool
    reason: str | None
    took_ms: float


def kept_calibration(content: Mapping[str, Any] | None) -> KeptCalibration | None:
    """What a collection keeps, where there is any; a service that is older says nothing of it."""
    return None if content is None else KeptCalibration.read(content)
