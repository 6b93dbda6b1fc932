"""The exact path over few rows: one call of a kernel computes everything that grows with the rows.

It is for questions with softmax at a temperature above 0 and without a bias. Each row is a document. `exact.py` answers
other questions, from the same similarities and with the same bounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from softkv_attention.arrays import F64, I64, lengths
from softkv_attention.kernels import Kernels, RowMasses, RowRun, SoftmaxOptions, kernels, run_in_parallel
from softkv_attention.lookup.answer import Answer, Certificate, Head, HeavyRows, build_answer
from softkv_attention.lookup.bounds.output import bound_exact_output
from softkv_attention.lookup.bounds.similarities import similarity_slack
from softkv_attention.lookup.bounds.weights import total_variation
from softkv_attention.lookup.memory.tiles import PassingRows, are_copies
from softkv_attention.lookup.memory.view import AnyMask, AnyView, Mask, View
from softkv_attention.lookup.question import Auto, Question
from softkv_attention.lookup.rescoring.originals import compute_all_sums
from softkv_attention.lookup.rescoring.ranking import TopRows, truncate_top_p
from softkv_attention.lookup.shards.local import TILE_ROWS
from softkv_attention.lookup.softmax.distribution import Distribution, normalise
from softkv_attention.lookup.softmax.evidence import NullKey
from softkv_attention.lookup.softmax.mixture import NO_NULL
from softkv_attention.lookup.softmax.verdict import HALF

MAX_ROWS = 4_096
"""More rows are read by several threads, tile by tile."""

BATCH_SIZE = 256
"""The most questions of one call."""

PRODUCTS: dict[str, Callable[[int], float] | None] = {"cosine": None, "dot": lambda width: 1.0, "scaled_dot": math.sqrt}
"""The divisor of a product of query and key, by the width of both. None means that their lengths divide it."""

_few_rows: WeakKeyDictionary[View | Mask, FewRows] = WeakKeyDictionary()


def _is_unbiased_softmax(question: Question) -> bool:
    """Return whether a question has softmax at a temperature above 0, and no bias."""
    temperature = question.temperature
    if question.bias is not None or question.normaliser != "softmax":
        return False
    return not isinstance(temperature, Auto) and temperature != 0


class FewRows:
    """At most `MAX_ROWS` rows of a view that pass a mask, in the form that one call of a kernel reads.

    Args:
        view, mask: the rows.

    Attributes:
        numbers: int64[n], the rows' permanent numbers, in the order of the view.
    """

    def __init__(self, view: View, mask: Mask | None) -> None:
        self._passing = PassingRows(view, mask, TILE_ROWS)
        self._facts = view.facts
        self._packed: dict[Kernels, Any] = {}
        columns = [tile.segment.numbers[tile.rows] for tile in self._passing.tiles]
        self.numbers: I64 = columns[0] if len(columns) == 1 else np.concatenate(columns)

    @classmethod
    def of(cls, view: AnyView, mask: AnyMask | None) -> FewRows | None:
        """Return the rows of a view that pass a mask; None if one call cannot read them.

        It can if they are at least one and at most `MAX_ROWS`, lie in this process, in memory, each is a document, and
        products of query and key are compared. The result is cached as long as the mask, or without one the view,
        exists.
        """
        if not isinstance(view, View):
            return None
        assert mask is None or isinstance(mask, Mask)
        cached = _few_rows.get(view if mask is None else mask)
        if cached is not None:
            return cached
        if not 0 < (view.n if mask is None else mask.n) <= MAX_ROWS:
            return None
        several = view.facts.several and (mask is None or mask.documents < mask.n)
        if view.runs or several or view.similarity not in PRODUCTS or view.beyond_memory:
            return None
        checks = (segment.block.unread for segment in view.segments)
        if any(check is not None and not check.done for check in checks):
            return None
        rows = _few_rows[view if mask is None else mask] = cls(view, mask)
        return rows

    def answers(self, questions: Sequence[Question]) -> Sequence[Answer | None]:
        """Answer each question with softmax above temperature 0 and without a bias; None for the others."""
        unbiased = [index for index, question in enumerate(questions) if _is_unbiased_softmax(question)]
        if len(unbiased) == len(questions) <= BATCH_SIZE:
            return self._answer_batch(questions)
        answers: list[Answer | None] = [None] * len(questions)
        for first in range(0, len(unbiased), BATCH_SIZE):
            batch = unbiased[first : first + BATCH_SIZE]
            for index, answer in zip(batch, self._answer_batch([questions[i] for i in batch]), strict=True):
                answers[index] = answer
        return answers

    def _answer_batch(self, questions: Sequence[Question]) -> Sequence[Answer | None]:
        n, similarity, running = len(self.numbers), self._facts.similarity, kernels()
        if len(questions) == 1:
            vectors = np.ascontiguousarray(questions[0].vector)[None]
        else:
            vectors = np.array([question.vector for question in questions])
        divisor_of = PRODUCTS[similarity]
        if divisor_of is not None:
            divisors = [divisor_of(vectors.shape[1])] * len(vectors)
        elif len(vectors) == 1:
            divisors = [math.sqrt(np.add.reduce(vectors[0] * vectors[0]))]
        else:
            divisors = lengths(vectors).tolist()
        nulls: list[NullKey | None] = []
        options: list[SoftmaxOptions] = []
        for question, divisor in zip(questions, divisors, strict=True):
            assert not isinstance(question.temperature, Auto)
            null = question.null_key(question.temperature, n)
            nulls.append(null)
            null_numbers = NO_NULL if null is None else (null.similarity, null.log_count)
            options.append(SoftmaxOptions(divisor, question.temperature, *null_numbers, max(question.cap, 1)))
        results = self._weigh(running, vectors, np.array(options))
        distributions = [
            normalise(masses.masses, masses.totals, null, of.temperature)
            for masses, null, of in zip(results, nulls, options, strict=True)
        ]
        outputs = self._outputs(questions, distributions)
        return list(map(self._answer, questions, results, distributions, outputs))

    def _weigh(self, running: Kernels, vectors: F64, options: F64) -> list[RowMasses]:
        """Return the softmax masses of q queries.

        Args:
            running: the kernels.
            vectors: float64[q, d].
            options: float64[q, 5], the fields of `SoftmaxOptions`.
        """
        rows = self._rows_for(running)
        if len(vectors) == 1:
            return running.softmax_rows(rows, vectors, options)
        parts: dict[int, list[RowMasses]] = {}

        def weigh(first: int, last: int) -> None:
            parts[first] = running.softmax_rows(rows, vectors[first:last], options[first:last])

        run_in_parallel(weigh, len(vectors), len(vectors) * len(self.numbers))
        return [masses for first in sorted(parts) for masses in parts[first]]

    def _outputs(self, questions: Sequence[Question], distributions: Sequence[Distribution]) -> list[F64 | None]:
        """Return the output float64[d_v] of each question, or None if it does not ask for one."""
        outputs: list[F64 | None] = [None] * len(questions)
        with_output = [index for index, question in enumerate(questions) if question.output]
        if with_output:
            weights = np.array([distributions[index].weights for index in with_output])
            sums = compute_all_sums(self._passing.groups, weights, self._facts.value_dimension or 0)
            for index, output in zip(with_output, sums, strict=True):
                outputs[index] = output
        return outputs

    def _rows_for(self, running: Kernels) -> Any:
        """Return the rows in the form that these kernels read."""
        packed = self._packed.get(running)
        if packed is None:
            runs = []
            for tile in self._passing.tiles:
                keys, norms = tile.load_keys(), tile.norms if self._facts.similarity == "cosine" else None
                if isinstance(tile.rows, slice):
                    runs.append(RowRun(keys[tile.rows], norms, None, tile.stop - tile.start))
                else:
                    runs.append(RowRun(keys, norms, tile.rows, tile.stop - tile.start))
            packed = self._packed[running] = running.pack_rows(runs)
        return packed

    def _answer(self, question: Question, masses: RowMasses, distribution: Distribution, output: F64 | None) -> Answer:
        n, weights, evidence = len(self.numbers), distribution.weights, distribution.evidence
        similarities, (listed, heavy) = masses.similarities, masses.counts.tolist()
        rows, matches, complete = masses.heads[:listed], min(question.cap, n), True
        first = rows.item(0)
        best, heaviest = similarities.item(first), weights.item(first)
        rounding = similarity_slack(self._facts.similarity, question.vector, self._passing.key_norm)

        def are_alike() -> bool:
            return are_copies(self._passing.row_indices, np.flatnonzero(similarities == best))

        variation = total_variation(distribution, "softmax", similarities, best, rounding, n, are_alike)
        if not question.cap:  # the kernel listed the best row, for its weight
            rows = rows[:0]
        if question.top_p is not None:
            top = truncate_top_p(TopRows(rows, matches, complete), similarities, weights, question.top_p)
            rows, matches, complete = top.indices, top.matches, top.complete
        heavy_rows = None
        if heavy and evidence.null_weight < HALF and heaviest <= HALF:
            heavy_weights = weights[masses.heavy[:heavy]]
            if np.add.reduce(heavy_weights) > HALF:
                heavy_numbers = self.numbers[masses.heavy[:heavy]]
                heavy_rows = HeavyRows(heavy_numbers, heavy_numbers, heavy_weights)
        error = None
        if output is not None:
            error = bound_exact_output(variation, self._passing.value_norm, self._passing.term_count)
        numbers, head_similarities = self.numbers[rows], similarities[rows]
        head = Head(
            numbers=numbers,
            parts=numbers,
            similarities=head_similarities,
            logits=head_similarities / evidence.temperature,
            weights=weights[rows],
            log_weight_of_other_parts=np.zeros(len(rows)),
            matches=matches,
            complete=complete,
            evidence=evidence,
            heaviest=heaviest,
            best_similarity=best,
        )
        certificate = Certificate("exact", variation, error)
        return build_answer(head, certificate, documents=n, keys=n, output=output, heavy_rows=heavy_rows)
