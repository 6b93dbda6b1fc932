"""The quantised path: a scan of 8-bit keys, a head in float64 over the originals, and a bound on all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum

import numpy as np

from attention.lookup.answer import Answer, answer_to
from attention.lookup.blending import Blend, blended
from attention.lookup.bounds.certificate import least_variation
from attention.lookup.drafts import Draft, Width, drafted
from attention.lookup.memory.bias import Bias
from attention.lookup.memory.statistics import BlockStatistics
from attention.lookup.memory.view import Mask, View
from attention.lookup.question import Auto, Question, by_logits
from attention.lookup.shards.biased import BiasedShard
from attention.lookup.shards.documents import counted
from attention.lookup.shards.joined import MergedShards
from attention.lookup.shards.local import LocalShard
from attention.lookup.shards.parted import Parted, in_runs
from attention.lookup.shards.remote.shard import RemoteShard
from attention.lookup.shards.remote.view import RemoteView
from attention.lookup.shards.shard import Part
from attention.lookup.shards.uncoded import UncodedShard
from attention.lookup.together import answers_together, certificate_of, keeps

TOGETHER = 64
"""Queries to a scan."""

WIDTHS = (Width(2_048, 512), Width(8_192, 16_384))
"""What is tried in turn, until a head is decided and `max_error` is kept."""


def quantised_answers(view: View, questions: Sequence[Question]) -> list[Answer | None]:
    """Answer each question from a scan of the codes; None where the exact path has to.

    That is so where float32 cannot hold the products, where the rows that decide the head cannot be told apart from
    the rest by their codes, where `max_error` asks for more than a scan can prove, even with a wide head, and where a
    blended value is so short that what codes leave out would be seen in it.
    """
    answers: list[Answer | None] = [None] * len(questions)
    for group in by_logits(questions):
        part = part_of(view, questions[group[0]])
        asked = {index: part.asked(questions[index]) for index in group if fits_scan(part, questions[index])}
        open_ones = list(asked)
        for width in WIDTHS:
            wider: list[int] = []
            for fine in (False, True):
                finer: list[int] = []
                for first in range(0, len(open_ones), TOGETHER):
                    some = open_ones[first : first + TOGETHER]
                    for index, found in zip(some, _answers(part, [asked[i] for i in some], width, fine), strict=True):
                        if isinstance(found, Answer):
                            answers[index] = part.restored(questions[index], found)
                        elif found is not Undecided.EXACT:
                            (finer if found is Undecided.FINER else wider).append(index)
                open_ones = finer
            open_ones = wider
    return answers


def part_of(view: View, question: Question) -> Part:
    """The rows that a question is asked of, as it compares them."""
    if isinstance(view, RemoteView):
        return RemoteShard(view, question.mask)
    runs = in_runs(view)
    if not isinstance(runs, Parted):
        return _whole(view, question.mask, question.bias, question)
    rows = zip(runs.parts, runs.masks(question.mask), runs.biases(question.bias), strict=True)
    return MergedShards([_whole(part, mask, bias, question, view.facts) for part, mask, bias in rows])


def _whole(
    view: View, mask: Mask | None, bias: Bias | None, question: Question, facts: BlockStatistics | None = None
) -> LocalShard:
    if view.segments and view.segments[0].block.codes is None:
        return UncodedShard(view, mask, facts=facts)
    if bias is None:
        return LocalShard(view, mask, facts=facts)
    assert not isinstance(question.temperature, Auto)
    return BiasedShard(view, mask, bias, question.temperature, facts)


def fits_scan(part: Part, question: Question) -> bool:
    """Whether a scan at one temperature can answer a question; at infinity all rows tie, which one_hot would need."""
    even = question.normaliser == "one_hot" and question.temperature == np.inf
    return part.fits(question.vector) and not even and not isinstance(question.temperature, Auto)


class Undecided(Enum):
    """Who answers in place of a scan that cannot."""

    WIDER = "a wider scan"
    FINER = "a scan in 16 bits"
    EXACT = "the exact path"


def _answers(part: Part, questions: Sequence[Question], width: Width, fine: bool) -> Iterator[Answer | Undecided]:
    drafts = drafted(part, questions, width, fine=fine)
    blends = blended(part, drafts, [index for index, question in enumerate(questions) if question.output])
    made = answers_together(part, questions, drafts, blends)
    for index, question in enumerate(questions):
        found, blend = made.get(index), blends.get(index)
        if found is not None:
            yield found
            continue
        if blend is not None and blend.coarse:
            yield Undecided.FINER if drafts.gathered.bits == 8 else Undecided.EXACT
            continue
        draft = drafts[index]
        found = None if draft is None else answer_of(part, question, draft, blend)
        if found is not None:
            yield found
        elif draft is None or question.max_error is None:
            yield Undecided.WIDER
        else:
            least = least_variation(draft.found, drafts.gathered.error(index), part.keys, WIDTHS[-1].exact)
            yield Undecided.WIDER if draft.exact_variation + least <= question.max_error else Undecided.EXACT


def answer_of(part: Part, question: Question, made: Draft, blend: Blend | None) -> Answer | None:
    """The answer that a draft, and an output with its error, make.

    None where `max_error` asks for more, or where documents of several keys cannot be told apart.
    """
    certificate = certificate_of(part, made.counted_variation if part.facts.several else made.total_variation, blend)
    if not keeps(part, question, certificate):
        return None
    rows = counted(part, question, made.rescored, made.found)
    if rows is None:
        return None
    weights, elsewhere = rows.weights(part, question, made.rescored, made.found)
    return answer_to(
        question,
        lambda at: part.numbers(rows.places[at]),
        rows.similarities,
        weights,
        made.found.evidence,
        certificate,
        documents=part.documents,
        keys=part.keys,
        output=None if blend is None else blend.output,
        elsewhere=elsewhere,
        grouping=rows.grouping,
        order=part.order(rows.places),
        raw=part.raw(question.vector, rows.places),
    )
