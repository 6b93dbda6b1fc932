"""What a scan and the originals tell of each question: rows known one by one, their distribution, and its bound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from attention.kernels import kernels
from attention.lookup.bounds.certificate import TIGHT, tail_bound, tail_variation, total_variation
from attention.lookup.bounds.similarities import QuantisationError, Slack
from attention.lookup.bounds.weights import bound_exact_documents, bound_rounding
from attention.lookup.question import Auto, Question
from attention.lookup.rescoring.candidates import RescoredQueries, RescoredQuery
from attention.lookup.shards import Shard
from attention.lookup.shards.scan_result import ScanRequest, ScanResult
from attention.lookup.softmax.distribution import SUPPORT, one_hot, sparse
from attention.lookup.softmax.mixture import Mixture, Mixtures, known_only, mix_cases


@dataclass(frozen=True)
class Width:
    """How many rows a query looks up in float64 at most, and about how many it lists."""

    exact: int
    listed: int


FEWER = 8
"""Of few rows one in so many is listed."""


@dataclass(frozen=True, eq=False)
class Draft:
    """The rows known for one question, and their distribution.

    Attributes:
        total_variation: the bound on it.
        exact_variation: the part of that which the tail has no share in.
    """

    rescored: RescoredQuery
    found: Mixture
    total_variation: float
    exact_variation: float

    @property
    def counted_variation(self) -> float:
        """The bound where the documents of the answer are counted anew, all of their keys in float64."""
        return min(1.0, self.exact_variation + bound_exact_documents(self.total_variation - self.exact_variation))


class Drafts:
    """Those of the questions of one scan, each made when it is asked for; None where the exact path has to answer.

    Attributes:
        gathered, found: what the scan brought home, and what was looked up of it.
        warm: the questions of which all rows have weight, with their case among `mixtures`.
        mixtures: softmax for all of these together; None where there are none.
        variations: of each question (a bound on total variation, the part of it that the tail has no share in).
    """

    def __init__(
        self, part: Shard, questions: Sequence[Question], gathered: ScanResult, found: RescoredQueries
    ) -> None:
        self.gathered, self.found = gathered, found
        self._part, self._questions = part, questions
        self._made: dict[int, Draft | None] = {}
        told = [index for index, count in enumerate(found.counts.tolist()) if count >= 0]
        weighed = [index for index in told if questions[index].weighs_all]
        self.warm = {index: case for case, index in enumerate(weighed)}
        self.mixtures = self._mixed(weighed) if weighed else None
        self.variations: dict[int, tuple[float, float]] = {}
        if self.mixtures is not None:
            self._bound(self.mixtures)
        for index in told:
            if index not in self.warm:
                self._made[index] = self._without_tail(index)

    def __iter__(self) -> Iterator[Draft | None]:
        return map(self.__getitem__, range(len(self._questions)))

    def __getitem__(self, index: int) -> Draft | None:
        if index not in self._made:
            rescored, case = self.found.of(index), self.warm.get(index)
            if rescored is None or case is None or self.mixtures is None:
                self._made[index] = None
            else:
                self._made[index] = Draft(rescored, self.mixtures[case], *self.variations[index])
        return self._made[index]

    def _mixed(self, warm: Sequence[int]) -> Mixtures:
        temperatures = np.array([scanned_at(self._questions[index]) for index in warm])
        nulls = [
            self._questions[index].null_key(temperature, self.gathered.keys)
            for index, temperature in zip(warm, temperatures.tolist(), strict=True)
        ]
        sums, levels = self.gathered.sums, self.gathered.levels
        if len(warm) < len(levels):
            sums, levels = sums[warm], levels[warm]
        return mix_cases(self.found.runs(warm), levels[:, None], sums[:, None], nulls, temperatures)

    def _bound(self, mixtures: Mixtures) -> None:
        keys, errors, temperatures = self._part.keys, self.gathered.errors.tolist(), mixtures.temperatures.tolist()
        for (index, case), own, temperature in zip(self.warm.items(), mixtures.totals, temperatures, strict=True):
            question, error = self._questions[index], QuantisationError(*errors[index])
            slack = self._part.slack(question.vector)
            exact = bound_rounding(slack, own.best, temperature, own.mean_gap, keys)
            tail = tail_bound(own, temperature, error)
            if exact > TIGHT:
                rescored = self.found.of(index)
                assert rescored is not None
                exact = _exact_variation(self._part, question, rescored, mixtures[case], slack)
            elif self._part.method == "exact":  # and that was said of all rows
                tail = 0.0
            self.variations[index] = min(1.0, exact + tail), exact

    def _without_tail(self, index: int) -> Draft:
        question, rescored = self._questions[index], self.found.of(index)
        assert rescored is not None
        mixture = without_tail(question, rescored, self.gathered.keys)
        return draft(self._part, question, rescored, mixture, self.gathered.error(index))


def drafted(part: Shard, questions: Sequence[Question], width: Width, *, fine: bool = False) -> Drafts:
    """What a scan tells of each question."""
    return Drafts(part, questions, *reading(part, questions, wanted_by(part, questions, width, fine=fine)))


def wanted_by(
    part: Shard, questions: Sequence[Question], width: Width, *, histogram: bool = False, fine: bool = False
) -> ScanRequest:
    """What questions want of one scan: sums, each at its own temperature; or a histogram without outputs."""
    return ScanRequest(
        vectors=np.array([question.vector for question in questions]),
        ks=[question.head_size(part.keys) for question in questions],
        listed=max(min(width.listed, part.keys // FEWER), 2 * max(question.cap for question in questions)),
        most=width.exact,
        temperatures=None if histogram else np.array([scanned_at(question) for question in questions]),
        outputs=not histogram and any(question.output for question in questions),
        fine=fine,
    )


def reading(part: Shard, questions: Sequence[Question], request: ScanRequest) -> tuple[ScanResult, RescoredQueries]:
    """One scan, and for each question the rows that can decide its head, known in float64, where it can tell.

    What is known shows which candidates may still be as good; these are looked up in a second round.
    """
    gathered = part.gather(request)
    candidates, first = gathered.candidates(questions), np.diff(gathered.known_starts)
    needed, known = candidates.deciding(gathered.known, first, request.most), gathered.known
    more = needed - first
    if (more > 0).any():
        more = np.maximum(more, 0)
        _, behind, asked = kernels().first_rows(candidates.starts[:-1] + first, more)
        rest = part.similarities_at(request.vectors, candidates.places[behind], asked)
        known = np.insert(known, np.repeat(gathered.known_starts[1:], more), rest)
        first = first + more
    if (needed < 0).any():
        known = known[np.repeat(needed >= 0, first)]
    return gathered, candidates.rescored(known, np.where(needed < 0, -1, first))


def draft(
    part: Shard,
    question: Question,
    rescored: RescoredQuery,
    found: Mixture,
    error: QuantisationError,
    rounding: Slack | None = None,
) -> Draft:
    """A distribution with the bound on it: distances in the head and in the tail add up.

    Args:
        rounding: of the question's similarities, where it is known already.
    """
    exact = _exact_variation(part, question, rescored, found, rounding or part.slack(question.vector))
    return Draft(rescored, found, min(1.0, exact + tail_variation(found, error)), exact)


def _exact_variation(
    part: Shard, question: Question, rescored: RescoredQuery, found: Mixture, rounding: Slack
) -> float:
    """What rounding alone moves."""
    return total_variation(
        found,
        question.normaliser,
        rescored.similarities,
        rescored.best,
        rounding,
        part.keys,
        lambda: part.alike(np.sort(rescored.places[rescored.similarities == rescored.best])),
    )


def coldest(question: Question, rescored: RescoredQuery, keys: int, temperature: float) -> Mixture:
    """All weight on the best: softmax at temperature 0, and one_hot at any."""
    null = question.null_key(temperature, keys)
    found = one_hot(rescored.similarities, null, temperature, log_partition=question.normaliser == "softmax")
    return known_only(found.weights, found.evidence, len(rescored.candidates))


def without_tail(question: Question, rescored: RescoredQuery, keys: int) -> Mixture:
    """The distribution where known rows have all the weight."""
    assert not isinstance(question.temperature, Auto)
    if question.normaliser in SUPPORT and question.temperature > 0:
        null = question.null_key(question.temperature, keys)
        narrow = sparse(rescored.similarities, null, question.temperature, question.normaliser)
        return known_only(narrow.weights, narrow.evidence, len(rescored.candidates))
    return coldest(question, rescored, keys, question.temperature)


def scanned_at(question: Question) -> float:
    """The temperature to sum at; where only the best matter, the coldest, at which nothing else weighs anything."""
    assert not isinstance(question.temperature, Auto)
    return question.temperature if question.normaliser == "softmax" else 0.0
