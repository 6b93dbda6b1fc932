"""Refits: calibrations follow the feedback that comes after them, in the background.

When enough feedback has come since a fit, the service fits to all feedback and compares both on held-out questions. The
result stands in the calibration. If it was applied with "auto", a better fit replaces it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import structlog

from service.encoding import EncodingError
from service.retrieval.calibration import Calibration, Refit
from service.retrieval.collections import Catalogue
from service.retrieval.errors import CollectionConflict, CollectionNotFound, InvalidContent, RetrievalError
from service.retrieval.labels.calibrate import MAX_RERANKED_LABELS, CalibrationResult, calibrate_collection
from service.scheduling import CALLER, READS, WRITES
from service.storage.errors import StorageError, StoreClosed
from service.storage.instants import SECOND
from service.storage.records import CollectionRecord

log = structlog.get_logger("softkv")

MIN_RECORDS = 50
"""The least number of new records of feedback before a refit."""

LABELS_PER_RECORD = 5
"""A calibration of n labels is compared after n / 5 new records, if that is more."""

MAX_REFIT_LABELS = 2000
"""The most questions of a refit, the latest, so that its work is bounded."""


@dataclass(frozen=True)
class _Due:
    """A calibration to compare with a new fit; `missing` is the number of records until then, 0 if it is due."""

    record: CollectionRecord
    calibration: Calibration
    missing: int


class Refits:
    """The refits of a service; one runs at a time.

    Args:
        catalogue: the collections of the service.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._wake = asyncio.Event()
        self._waiting: dict[str, None] = {}
        self._missing: dict[str, int] = {}  # records until the next look, by collection; 0 if that is unknown

    def notice(self, name: str, records: int) -> None:
        """Take note of new feedback of a collection, and wake the refit if there may be enough."""
        self._missing[name] = self._missing.get(name, 0) - records
        if self._missing[name] <= 0:
            self._waiting[name] = None
            self._wake.set()

    async def run(self) -> None:
        """Refit calibrations as feedback comes, until this is cancelled or the store is closed."""
        CALLER.set("")  # its texts and scans come after those of every caller
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                name = next(iter(self._waiting))
                del self._waiting[name]
                try:
                    await self.look(name)
                except StoreClosed:
                    return
                except (RetrievalError, StorageError, EncodingError, MemoryError, TimeoutError) as error:
                    # The next feedback tries again.
                    log.warning("a refit failed", collection=name, reason=str(error) or type(error).__name__)
                    self._missing.pop(name, None)

    async def look(self, name: str) -> None:
        """Refit the calibration of a collection if enough feedback has come since the last comparison."""
        due = await READS.run(self._find, name)
        if due is None:
            self._missing[name] = MIN_RECORDS
            return
        self._missing[name] = due.missing
        if due.missing:
            return
        now, mode = self._catalogue.clock() / SECOND, due.calibration.refit.mode
        reranker, max_labels = due.calibration.terms.reranker, MAX_REFIT_LABELS
        if reranker is not None and reranker.model not in self._catalogue.encoders.rerankers:
            reranker = None  # the service lacks it by now
        if reranker is not None:
            max_labels = min(max_labels, MAX_RERANKED_LABELS // reranker.depth)
        try:
            result = await calibrate_collection(
                self._catalogue,
                name,
                (),
                source="feedback",
                now=now,
                apply=mode == "auto",
                refit=mode,
                max_labels=max_labels,
                reranker=reranker,
            )
        except CollectionConflict:
            return  # a caller has changed it meanwhile
        except InvalidContent as error:  # too few labels follow from it
            tried = Refit(mode, now, reason=str(error))
        else:
            log.info("compared a calibration with a fit to feedback", collection=name, applied=result.applied)
            if result.applied:
                return
            tried = _describe(result, due.calibration.refit, now)
        changes = {"calibration": replace(due.calibration, refit=tried).text()}
        try:
            await WRITES.run(lambda: self._catalogue.change(name, changes, of=due.record))
        except CollectionConflict:
            return

    def _find(self, name: str) -> _Due | None:
        """Return whether a comparison is due; None if the collection is not calibrated, or was deleted."""
        try:
            collection = self._catalogue.collection(name)
        except CollectionNotFound:
            return None
        with collection.reading() as (record, reader):
            calibration = Calibration.read(record.settings.calibration)
            if calibration is None:
                return None
            needed = max(MIN_RECORDS, (calibration.present + calibration.absent) // LABELS_PER_RECORD)
            since = max(calibration.at or 0.0, calibration.refit.tried or 0.0) * SECOND
            newest = reader.feedback(record.id, limit=needed, newest_first=True)
        return _Due(record, calibration, needed - sum(one.at > since for one in newest))


def _describe(result: CalibrationResult, before: Refit, now: float) -> Refit:
    gain = result.assessed.gain
    return Refit(before.mode, now, gain.label_loss.pair, gain.log_loss.pair, result.reason)
