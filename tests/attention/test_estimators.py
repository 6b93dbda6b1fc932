"""Soft nearest neighbours as scikit-learn runs them, against sums that are written out here."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from softkv_attention.errors import ParameterError
from softkv_attention.estimators import SoftNeighborsClassifier, SoftNeighborsRegressor
from softkv_attention.similarity import SIMILARITIES


@parametrize_with_checks([SoftNeighborsClassifier(), SoftNeighborsRegressor()])
def test_scikit_learn_takes_the_estimators(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def points():
    random = np.random.default_rng(0)
    rows = random.standard_normal((120, 3))
    return rows, np.sin(rows[:, 0]) + 0.1 * random.standard_normal(120), random.standard_normal((7, 3))


def weigh(similarity, queries, rows, temperature):
    logits = SIMILARITIES[similarity](queries, rows.astype(np.float32).astype(np.float64)) / temperature
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("similarity", list(SIMILARITIES))
def test_predictions_are_sums_by_weight(points, similarity):
    rows, targets, queries = points
    weights = weigh(similarity, queries, rows, 0.3)
    model = SoftNeighborsRegressor(0.3, similarity).fit(rows, targets)
    np.testing.assert_allclose(model.predict(queries), weights @ targets, atol=1e-6)
    labels = np.where(targets > 0, "above", "below")
    classifier = SoftNeighborsClassifier(0.3, similarity).fit(rows, labels)
    of_above = weights @ (targets > 0)
    np.testing.assert_allclose(classifier.predict_proba(queries)[:, 0], of_above, atol=1e-6)
    assert classifier.predict(queries).tolist() == np.where(of_above >= 0.5, "above", "below").tolist()


def test_temperature_0_is_the_nearest_row_and_infinity_the_mean(points):
    rows, targets, queries = points
    nearest = np.linalg.norm(queries[:, None] - rows, axis=2).argmin(axis=1)
    np.testing.assert_allclose(
        SoftNeighborsRegressor(0.0).fit(rows, targets).predict(queries), targets[nearest], atol=1e-6
    )
    everywhere = SoftNeighborsRegressor(np.inf).fit(rows, targets).predict(queries)
    np.testing.assert_allclose(everywhere, targets.mean(), atol=1e-6)


def test_several_targets_are_predicted_as_each_alone(points):
    rows, targets, queries = points
    both = SoftNeighborsRegressor(0.3).fit(rows, np.column_stack([targets, 1e6 - targets]))
    alone = SoftNeighborsRegressor(0.3).fit(rows, targets)
    np.testing.assert_allclose(both.predict(queries)[:, 0], alone.predict(queries), atol=1e-6)
    np.testing.assert_allclose(both.predict(queries)[:, 1], 1e6 - alone.predict(queries), rtol=1e-9)
    assert both.predict_interval(queries).shape == (7, 2, 2)


def test_the_temperature_is_the_best_of_those_that_leave_one_out(points):
    rows, targets, _ = points
    model = SoftNeighborsRegressor().fit(rows, targets)

    def error(temperature):
        logits = SIMILARITIES["gaussian"](rows, rows) / temperature
        np.fill_diagonal(logits, -np.inf)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.square(weights @ targets / weights.sum(axis=1) - targets).sum()

    errors = [error(model.temperature_ * 2.0**power) for power in range(-6, 7)]
    assert errors[6] == min(errors)


def test_intervals_hold_as_many_targets_as_they_say():
    random = np.random.default_rng(1)
    rows = random.uniform(-2, 2, (1500, 1))
    targets = rows[:, 0] ** 2 + (0.1 + np.abs(rows[:, 0])) * random.standard_normal(1500)
    model = SoftNeighborsRegressor().fit(rows[:1000], targets[:1000])
    for coverage in (0.5, 0.9):
        low, high = model.predict_interval(rows[1000:], coverage).T
        share = ((low <= targets[1000:]) & (targets[1000:] <= high)).mean()
        assert share == pytest.approx(coverage, abs=0.06)
    middle, edge = np.diff(model.predict_interval([[0.0], [1.9]]))[:, 0]
    assert edge > 3 * middle  # the targets spread more there


def test_digits_are_classified():
    rows, labels = load_digits(return_X_y=True)
    model = make_pipeline(StandardScaler(), SoftNeighborsClassifier())
    assert cross_val_score(model, rows, labels, cv=3).mean() > 0.93


def test_a_copy_from_a_file_predicts_the_same(points):
    rows, targets, queries = points
    model = SoftNeighborsRegressor().fit(rows, targets)
    model.set_params(similarity="dot")  # for the next fit
    for other in (pickle.loads(pickle.dumps(model)), copy.copy(model), copy.deepcopy(model)):
        np.testing.assert_array_equal(other.predict(queries), model.predict(queries))
    assert not hasattr(clone(model), "temperature_")


def test_arguments_that_cannot_be_are_refused(points):
    rows, targets, queries = points
    with pytest.raises(ParameterError, match="similarity must be one of"):
        SoftNeighborsRegressor(similarity="near").fit(rows, targets)
    with pytest.raises(ParameterError, match="temperature"):
        SoftNeighborsRegressor(-1.0).fit(rows, targets)
    with pytest.raises(ParameterError, match="cosine"):
        SoftNeighborsRegressor(similarity="cosine").fit(np.zeros((3, 2)), [1, 2, 3])
    for coverage in (0, 1, np.nan):
        with pytest.raises(ParameterError, match="coverage must be above 0 and below 1"):
            SoftNeighborsRegressor().fit(rows, targets).predict_interval(queries, coverage)
