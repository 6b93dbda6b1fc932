"""The weight of every document for one question: in float64, or from a scan of 8-bit codes, with an error bound."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from softkv_attention.arrays import F64, I64
from softkv_attention.kernels import pin_kernels
from softkv_attention.lookup.answer import Answer, Weights
from softkv_attention.lookup.bounds.similarities import similarity_slack
from softkv_attention.lookup.estimate import WeightEstimates, request_scan, scan_and_look_up, scan_temperature
from softkv_attention.lookup.exact import Weighting, bound_variation
from softkv_attention.lookup.memory.tiles import all_rows
from softkv_attention.lookup.memory.view import AnyView, Mask, View
from softkv_attention.lookup.quantised import answer_alone, fits_scan, restore_similarities, scan_question, shard_of
from softkv_attention.lookup.question import Question, mask_forbidden
from softkv_attention.lookup.scan import RowTerms
from softkv_attention.lookup.shards import Shard, open_shard
from softkv_attention.lookup.shards.local import LocalShard
from softkv_attention.lookup.shards.uncoded import UncodedShard


def weights_of(view: AnyView, question: Question) -> Weights:
    """Return the weight of every document that passes the question's mask, computed in float64.

    `top_k`, `top_p` and `max_error` of the question are not used.

    Raises:
        ShapeError: the query has another width than the keys.
        ParameterError: a zero query under cosine, or a mask or a bias of another view.
    """
    (question,) = mask_forbidden([replace(question.put_to(view), top_k=0, top_p=None, output=False)])
    with pin_kernels():
        shard = open_shard(view, question.mask)
        biases = shard.read_biases([question])
        (similarities,) = shard.read_similarities([question], biases)
        weighting = Weighting.of(question, similarities, biases[0])
        variation, weights = bound_variation(shard, weighting), weighting.distribution.weights
        log_error = _bound_logs(shard, weighting)
        if shard.grouping is not None:
            return Weights(shard.grouping.numbers, shard.grouping.sums(weights), variation, log_error)
        return Weights.of_rows(shard.numbers(shard.rows), weights, variation, log_error)


def _bound_logs(shard: Shard, weighting: Weighting) -> float:
    """Return `Weights.log_error` of weights in float64; infinite for other normalisers than softmax, and at T = 0."""
    if not weighting.question.weighs_all or not weighting.levels.size:
        return math.inf
    largest = float(np.abs(weighting.similarities).max())
    slack = similarity_slack(shard.facts.similarity, weighting.question.vector, shard.key_norm)
    logits = slack.in_logits(weighting.temperature, largest).at(float(np.abs(weighting.levels).max()))
    return logits + 1e-12  # for the exponentials, and their sums over the keys of a document


def weights_without_null(view: AnyView, question: Question) -> Weights:
    """Return the weight of every document for a caller that uses only the ratios of the weights.

    With softmax above temperature 0 the null key ("none of these") is left out. So the ratios stay precise even if it
    has nearly all of the weight.

    Raises:
        ShapeError: the query has another width than the keys.
        ParameterError: a zero query under cosine, or a mask or a bias of another view.
    """
    return weights_of(view, replace(question, null=None) if question.weighs_all else question)


def scan_weighing_all(view: View, question: Question) -> Answer | None:
    """Answer a question, with the weights of all documents, from one scan of 8-bit codes.

    The heaviest documents are known in float64, and the bound on the error of the others is in `total_variation` of the
    weights. None if a scan cannot answer the question, or the documents have several keys.

    Args:
        view: the rows, which are in this process.
        question: a question at a given temperature, without output.
    """
    shard = shard_of(view, question)
    if not isinstance(shard, LocalShard) or isinstance(shard, UncodedShard) or shard.facts.several:
        return None
    if not (question.weighs_all and fits_scan(shard, question)):
        return None
    scanned = scan_question(shard, question)
    for width in view.limits.scan_widths:
        shard.row_terms = row_terms = RowTerms(shard.room)
        request = request_scan(shard, [scanned], width)
        estimates = WeightEstimates(shard, [scanned], *scan_and_look_up(shard, [scanned], request))
        estimate, estimate_error = estimates[0], estimates.scan.error(0)
        answer = None if estimate is None else answer_alone(shard, scanned, estimate, None)
        if answer is None or estimate is None:
            continue
        mixture, rescored = estimate.mixture, estimate.rescored
        # The terms' own sum has rounding errors of float32: the tail has the weight that the answer gives it.
        total = mixture.tail - float(mixture.candidates.sum())
        weights = row_terms.weights(1 / scan_temperature(scanned), total)
        weights[rescored.rows] = mixture.known
        weights[rescored.candidate_rows] = mixture.candidates
        mask = question.mask
        assert mask is None or isinstance(mask, Mask)
        # 1e-5 for the float32 of the scan, see `bounds.weights.bound_tail`.
        log_error = estimate_error.largest / scan_temperature(scanned) + 1e-5
        all_weights = _of_passing(view, mask, weights, estimate.total_variation, log_error)
        return replace(restore_similarities(shard, question, answer), all_weights=all_weights)
    return None


def _of_passing(view: View, mask: Mask | None, weights: F64, variation: float, log_error: float) -> Weights:
    """Return the weights float64[rows of the view] of the rows that pass."""
    numbers, passing = list[I64](), list[F64]()
    starts = {id(tile.segment): tile.start for tile in all_rows(view).tiles}
    for segment, passes in view.passing(mask):
        start, of_segment = starts[id(segment)], segment.numbers
        span = weights[start : start + segment.count]
        numbers.append(of_segment if passes is None else of_segment[passes])
        passing.append(span if passes is None else span[passes])
    all_pass = sum(map(len, passing)) == len(weights)
    together = weights if all_pass else np.concatenate(passing)
    return Weights.of_rows(np.concatenate(numbers), together, variation, log_error)
