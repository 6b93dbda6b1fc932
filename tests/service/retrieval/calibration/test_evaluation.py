"""The figures of a fit are for questions that it has not seen, and do not depend on chance."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from softkv_service.retrieval.calibration import Curve, Gain, evaluate, evaluate_reranked
from softkv_service.retrieval.calibration.abstention import KEPT
from softkv_service.retrieval.calibration.evaluation import Bought, Metric, calibration_error, label_losses, log_losses
from softkv_service.retrieval.calibration.fit import FOLDS, Fit, Outcomes, assign_folds, fit_temperature
from softkv_service.retrieval.labels.calibrate import _explain_no_gain
from tests.service.retrieval.calibration.making import drawn

PROFILES = drawn(400, 7)
ORDER = np.random.default_rng(0).permutation(400)


def test_both_kinds_are_dealt_out_evenly_and_a_group_is_in_one_fold():
    folds = assign_folds(ORDER, PROFILES.present)
    for kind in (PROFILES.present, ~PROFILES.present):
        assert np.bincount(folds[kind]).tolist() == [40] * FOLDS
    folds = assign_folds(ORDER % 130, PROFILES.present)
    assert all(len(set(folds[group == ORDER % 130])) == 1 for group in range(130))
    assert np.bincount(folds).min() > 70


def test_each_question_is_judged_by_a_fit_to_the_others():
    evaluation = evaluate(PROFILES, ORDER, np.full(400, -math.inf))
    folds = assign_folds(ORDER, PROFILES.present)
    losses, unlikely, constant = np.empty(400), np.empty(400), np.empty(400)
    for fold in range(FOLDS):
        training, held_out = PROFILES.of(folds != fold), PROFILES.of(folds == fold)
        fit = Fit.of(training, (0, fit_temperature(training)))
        outcomes = fit.predict(held_out)
        losses[folds == fold], unlikely[folds == fold] = log_losses(outcomes), label_losses(outcomes)
        share = (Outcomes.current(training, -math.inf).right.sum() + 0.5) / (len(training.present) + 1)
        constant[folds == fold] = -np.log(np.where(outcomes.right, share, 1 - share))
    assert not evaluation.keeps_null
    assert evaluation.log_loss == evaluation.after.log_loss.value == pytest.approx(losses.mean())
    assert evaluation.constant == pytest.approx(constant.mean())
    served = Outcomes.current(PROFILES, -math.inf)
    assert evaluation.gain.log_loss.value == pytest.approx((log_losses(served) - losses).mean())
    assert evaluation.gain.label_loss.value == pytest.approx((label_losses(served) - unlikely).mean())
    assert label_losses(served)[~PROFILES.present] == pytest.approx(-math.log(1e-6))
    assert evaluation.gains
    assert evaluation.after.ece.value < evaluation.before.ece.value
    assert evaluation == evaluate(PROFILES, ORDER, np.full(400, -math.inf))


def test_words_are_taken_where_they_gain():
    with_words = evaluate(drawn(200, 8, words=True), ORDER[:200], np.zeros(200))
    assert with_words.words is not None
    assert with_words.after_words is not None
    assert with_words.after_words.mrr.value >= with_words.after.mrr.value
    assert evaluate(PROFILES, ORDER, np.zeros(400)).words is None


def test_temperature_and_null_key_stay_unless_others_gain():
    # The current weights are the chances by which the right ones were drawn, and the null key's is a half.
    profiles = drawn(120, 9, own=0.06)
    fit = Fit.of(profiles, (0, profiles.own_index))
    served = np.full(120, fit.log_count)
    evaluation = evaluate(profiles, ORDER[:120], served)
    assert evaluation.keeps_null
    assert evaluation.gains
    assert evaluation.plain.cell == (0, profiles.own_index)
    assert not evaluate(profiles, ORDER[:120], served, evaluation.plain.variant).gains, "it gains nothing on itself"
    assert not evaluate(profiles, ORDER[:120], np.full(120, fit.log_count + 5)).keeps_null
    refitted = evaluate(profiles, ORDER[:120], served, evaluation.plain.variant, may_keep_null=False)
    assert not refitted.keeps_null, "the calibrated null key is fitted anew with its curve"


def test_a_curve_of_weights_that_say_nothing_is_not_kept():
    profiles = drawn(60, 3)
    masses = ("best", "log_partition", "right")
    alike = replace(profiles, **{name: np.zeros_like(getattr(profiles, name)) for name in masses})
    served = np.full(60, Fit.of(alike, (0, alike.own_index)).log_count)
    judged = [evaluate(alike, np.random.default_rng(seed).permutation(60), served) for seed in range(20)]
    assert sum(one.gains for one in judged) <= 2
    refused = next(one for one in judged if not one.gains)
    assert "if every confidence is the share that was right: wanted it lower" in _explain_no_gain(refused)
    assert replace(refused, keeps_null=False).gains


def test_labels_of_another_collection_are_not_kept():
    found = evaluate(PROFILES, ORDER, np.zeros(400)).found
    assert found[0] <= found[1] == PROFILES.present.sum()
    strange = replace(PROFILES, rank=PROFILES.rank + 1)
    judged = evaluate(strange, ORDER, np.zeros(400))
    assert judged.log_loss < judged.constant or not judged.keeps_null
    assert not judged.gains
    assert _explain_no_gain(judged).startswith(f"the first match is right for 0 of {found[1]} questions with an answer")


def test_the_sentence_counts_answers_and_wrong_ones_among_a_hundred():
    outcomes = evaluate(PROFILES, ORDER, np.zeros(400)).plain.predict(PROFILES)
    confidence, right = np.repeat([0.9, 0.3], 200), np.arange(400) >= 20
    fixed = replace(outcomes, confidence=confidence, right=right, none=np.zeros(400, dtype=np.bool_))
    bought = Bought.measure(fixed)
    assert bought.answered == 0.5
    # Of 200 answers 20 are wrong: scipy.stats.binomtest(20, 200).proportion_ci(0.9) is 0.0674 to 0.1420.
    assert bought.wrong == pytest.approx((0.0337, 0.0710), abs=1e-4)
    assert bought.sentence.endswith("of 100 such questions, 50 are answered, 3 to 7 of them wrongly")
    assert Bought.measure(replace(fixed, confidence=np.full(400, 0.779))).sentence.startswith("with min_confidence 0.7")
    few = Bought.measure(replace(fixed, confidence=np.where(np.arange(400) < 9, 0.9, 0.41)))
    assert few.sentence.endswith("hardly a confidence above 0.5")
    assert Bought.measure(replace(fixed, confidence=np.full(400, 0.41))).sentence.endswith("above 0.41")


def test_the_figures_before_a_fit_are_those_of_the_stored_calibration():
    stored = Fit.of(PROFILES, (0, PROFILES.own_index))
    evaluation = evaluate(PROFILES, ORDER, np.full(400, stored.log_count), stored.variant)
    outcomes = stored.predict(PROFILES)
    assert evaluation.before.log_loss.value == pytest.approx(log_losses(outcomes).mean())
    bad = replace(stored.variant, curve=Curve(0.2, 0.05, 0.0, 0.0, -3.0))
    assert evaluate(PROFILES, ORDER, np.full(400, stored.log_count), bad).gains


@pytest.mark.parametrize(
    ("gained", "surer", "is_better"),
    [
        ((0.48, 0.18), (-0.081, 0.036), True),
        ((0.1, 0.11), (-0.01, 0.02), False),
        ((-0.1, 0.06), (0.05, 0.02), True),
        ((-0.13, 0.06), (0.05, 0.02), False),
    ],
)
def test_a_calibration_is_replaced_if_a_loss_falls(gained, surer, is_better):
    gain = Gain(Metric(*gained), Metric(*surer))
    changed = replace(evaluate(PROFILES, ORDER, np.zeros(400)), gain=gain, replaces=True)
    assert changed.gains is is_better
    if not is_better:
        reason = _explain_no_gain(changed)
        assert reason.startswith(f"label_loss {'rose' if gained[0] < 0 else 'fell'} by {abs(gained[0]):.4f}")


def test_the_calibration_error_is_that_of_bins_of_equal_size_in_any_order_of_ties():
    random = np.random.default_rng(3)
    confidence = random.random(95)
    right = random.random(95) < confidence**2
    pairs = np.array(sorted(zip(confidence, right, strict=True)))
    total = sum(abs(np.subtract(*part.sum(axis=0))) for part in np.array_split(pairs, 10))
    assert calibration_error(confidence, right) == pytest.approx(total / 95)
    ties, half = np.full(100, 0.5), np.arange(100) < 50
    assert calibration_error(ties, half) == calibration_error(ties, half[::-1]) == 0


def test_refusals_are_counted_with_and_without_an_answer():
    for null_logit, share in ((1e3, 1.0), (-np.inf, 0.0)):
        before = evaluate(PROFILES, ORDER, np.full(400, null_logit)).before
        assert (before.none_right.value, before.none_wrong.value) == (share, share)
    after = evaluate(PROFILES, ORDER, np.zeros(400)).after
    assert after.none_wrong.value == pytest.approx(1 - KEPT, abs=0.03)


@pytest.mark.parametrize("informs", [True, False])
def test_a_reranker_that_ranks_no_better_still_informs_the_confidence(informs):
    one = PROFILES.at(0.06)
    right = one.rank[:, 0, 0] == 1
    said = np.random.default_rng(6).normal(np.where(right, 2.0, -2.0) if informs else np.zeros(400))
    # Its weight changes nothing: all columns of the tables are the first.
    tables = {
        name: np.repeat(getattr(one, name)[:, :1], 5, axis=1) for name in ("log_partition", "best", "right", "rank")
    }
    scored = replace(one, **tables, score=np.tile(said[:, None, None], (1, 5, 1)))
    fit, after, _ = evaluate_reranked(scored, ORDER)
    assert (fit is not None) is informs
    if informs:
        assert fit.cell[0] == 0, "its weight is 0"
        assert fit.variant.curve.score_slope > 0.5
        assert after.log_loss.value < evaluate(PROFILES, ORDER, np.zeros(400)).after.log_loss.value
        moved = replace(scored, score=scored.score + 1)
        assert (fit.predict(moved).confidence >= fit.predict(scored).confidence).all()
