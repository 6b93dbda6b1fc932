"""Answers while some rows are missing: a certificate for the whole collection, and the share that answered.

The answer itself does not change: it is that of a smaller collection. Its certificate becomes the distance from the
answer over all rows. `MissingRows` bounds the mass of the missing rows, and `cover_missing_rows` the distance. No sum
over keys rules out that one of them matches perfectly. At low temperatures that match would have all the weight, so the
bounds are then 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from softkv_attention.lookup.answer import Answer, Certificate
from softkv_attention.lookup.bounds.missing_rows import MissingRows
from softkv_attention.lookup.bounds.similarities import UNIT_ROUNDOFF, similarity_slack
from softkv_attention.lookup.codes.summary import KeySummary
from softkv_attention.lookup.memory.statistics import BlockStatistics
from softkv_attention.lookup.question import Question
from softkv_attention.lookup.softmax.distribution import SUPPORT, logistic
from softkv_attention.lookup.softmax.evidence import NullKey


@dataclass(frozen=True)
class Coverage:
    """The share of a collection that an answer covers, if some of its rows could not be read.

    Attributes:
        documents: how many documents could be read, whether they pass a filter or not.
        total: how many documents the collection has.
        min_missing_weight, max_missing_weight: bounds on the weight of all missing documents together, in the answer
            over all rows: 0 and 0 if none is missing, 0 and 1 if nothing is known.
    """

    documents: int
    total: int
    min_missing_weight: float = 0.0
    max_missing_weight: float = 0.0


@dataclass(frozen=True)
class _DistanceBound:
    """Bounds on the distance between the answer from the available rows and the one that all rows would give.

    Attributes:
        missing_low, missing_high: bounds on the weight of the missing rows in the answer from all rows.
        absent_share: a bound on the share of all mass Σ exp(logit) that is absent: the mass of the missing rows, and
            the mass that the null key gains because there are more keys.
        variation: a bound on the total variation between the two answers' weights.
    """

    missing_low: float
    missing_high: float
    absent_share: float
    variation: float


UNKNOWN = _DistanceBound(0.0, 1.0, 1.0, 1.0)


def cover_missing_rows(
    answer: Answer, question: Question, facts: BlockStatistics, missing: KeySummary | None
) -> tuple[Answer, Coverage]:
    """Return an answer from part of the rows with a certificate that holds for all rows, including the missing ones.

    The sums over the missing rows are of all of them, so an `exact` question, which is about the passing rows alone,
    has the largest possible bounds, and no bound on its output's error.

    The temperature stays; for `Auto` it is the one that was solved for without the missing rows. With `top_p` the
    answer is marked incomplete if the missing rows may have weight. With a bias the certificate says nothing: its
    bounds are the largest possible.

    Args:
        answer: the answer from the available rows.
        question: the question that it answers.
        facts: the statistics of the available rows.
        missing: sums over the keys of the missing rows, which bound their weight; None if no row is missing.

    Returns:
        The answer, and the share of the collection that it covers.
    """
    if missing is None or not missing.n:
        return answer, Coverage(facts.documents, facts.documents)
    distance = _distance(answer, question, facts, missing)
    error = answer.certificate.output_error
    if question.exact:
        error = None
    elif error is not None and answer.output is not None:
        length = float(np.sqrt(np.einsum("i,i", answer.output, answer.output)))
        output_distance = distance.absent_share * length + distance.missing_high * missing.value_norm
        error = min(error + output_distance, length + max(facts.value_norm, missing.value_norm)) * (1 + 1e-9)
    certificate = Certificate(answer.certificate.method, distance.variation, error)
    complete = answer.complete and (question.top_p is None or distance.missing_high == 0)
    documents = facts.documents + missing.documents
    coverage = Coverage(facts.documents, documents, distance.missing_low, distance.missing_high)
    return replace(answer, certificate=certificate, complete=complete), coverage


def _distance(answer: Answer, question: Question, facts: BlockStatistics, missing: KeySummary) -> _DistanceBound:
    if question.bias is not None or question.exact:
        return UNKNOWN
    rows = MissingRows.of(missing, question.vector)
    softmax, temperature = question.normaliser == "softmax", answer.temperature
    nulls = [
        question.null_key(temperature if softmax else 0.0, keys) for keys in (answer.keys, answer.keys + missing.n)
    ]
    rounding = similarity_slack(facts.similarity, question.vector, facts.key_norm).at(answer.best_similarity or 0.0)
    if softmax and temperature > 0:
        all_pass = question.mask is None and not missing.removed
        return _softmax_distance(answer, rows, rounding / temperature, nulls[0], nulls[1], all_pass=all_pass)
    if _are_without_weight(answer, question, rows, rounding, nulls[0], nulls[1]):
        return _DistanceBound(0.0, 0.0, 0.0, answer.certificate.total_variation)
    return UNKNOWN


def _softmax_distance(
    answer: Answer,
    rows: MissingRows,
    rounding: float,
    null: NullKey | None,
    full_null: NullKey | None,
    *,
    all_pass: bool,
) -> _DistanceBound:
    """Bound the distance to the answer from all rows, for softmax above temperature 0.

    Let Z be the mass Σ exp(logit) of the available rows and the null key, ω the null key's share of it, and M the mass
    of the missing rows. Let Δ be the mass that the null key gains with the number of keys, M = m·(Z + M + Δ) and M + Δ
    = c·(Z + M + Δ). The answer from all rows is 1 − c times the one from the available rows, and c times something
    else. The missing rows gain the weight m. The null key gains weight if Δ outweighs its loss: both together gain (1 −
    ω)·c. So the total variation between the two is at most max(m, (1 − ω)·c). From an answer that is itself off by τ it
    is at most that plus τ, and at most c + (1 − c)·τ.

    Args:
        answer: the answer from the available rows.
        rows: limits of the similarities of the missing rows.
        rounding: the rounding error of a logit.
        null, full_null: the null key for the number of available keys, and for the number of all keys.
        all_pass: whether all missing rows pass the mask.
    """
    temperature, known_variation = answer.temperature, answer.certificate.total_variation
    low, high = _log_masses(answer, rounding)
    extra = -math.inf
    if null is not None and full_null is not None and null != full_null:
        growth = (full_null.similarity - null.similarity) / temperature + full_null.log_count - null.log_count
        growth += 16 * UNIT_ROUNDOFF * (1 + growth + (abs(full_null.similarity) + abs(null.similarity)) / temperature)
        # ln(e^g − 1), which neither overflows nor cancels.
        log_gain = math.log(-math.expm1(-growth)) + growth if growth > 0 else -math.inf
        extra = null.logit(0.0, temperature) + log_gain
    log_missing = rows.max_log_mass(temperature)
    missing_high = _share(log_missing, low)
    absent_share = _share(float(np.logaddexp(log_missing, extra)), low)
    without_null = 1 - max(0.0, answer.null_weight - known_variation)
    variation = max(missing_high, without_null * absent_share) + known_variation
    variation = min(variation, absent_share + (1 - absent_share) * known_variation) + 8 * UNIT_ROUNDOFF
    missing_low = 0.0
    if all_pass:
        missing_low = _share(rows.min_log_mass(temperature), float(np.logaddexp(high, extra)))
    return _DistanceBound(min(missing_low, missing_high), missing_high, absent_share, min(1.0, variation))


def _share(log_mass: float, log_beside: float) -> float:
    """Return the share a/(a + b) that one mass has of two, from their logarithms.

    Args:
        log_mass, log_beside: ln a and ln b.
    """
    if math.isnan(log_mass - log_beside):  # both are 0, or both infinite
        return 1.0
    return logistic(log_mass - log_beside)


def _log_masses(answer: Answer, rounding: float) -> tuple[float, float]:
    """Return a lower and an upper bound on ln Z, the true mass Σ exp(logit) of the available rows and the null key.

    The total variation τ of the answer comes from lemma 1 or lemma 2 of `softkv_attention.lookup.bounds`. By lemma 1
    every logit is off by at most ε ≤ 2·artanh τ, and so is ln Z. By lemma 2 τ ≥ |1 − Ẑ/Z| for the computed mass Ẑ,
    which is sharper. Or one key stands out: its own logit is off by `rounding`, and τ is at least the relative weight
    of all other keys.

    Args:
        answer: the answer from the available rows.
        rounding: the rounding error of a logit.
    """
    temperature, variation = answer.temperature, answer.certificate.total_variation
    total = answer.log_partition
    if total is None or not math.isfinite(total):
        return -math.inf, math.inf if total is None else total
    best = 0.0 if answer.best_similarity is None else abs(answer.best_similarity) / temperature
    error = rounding + 1e-12 + 16 * UNIT_ROUNDOFF * (best + abs(total))
    error += 2 * math.atanh(variation) if variation < 1 else math.inf
    return total - error, total + error


def _are_without_weight(
    answer: Answer,
    question: Question,
    rows: MissingRows,
    rounding: float,
    null: NullKey | None,
    full_null: NullKey | None,
) -> bool:
    """Return whether no missing row can have weight, and the null key keeps its weight if all rows are counted.

    This applies to temperature 0 and the sparse normalisers, at which only rows near the best have weight. The null
    key's similarity rises with the number of keys. Its weight stays if it has all the weight already, or if it is too
    low to have weight even for all keys.

    Args:
        answer, question: the answer from the available rows, and its question.
        rows: limits of the similarities of the missing rows.
        rounding: a bound on the rounding error of a similarity.
        null, full_null: the null key for the number of available keys, and for the number of all keys.
    """
    reach = 0.0
    if question.normaliser in SUPPORT:
        reach = SUPPORT[question.normaliser] * answer.temperature * (1 + 1e-6)
    if not math.isfinite(answer.temperature) or answer.best_similarity is None:
        return False
    best = answer.best_similarity
    reach += 2 * rounding + 16 * UNIT_ROUNDOFF * abs(best)
    top = best if null is None else max(best, null.similarity)
    if not rows.highest < top - reach:
        return False
    if null is None or full_null is None or null.similarity == full_null.similarity:
        return True
    return null.similarity > best + reach or full_null.similarity < best - reach
