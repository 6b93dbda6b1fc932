"""Made off-topic questions: questions on many topics, of which a collection answers few or none.

A few labels of off-topic questions do not say how similar such questions can be to a collection. So a fit also sees
questions that were written for this purpose. They bound the null key from below, and are not among the labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from softkv_service.retrieval.calibration.profile import Profiles

Array = np.ndarray[Any, Any]

MIN_OFF_TOPIC = 20
"""With fewer questions that are off-topic, the collection is about nearly everything, and they bound nothing."""

REACH = 2.75
"""The standard deviations above the median up to which a question is similar to a collection by chance."""

UPPER_SHARE = 0.84
"""The share of a normal distribution that lies below one standard deviation above its median."""

ROUNDING = 1e-9
"""The logit by which the null key is heavier than an off-topic question's documents."""


@dataclass(frozen=True)
class OffTopic:
    """Made off-topic questions, and the null key beside them as the collection is served.

    Attributes:
        profiles: the profiles of m questions.
        served: float64[m], the logit of the null key at the collection's temperature; −∞ without one.
    """

    profiles: Profiles
    served: Array

    @classmethod
    def choose(cls, profiles: Profiles, served: Array, auto: Array, temperature: int) -> OffTopic | None:
        """Leave out the questions that the collection may answer; None if fewer than MIN_OFF_TOPIC remain.

        The questions that the null key `auto` outweighs show how similar a question is by chance: their documents' log
        weight has a median and an upper deviation. A question that is more similar than that is about the collection.

        Args:
            profiles: the profiles of all made questions.
            served: float64[m], see `served` of this class.
            auto: float64[m], the logits of the null key `auto`.
            temperature: the index of the temperature without a calibration, at which they are compared.
        """
        partition = profiles.log_partition[:, 0, temperature]
        refused = partition[partition <= auto]
        if len(refused) < MIN_OFF_TOPIC:
            return None
        median, upper = np.quantile(refused, [0.5, UPPER_SHARE])
        off_topic = partition <= median + REACH * (upper - median)
        return cls(profiles.of(off_topic), served[off_topic])

    def at(self, temperature: float) -> OffTopic:
        """Return the same questions at one temperature alone, the nearest in the tables."""
        return OffTopic(self.profiles.at(temperature), self.served)

    def of(self, chosen: Array) -> OffTopic:
        """Return some of the questions, bool[m]."""
        return OffTopic(self.profiles.of(chosen), self.served[chosen])

    def least_log_count(self, cell: tuple[int, int]) -> float:
        """Return the least log weight of a null key that outweighs the documents for all questions but one.

        Args:
            cell: the indices of λ (weight of full text) and of the temperature in the profiles.
        """
        return float(np.partition(self.profiles.log_partition[:, *cell], -2)[-2]) + ROUNDING
