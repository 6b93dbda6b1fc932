"""A part that another process scans: its rows, and what they are as a `Part` of those that this one answers from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from attention.dtypes import F32
from attention.lookup.bounds.quantisation import quantisation_errors
from attention.lookup.memory.facts import Facts
from attention.lookup.memory.view import Mask, View
from attention.lookup.parts.gathered import Gathered, Wanted
from attention.lookup.parts.processes.asked import Asked
from attention.lookup.parts.processes.process import Process, ProcessLostError
from attention.lookup.parts.whole import Whole


@dataclass(frozen=True, eq=False)
class Elsewhere(View):
    """Rows that another process scans."""

    process: Process | None = None


class ScannedElsewhere(Whole):
    """The rows that a mask lets through. What is not a scan is read here, where the same memory is mapped."""

    def __init__(self, view: Elsewhere, mask: Mask | None, facts: Facts) -> None:
        super().__init__(view, mask, facts=facts)
        self._process = view.process

    def gathering(self, wanted: Wanted, thresholds: F32) -> Callable[[], Gathered]:
        """Have the other process begin → what waits for it; where it is lost, the scan is made here."""
        assert self._process is not None
        here = super().gathering(wanted, thresholds)
        errors = quantisation_errors(self._view, self.codes(wanted))
        asked = Asked(wanted, thresholds, errors, self.facts.key_norm)
        try:
            answer = self._process.ask(self._view, self._mask, asked)
        except ProcessLostError:
            return here

        def gathered() -> Gathered:
            try:
                return answer()
            except ProcessLostError:
                return here()

        return gathered
