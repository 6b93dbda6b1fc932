"""Temperature, null level and the share of the words, by greatest likelihood of "the right one, or none of these".

With Z the documents' partition, R the right ones' part of it, and the null key as heavy as n keys of similarity c,
N = n·exp(c/T), a question that has an answer has the likelihood R/(Z + N), one that has none N/(Z + N).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.retrieval.calibration.profile import Profiles

Array = np.ndarray[Any, Any]

TEMPERATURE_DEVIATION = 0.7
"""How far the fitted ln T is expected from the collection's own, as a deviation: weighs less than a question or two."""

NULL_DEVIATION = 5.0
"""How far the null key's logit is expected from that of the documents, as a deviation."""

_BISECTIONS = 60


@dataclass(frozen=True)
class FittedNull:
    """A null key fitted at one cell of the tables.

    Attributes:
        cell: of λ and T.
        log_count: ln N, in the unit of the log-partitions.
        likelihood: the logarithm of what all labels have, with what was expected beforehand.
    """

    cell: tuple[int, int]
    log_count: float
    likelihood: float

    def level(self, profiles: Profiles) -> float:
        """c, a similarity: n keys of it weigh as the null key does."""
        temperature = float(profiles.temperatures[self.cell[1]])
        return temperature * (self.log_count - math.log(max(profiles.keys, 2)))


def fit_null(profiles: Profiles, cell: tuple[int, int]) -> FittedNull:
    """The best null key where λ and T are given: the likelihood is concave in ln N, so its slope has one root."""
    partitions, absent = profiles.log_partition[:, *cell], np.count_nonzero(~profiles.present)
    middle = float(np.median(partitions))
    low, high = middle - 40.0, middle + 40.0
    for _ in range(_BISECTIONS):
        tried = (low + high) / 2
        slope = absent - _sigmoid(tried - partitions).sum() - (tried - middle) / NULL_DEVIATION**2
        low, high = (tried, high) if slope > 0 else (low, tried)
    log_count = (low + high) / 2
    likelihood = float(log_likelihoods(profiles, cell, log_count).sum()) - (log_count - middle) ** 2 / (
        2 * NULL_DEVIATION**2
    )
    return FittedNull(cell, log_count, likelihood)


def fit_temperature(profiles: Profiles) -> int:
    """The temperature, by its place, at which the labels are likeliest without words."""
    shift = np.log(profiles.temperatures / profiles.temperatures[profiles.served]) / TEMPERATURE_DEVIATION
    found = [fit_null(profiles, (0, t)).likelihood for t in range(len(shift))]
    return int(np.argmax(np.array(found) - shift**2 / 2))


def fit_full_text(profiles: Profiles, temperature: int) -> int:
    """λ, by its place, at which the labels are likeliest at a temperature."""
    found = [fit_null(profiles, (i, temperature)).likelihood for i in range(len(profiles.words))]
    return int(np.argmax(found))


def log_likelihoods(profiles: Profiles, cell: tuple[int, int], log_count: float | Array) -> Array:
    """float64[q]: of each question's label."""
    whole = np.logaddexp(profiles.log_partition[:, *cell], log_count)
    return np.asarray(np.where(profiles.present, profiles.right[:, *cell], log_count) - whole)


def _sigmoid(x: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(x / 2)))
