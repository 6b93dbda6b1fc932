"""What stays certain of an answer where some rows did not answer, and how much of all documents did.

Nothing of the answer itself is changed: it is that of a smaller collection. What changes is how far it can be from the
answer over all rows, which `docs/certificate.md` derives under "A part that did not answer".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from attention.lookup.answer import Answer
from attention.lookup.bounds.certificate import Certificate
from attention.lookup.bounds.missing_rows import MissingRows
from attention.lookup.bounds.similarities import UNIT_ROUNDOFF, similarity_slack
from attention.lookup.codes.summary import KeySummary
from attention.lookup.memory.statistics import BlockStatistics
from attention.lookup.question import Question
from attention.lookup.softmax.distribution import SUPPORT, logistic
from attention.lookup.softmax.null_key import NullKey


@dataclass(frozen=True)
class Coverage:
    """How much of a collection an answer was made of.

    Attributes:
        documents: how many documents were there to be asked, whether they pass a filter or not.
        of: how many the collection has.
        missing_weight_at_least, missing_weight_at_most: what those that were not there weigh together in the answer
            over all of them lies between: 0 and 0 where none is missing, 0 and 1 where nothing is known.
    """

    documents: int
    of: int
    missing_weight_at_least: float = 0.0
    missing_weight_at_most: float = 0.0


@dataclass(frozen=True)
class _Moved:
    """How far an answer is from that over all rows.

    Attributes:
        missing_low, missing_high: the weight of the missing rows lies between.
        taken: at most the share of all mass that is theirs, and the null key's for them.
        variation: the total variation is at most this.
    """

    missing_low: float
    missing_high: float
    taken: float
    variation: float


UNKNOWN = _Moved(0.0, 1.0, 1.0, 1.0)


def cover_missing_rows(
    answer: Answer, question: Question, facts: BlockStatistics, missing: KeySummary | None
) -> tuple[Answer, Coverage]:
    """The answer with a certificate that is true of all rows, those that are missing among them.

    The temperature is the one that was used, so of `Auto` the one found without the missing rows. What `top_p` asks for
    is not complete where they may have weight. With a bias nothing is certain.

    Args:
        answer: to the question, by what was there.
        facts: of what was there.
        missing: of the rows that were not; None where none is.

    Returns:
        The answer, and how much of the collection it was made of.
    """
    if missing is None or not missing.n:
        return answer, Coverage(facts.documents, facts.documents)
    moved = _moved(answer, question, facts, missing)
    given = answer.certificate
    error = given.output_error
    if error is not None and answer.output is not None:
        length = float(np.sqrt(np.einsum("i,i", answer.output, answer.output)))
        apart = moved.taken * length + moved.missing_high * missing.value_norm
        error = min(error + apart, length + max(facts.value_norm, missing.value_norm)) * (1 + 1e-9)
    certificate = Certificate(given.method, moved.variation, error)
    complete = answer.complete and (question.top_p is None or moved.missing_high == 0)
    coverage = Coverage(facts.documents, facts.documents + missing.documents, moved.missing_low, moved.missing_high)
    return replace(answer, certificate=certificate, complete=complete), coverage


def _moved(answer: Answer, question: Question, facts: BlockStatistics, missing: KeySummary) -> _Moved:
    if question.bias is not None:
        return UNKNOWN
    rows = MissingRows.of(missing, question.vector)
    softmax, temperature = question.normaliser == "softmax", answer.temperature
    nulls = [
        question.null_key(temperature if softmax else 0.0, keys) for keys in (answer.keys, answer.keys + missing.n)
    ]
    room = similarity_slack(facts.similarity, question.vector, facts.key_norm).at(answer.best_similarity or 0.0)
    if softmax and temperature > 0:
        certain = question.mask is None and not missing.removed
        return _warm(answer, rows, room / temperature, nulls[0], nulls[1], all_count=certain)
    if _without_weight(answer, question, rows, room, nulls[0], nulls[1]):
        return _Moved(0.0, 0.0, 0.0, answer.certificate.total_variation)
    return UNKNOWN


def _warm(
    answer: Answer, rows: MissingRows, room: float, null: NullKey | None, later: NullKey | None, *, all_count: bool
) -> _Moved:
    """Softmax above temperature 0.

    Let Z be the mass of what answered, ω of it the null key's share, M that of the missing rows and Δ what the null key
    has more beside so many more keys, M = m·(Z + M + Δ) and M + Δ = c·(Z + M + Δ). The answer over all rows is 1 − c of
    the one over those that answered and c of something else. Of what has more weight than before there are the missing
    rows, m; and the null key, if Δ outweighs what it loses: both together have (1 − ω)·c more. So total variation is at
    most max(m, (1 − ω)·c) between the two, and on the way to an answer that is off by τ either that and τ, or
    c + (1 − c)·τ.

    Args:
        room: what rounding leaves open of a logit.
        null, later: the null key beside the keys that answered, and beside all.
        all_count: whether all missing rows pass.
    """
    temperature, given = answer.temperature, answer.certificate.total_variation
    low, high = _log_masses(answer, room, null)
    extra = -math.inf
    if null is not None and later is not None and null != later:
        apart = (later.similarity - null.similarity) / temperature
        growth = apart + later.log_count - null.log_count
        growth += 16 * UNIT_ROUNDOFF * (1 + growth + (abs(later.similarity) + abs(null.similarity)) / temperature)
        # ln(e^g − 1), which neither overflows nor cancels.
        more = math.log(-math.expm1(-growth)) + growth if growth > 0 else -math.inf
        extra = null.logit(0.0, temperature) + more
    log_missing = rows.max_log_mass(temperature)
    missing_high = _share(log_missing, low)
    taken = _share(float(np.logaddexp(log_missing, extra)), low)
    others = 1 - max(0.0, answer.null_weight - given)
    variation = min(max(missing_high, others * taken) + given, taken + (1 - taken) * given) + 8 * UNIT_ROUNDOFF
    missing_low = 0.0
    if all_count:
        missing_low = _share(rows.min_log_mass(temperature), float(np.logaddexp(high, extra)))
    return _Moved(min(missing_low, missing_high), missing_high, taken, min(1.0, variation))


def _share(log_mass: float, log_beside: float) -> float:
    """What a mass is of itself and another beside it."""
    if math.isnan(log_mass - log_beside):  # both nothing, or both without end
        return 1.0
    return logistic(log_mass - log_beside)


def _log_masses(answer: Answer, room: float, null: NullKey | None) -> tuple[float, float]:
    """Between which the logarithm of the true mass of all that answered lies, the null key's included.

    A total variation τ was found by lemma 1 or lemma 2. By the first all logits are off by
    ε ≤ 2·artanh τ at most, and so is the logarithm of the mass. By the second τ ≥ |1 − Ẑ/Z|, which says more. Or one
    key stands out, whose own logit is off by `room`, and τ is at least what all others weigh beside it.
    """
    temperature, given = answer.temperature, answer.certificate.total_variation
    total = answer.log_partition
    if total is None or not math.isfinite(total):
        return -math.inf, math.inf if total is None else total
    best = 0.0 if answer.best_similarity is None else abs(answer.best_similarity) / temperature
    room += 1e-12 + 16 * UNIT_ROUNDOFF * (best + abs(total))
    room += 2 * math.atanh(given) if given < 1 else math.inf
    return total - room, total + room


def _without_weight(
    answer: Answer, question: Question, rows: MissingRows, room: float, null: NullKey | None, later: NullKey | None
) -> bool:
    """Whether no missing row can have a weight, where one needs to be near the best: at temperature 0, and sparse.

    And whether a null key that lies higher beside more keys changes nothing: as it does where it has all weight anyway,
    or is out of reach also then.
    """
    reach = 0.0
    if question.normaliser in SUPPORT:
        reach = SUPPORT[question.normaliser] * answer.temperature * (1 + 1e-6)
    if not math.isfinite(answer.temperature) or answer.best_similarity is None:
        return False
    best = answer.best_similarity
    reach += 2 * room + 16 * UNIT_ROUNDOFF * abs(best)
    top = best if null is None else max(best, null.similarity)
    if not rows.highest < top - reach:
        return False
    if null is None or later is None or null.similarity == later.similarity:
        return True
    return null.similarity > best + reach or later.similarity < best - reach
