"""The settings of a calibrated collection from before its calibration, with which a new calibration is compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attention.lookup import Background
from service.encoding import EncoderFacts, Encoders
from service.retrieval.calibration import Calibration, PreviousWeighting, null_logit
from service.retrieval.collections import NullChoice, NullKey, Snapshot, get_null_encoder, resolve_null
from service.storage.records import CollectionRecord


def read_previous(record: CollectionRecord) -> tuple[float, NullChoice] | None:
    """Return the temperature and the null key that a collection has without its calibration; None if it has none."""
    settings = record.settings
    stored = Calibration.read(settings.calibration)
    return None if stored is None else stored.undo(settings.temperature, settings.null)


@dataclass(frozen=True)
class PreviousSettings:
    """The temperature and the null key of a collection without its calibration.

    Attributes:
        temperature: the temperature.
        null: the null key.
        encoder: the result of `get_null_encoder` for this null key.
    """

    temperature: float
    null: NullChoice
    encoder: EncoderFacts | None

    @classmethod
    async def read(cls, encoders: Encoders, record: CollectionRecord) -> PreviousSettings | None:
        """Return the settings that a collection has without its calibration; None if it is not calibrated."""
        previous = read_previous(record)
        if previous is None:
            return None
        return cls(*previous, await get_null_encoder(encoders, record, previous[1]))

    def resolve(self, snapshot: Snapshot) -> NullKey:
        """Return the null key in a version of the collection."""
        return resolve_null(snapshot.record, snapshot.own, self.null, self.encoder)

    def with_nulls(self, nulls: Sequence[float | Background | None], keys: int) -> PreviousWeighting:
        """Pair the previous settings with the null key of each question.

        Args:
            nulls: the null key beside each question.
            keys: the number of keys that queries attend to.
        """
        return PreviousWeighting(
            self.temperature, np.array([null_logit(null, self.temperature, keys) for null in nulls])
        )
