"""Soft nearest neighbours for scikit-learn: every training row votes with its attention weight.

    from softkv_attention.estimators import SoftNeighborsClassifier

    model = SoftNeighborsClassifier().fit(rows, labels)
    model.predict_proba(others)

A prediction is Σ weight·target over all training rows, with the softmax weights of `softkv_attention.lookup`. With the
Gaussian similarity this is kernel regression of bandwidth √T (Nadaraya 1964, Watson 1964), with cosine or dot products
soft nearest neighbours. At temperature 0 the nearest row answers, at a high temperature the mean of all rows. Without a
temperature, `fit` chooses the one that predicts training rows best from all others (leave one out).

It needs scikit-learn, which the extra `sklearn` of softkv-core has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softkv_attention import check_temperature
from softkv_attention.arrays import F64, I64
from softkv_attention.errors import ParameterError
from softkv_attention.lookup import Memory, Question, Weights, answers, attend, similarities_of, weighted_quantiles

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import Tags
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
except ModuleNotFoundError as error:
    message = "softkv_attention.estimators needs scikit-learn, which is not installed: install `softkv-core[sklearn]`"
    raise ImportError(message, name=error.name) from error

SAMPLE = 1000
"""The most training rows that `fit` predicts from the others."""

FACTORS = np.exp2(np.arange(-16, 6))
"""The temperatures that `fit` compares, times the median distance of a row's mean similarity from its best."""

AT_ONCE = 2**22
"""The most similarities that are in memory at once, or weights of all rows for several queries."""

LEAST_PROBABILITY = 1e-6
"""A smaller probability of the right class counts as this one, so that no single row decides the temperature."""


class _SoftNeighbors(BaseEstimator):  # type: ignore[misc]
    """A memory of the training rows, at a temperature."""

    def __init__(self, temperature: float | None = None, similarity: str = "gaussian", random_state: int = 0) -> None:
        self.temperature = temperature
        self.similarity = similarity
        self.random_state = random_state

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or a file has: not the memory, which is made again."""
        return {name: value for name, value in super().__getstate__().items() if name != "_memory"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_keys" in state:
            self._memory = Memory.of(self._keys, self._targets, similarity=self._similarity)

    def _remember(self, rows: F64, targets: F64, *, classes: bool) -> None:
        """Store the rows with their targets, and choose the temperature.

        Args:
            rows: float64[n, d].
            targets: float64[n, t]: a class's indicators, or the numbers to predict.
            classes: whether the targets are indicators of classes.
        """
        self._keys, self._targets, self._similarity = rows.astype(np.float32), targets, self.similarity
        self._memory = Memory.of(self._keys, targets, similarity=self._similarity)
        if self.temperature is None:
            self.temperature_ = self._choose_temperature(rows, classes=classes)
        else:
            self.temperature_ = check_temperature(self.temperature)

    def _choose_temperature(self, rows: F64, *, classes: bool) -> float:
        """Return the temperature at which a sample of the rows is predicted best from all other rows."""
        if len(rows) < 2:
            return 1.0
        sample, losses, scale = self._sample(len(rows)), np.zeros(len(FACTORS)), None
        for part, similarities in self._similarities_of_others(rows, sample):
            if scale is None:
                scale = float(np.median(_mean_gaps(similarities))) or 1.0
            for i, temperature in enumerate(scale * FACTORS):
                predicted = _weigh(similarities, temperature) @ self._targets
                losses[i] += _loss(predicted, self._targets[part], classes=classes)
        assert scale is not None
        return float(scale * FACTORS[np.argmin(losses)])

    def _sample(self, rows: int) -> I64:
        """Return which training rows are predicted from the others."""
        if rows <= SAMPLE:
            return np.arange(rows)
        return np.sort(np.random.default_rng(self.random_state).choice(rows, SAMPLE, replace=False))

    def _similarities_of_others(self, rows: F64, sample: I64) -> Iterator[tuple[I64, F64]]:
        """Yield rows of the sample with float64[s, n], their similarity to every row: −∞ to themselves."""
        step = max(1, AT_ONCE // len(rows))
        for start in range(0, len(sample), step):
            part = sample[start : start + step]
            similarities = np.array(similarities_of(self._memory.view, rows[part]).similarities)
            similarities[np.arange(len(part)), part] = -np.inf
            yield part, similarities

    def _predict_targets(self, rows: ArrayLike) -> F64:
        """Return float64[m, t], Σ weight·target over all training rows."""
        check_is_fitted(self)
        queries = validate_data(self, rows, dtype=np.float64, reset=False)
        step, predicted = 4096, list[F64]()
        for start in range(0, len(queries), step):
            batch = attend(queries[start : start + step], self._memory, temperature=self.temperature_, top_k=0)
            predicted += [answer.output for answer in batch]
        return np.array(predicted)

    def _weigh_rows(self, queries: F64) -> Iterator[Weights]:
        """Yield for each query the weight of every training row."""
        step = max(1, AT_ONCE // len(self._targets))
        for start in range(0, len(queries), step):
            questions = [
                Question(query, self.temperature_, top_k=0, output=False, weigh_all=True)
                for query in queries[start : start + step]
            ]
            for answer in answers(self._memory, questions):
                assert answer.all_weights is not None
                yield answer.all_weights


class SoftNeighborsClassifier(ClassifierMixin, _SoftNeighbors):  # type: ignore[misc]
    """Classify by the attention weight of each class's training rows.

    Parameters
    ----------
    temperature : float or None
        0, or from 1e-30 to infinity; None to choose it in `fit` by leaving one row out.
    similarity : str
        gaussian, cosine, dot or scaled_dot. The Gaussian wants columns of one scale, as after `StandardScaler`.
    random_state : int
        The seed of the sample of training rows that `fit` predicts, if there are more than 1,000.

    Attributes
    ----------
    classes_ : array[c]
        The classes, in the order of the columns of `predict_proba`.
    temperature_ : float
        The temperature in use.
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Store the rows X, float[n, d], with their labels y, [n], and choose the temperature.

        Raises:
            ParameterError: the similarity is unknown, or not defined for a row: cosine is not for zero vectors.
            ValueError: rows or labels are not what scikit-learn takes.
        """
        rows, labels = validate_data(self, X, y, dtype=np.float64)
        labels = column_or_1d(labels, warn=True)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        self._remember(rows, np.eye(len(self.classes_))[codes], classes=True)
        return self

    def predict_proba(self, X: ArrayLike) -> F64:
        """Return float64[m, c] for X, float[m, d]: the weight of each class's training rows; each row sums to one."""
        weights = np.maximum(self._predict_targets(X), 0)
        probabilities: F64 = weights / weights.sum(axis=1, keepdims=True)
        return probabilities

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the heaviest class of each row of X, float[m, d]; the first of `classes_` if several tie."""
        probabilities = self.predict_proba(X)
        predicted: NDArray[Any] = self.classes_[np.argmax(probabilities, axis=1)]
        return predicted


class SoftNeighborsRegressor(RegressorMixin, _SoftNeighbors):  # type: ignore[misc]
    """Predict numbers by the mean of all training rows, each with its attention weight; and intervals.

    Parameters and attributes are those of `SoftNeighborsClassifier`, without `classes_`.
    """

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Store the rows X, float[n, d], with their targets y, float[n] or float[n, t], and choose the temperature.

        Raises:
            ParameterError: the similarity is unknown, or not defined for a row: cosine is not for zero vectors.
            ValueError: rows or targets are not what scikit-learn takes.
        """
        rows, numbers = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        numbers = np.asarray(numbers, dtype=np.float64)
        self._one_target = numbers.ndim == 1
        numbers = numbers.reshape(len(rows), -1)
        # Values are kept as float32, so they are stored around their mean and in units of their spread.
        self._center, spread = numbers.mean(axis=0), numbers.std(axis=0)
        self._scale = np.where(spread > 0, spread, 1.0)
        self._remember(rows, (numbers - self._center) / self._scale, classes=False)
        self._levels = self._rank_sample(rows)
        return self

    def _rank_sample(self, rows: F64) -> F64:
        """Return float64[s, t]: how far the rank of each sampled target among all others lies from the middle.

        A rank is the weight of smaller targets, and half that of equal ones, as a share: the middle is ½.
        """
        if len(rows) < 2:
            return np.full((1, self._targets.shape[1]), 0.5)
        distances = list[F64]()
        for part, similarities in self._similarities_of_others(rows, self._sample(len(rows))):
            for row, target in zip(_weigh(similarities, self.temperature_), self._targets[part], strict=True):
                smaller, equal = self._targets < target, self._targets == target
                distances.append(np.abs(row @ smaller + row @ equal / 2 - 0.5))
        return np.array(distances)

    def predict(self, X: ArrayLike) -> F64:
        """Return for each row of X, float[m, d], the weighted mean of all targets, with the shape of y in `fit`."""
        predicted: F64 = self._predict_targets(X) * self._scale + self._center
        return predicted[:, 0] if self._one_target else predicted

    def predict_interval(self, X: ArrayLike, coverage: float = 0.9) -> F64:
        """Return intervals that contain the target with about this probability.

        Their ends are quantiles of all training targets by weight. Their levels are those within which this share of
        the training rows lay when they were predicted from all others.

        Args:
            X: float[m, d].
            coverage: above 0 and below 1.

        Returns:
            float64[m, 2], the lower and the upper end; float64[m, t, 2] for several targets.

        Raises:
            ParameterError: the coverage is out of its range.
        """
        if not 0 < coverage < 1:
            raise ParameterError(f"coverage must be above 0 and below 1, got {coverage!r}")
        check_is_fitted(self)
        queries = validate_data(self, X, dtype=np.float64, reset=False)
        count = len(self._levels)
        needed = min(count, int(np.ceil(coverage * (count + 1)))) - 1
        half = np.sort(self._levels, axis=0)[needed]
        ends = [
            [_interval(column, weights, level) for column, level in zip(self._targets.T, half.tolist(), strict=True)]
            for weights in self._weigh_rows(queries)
        ]
        intervals: F64 = np.array(ends) * self._scale[:, None] + self._center[:, None]
        return intervals[:, 0] if self._one_target else intervals


def _weigh(similarities: F64, temperature: float) -> F64:
    """Return softmax weights float64[s, n]; a row with the similarity −∞ has none at any temperature."""
    gaps = similarities - similarities.max(axis=1, keepdims=True)
    present = np.isfinite(gaps)
    weights = np.exp(np.where(present, gaps, 0) / temperature) * present if temperature else np.float64(gaps == 0)
    normalised: F64 = weights / weights.sum(axis=1, keepdims=True)
    return normalised


def _mean_gaps(similarities: F64) -> F64:
    """Return float64[s], the mean distance of each row of float64[s, n] from its largest, without its one −∞."""
    gaps = similarities.max(axis=1, keepdims=True) - similarities
    means: F64 = np.where(np.isfinite(gaps), gaps, 0).sum(axis=1) / (gaps.shape[1] - 1)
    return means


def _interval(targets: F64, weights: Weights, half: float) -> tuple[float, float]:
    """Return the quantiles of the targets at ½ − half and ½ + half, each at the far end of what the bound allows."""
    levels = np.array([0.5 - half, 0.5 + half])
    lower, upper = weighted_quantiles(targets, weights.weights, levels, weights.total_variation)
    return lower.at_least, upper.at_most


def _loss(predicted: F64, right: F64, *, classes: bool) -> float:
    """Return the sum over all rows of −ln of the right class's probability, or of the squared error."""
    if not classes:
        return float(np.square(predicted - right).sum())
    return float(-np.log(np.maximum((predicted * right).sum(axis=1), LEAST_PROBABILITY)).sum())
