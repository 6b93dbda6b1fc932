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
        reason: why it is not worth keeping; None where it is.
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

    @property
    def would_apply(self) -> bool:
        """Whether it gains enough to be kept: it is, or `apply=True` keeps it."""
        return self.reason is None

    def explain(self) -> str:
        """The figures before and after, a line each with its standard error, and whether it is kept."""
        columns = {"before": self.before, "after": self.after}
        if self.after_words is not None:
            columns["after_words"] = self.after_words
        rows = [("", *columns), *((name, *(_figure(each[name]) for each in columns.values())) for name in self.before)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
        fell = [f"{name} fell by {_figure(figure)}" for name, figure in self.gained.items()]
        return "\n".join([*table, ", ".join(fell), self._kept()])

    def __repr__(self) -> str:
        questions = sum(self.labels.values())
        fell = ", ".join(f"{name} fell by {_figure(figure)}" for name, figure in self.gained.items())
        return f"<Calibration of {questions:,} questions, {fell}, {self._kept()}>"

    def _kept(self) -> str:
        if self.reason is not None:
            return f"not applied: {self.reason}"
        return "applied" if self.applied else "not applied: apply=True keeps it"


def _figure(figure: Mapping[str, float | None]) -> str:
    value, error = figure["value"], figure["error"]
    return "–" if value is None or error is None else f"{value:.3f} ± {error:.3f}"


def kept_calibration(content: Mapping[str, Any] | None) -> KeptCalibration | None:
    """What a collection keeps, where there is any; a service that is older says nothing of it."""
    return None if content is None else KeptCalibration.read(content)
