"""From a scan to a head: which listed rows can decide it, their originals, and the bound that follows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attention.lookup.certificate import coarse, disturbed, separated, thresholded
from attention.lookup.codes import QueryCodes, query_codes
from attention.lookup.distribution import REACH, one_hot
from attention.lookup.engine import engine
from attention.lookup.exact import SURE, alike
from attention.lookup.harvest import NO_BAR
from attention.lookup.mixture import Mixture, alone
from attention.lookup.originals import similarities_at
from attention.lookup.question import Question
from attention.lookup.scan import Scanned
from attention.lookup.similarities import slack
from attention.lookup.tiles import Places
from attention.lookup.view import View

Array = NDArray[np.float64]

FINE = 8
"""Up to so many queries at a time are coded in 16 bits, and so are their weights: memory is what they wait for."""

LITTLE = 0.5
"""What the squared weights of rows that are only listed may come to, of those of the bulk."""

SMALLEST_REACH, LARGEST_REACH = 1e-30, 1e30


def fits(view: View, question: Question) -> bool:
    """Whether products of keys and query keep clear of float32's ends."""
    reach = view.key_norm * float(np.linalg.norm(question.vector))
    return view.similarity == "cosine" or SMALLEST_REACH < reach < LARGEST_REACH


def coded_queries(view: View, questions: Sequence[Question]) -> QueryCodes:
    """The questions' queries in codes, scaled so that q·k of what the scan multiplies is the similarity."""
    vectors = np.array([question.vector for question in questions])
    if view.similarity == "cosine":
        vectors /= np.sqrt((vectors * vectors).sum(axis=1))[:, None]
    elif view.similarity == "scaled_dot":
        vectors /= np.sqrt(vectors.shape[1])
    return query_codes(vectors, fine=len(questions) <= FINE)


@dataclass(frozen=True)
class CodingError:
    """How far scanned similarities can be from the true ones.

    q·k − q̂·k̂ = q̂·(k − k̂) + (q − q̂)·k. For one row, by Cauchy–Schwarz, that is at most ‖q̂‖·‖k − k̂‖ + ‖q − q̂‖·‖k‖.
    Over all rows the squares of the two parts add up to q̂ᵀ·G·q̂ and (q − q̂)ᵀ·K·(q − q̂) with the Gram matrices
    G = Σ (k − k̂)(k − k̂)ᵀ and K = Σ k kᵀ, so by Minkowski those of the whole to the square of the sum of their roots.
    float32 holds code product times scales to 2⁻²¹ of ‖q̂‖·‖k̂‖, and a stored scale to 2⁻²⁴ of it.

    Attributes:
        largest: for any one row.
        squares: a bound on the sum over all rows of the error squared, float32 left out; infinite where not known.
        uniform: for any one row, of float32 alone.
    """

    largest: float
    squares: float
    uniform: float

    def wider(self, width: float) -> "CodingError":
        """The same with so much more room for every row."""
        return CodingError(self.largest + width, self.squares, self.uniform + width)

    def mean(self, tail: float, tail_square: float) -> float:
        """Σŵ|error| over a tail of weight `tail` whose squared weights add up to `tail_square`, at most.

        By Cauchy–Schwarz Σŵ|ε| ≤ √(Σŵ²)·√(Σε²): sharp where the tail's weights are much alike.
        """
        if not np.isfinite(self.squares):
            return np.inf
        return float(np.sqrt(1.001 * tail_square * self.squares)) + tail * self.uniform


def coding_errors(view: View, queries: QueryCodes) -> list[CodingError]:
    """The bounds for each query."""
    residual = max(segment.key_residual for segment in view.segments)
    key = 1.0 if view.similarity == "cosine" else view.key_norm
    lengths = (queries.norms + queries.residuals_norm) * (1 + 1e-9)
    uniform = 2.0**-20 * lengths * (key + residual)
    largest = (lengths * residual + queries.residuals_norm * key) * (1 + 1e-9) + uniform
    squares = np.full(queries.count, np.inf)
    if view.grams is not None:
        coded = queries.codes * queries.scales[:, None]
        lost = sum(segment.block.room for segment in view.segments) * coded.shape[1] * 2.0**-125
        parts = [
            # The Gram matrices were summed in float32, up to 1,024 rows at a time: off by at most γ₁₀₂₄ of the trace,
            # and in each element by what falls below float32.
            engine().quadratic_forms(vectors, gram)
            + (vectors * vectors).sum(axis=1) * (2.0**-13 * np.trace(gram) + lost)
            for vectors, gram in zip((coded, queries.residuals), view.grams, strict=True)
        ]
        squares = (np.sqrt(np.maximum(parts[0], 0)) + np.sqrt(np.maximum(parts[1], 0))) ** 2
    return [CodingError(*map(float, bounds)) for bounds in zip(largest, squares, uniform, strict=True)]


@dataclass(frozen=True, eq=False)
class Shortlist:
    """Rows listed for a query: int64 places of those to look up, then places and scanned similarities of the rest."""

    chosen: NDArray[np.int64]
    places: NDArray[np.int64]
    found: Array


@dataclass(frozen=True, eq=False)
class LookedUp:
    """The rows that were looked up, with their float64 similarities, and those only listed."""

    places: NDArray[np.int64]
    similarities: Array
    listed_places: NDArray[np.int64]
    listed: Array


def shortlist(
    question: Question, documents: int, scanned: Scanned, index: int, error: CodingError, most: int
) -> Shortlist | None:
    """The rows that can decide the head, and those that weigh much; None where rows that were not listed may decide.

    The k best are at least kth − error in truth, so a row scanned below kth − 2·error is not among them and does not
    tie with them. Beyond these, rows are looked up until those that are only listed weigh little, but no more than
    `most` of them.
    """
    places, found = scanned.listed(index)
    k = max(1, min(question.cap, documents))
    if len(found) < k:
        return None
    least = found[k - 1] - 2 * error.largest
    if any(float(h.bars[index]) > least for h in scanned.harvests if h.bars[index] != NO_BAR):
        return None
    enough = min(len(found), most, max(k, _weighty(found, scanned, index)))
    least = min(least, found[enough - 1])
    count = int(np.searchsorted(-found, -least, side="right"))
    return Shortlist(np.sort(places[:count]), places[count:], found[count:])


def _weighty(found: Array, scanned: Scanned, index: int) -> int:
    """How many of the listed rows, best first, leave others whose squared weights are few beside those of the bulk.

    It is squared weights that the bound on what coding moves grows with, see `CodingError.mean`.
    """
    inverse = 2 * float(scanned.harvests[0].inverse[index])
    squares = np.exp(np.maximum((found - found[0]) * inverse, -700.0))
    bulk = sum(
        float(h.sums[index, 2]) * float(np.exp(np.clip((float(h.bars[index]) - found[0]) * inverse, -700.0, 0.0)))
        for h in scanned.harvests
    )
    beyond = squares[::-1].cumsum()[::-1]
    return int(np.count_nonzero(beyond > LITTLE * bulk))


def looked_up(
    view: View, questions: Sequence[Question], scanned: Scanned, lists: Sequence[Shortlist | None]
) -> list[LookedUp | None]:
    """All queries' rows in one pass over the originals."""
    counts = [0 if some is None else len(some.chosen) for some in lists]
    places = np.concatenate([np.empty(0, dtype=np.int64), *(some.chosen for some in lists if some is not None)])
    queries = np.repeat(np.arange(len(lists)), counts)
    vectors = np.array([question.vector for question in questions])
    similarities = similarities_at(view.similarity, scanned.rows, vectors, places, queries)
    ends = np.cumsum(counts)
    return [
        None if some is None else LookedUp(some.chosen, similarities[end - count : end], some.places, some.found)
        for some, count, end in zip(lists, counts, ends, strict=True)
    ]


def coldest(question: Question, head: LookedUp, temperature: float) -> Mixture:
    """All weight on the best: softmax at temperature 0, and one_hot at any."""
    found = one_hot(head.similarities, question.null, temperature, log_partition=question.normaliser == "softmax")
    return alone(found.weights, found.evidence, len(head.listed))


def total_variation(
    view: View, question: Question, head: LookedUp, rows: Places, found: Mixture, documents: int, error: CodingError
) -> float:
    """What rounding moves in the head, and what coding moves in the tail: distances add up."""
    temperature = found.evidence.temperature
    room = slack(view.similarity, question.vector, view.key_norm)
    best = float(head.similarities.max())
    if question.normaliser in REACH and temperature > 0:
        return thresholded(head.similarities, question.null, room, temperature, REACH[question.normaliser])
    cold = temperature == 0 or question.normaliser == "one_hot"
    bound = 1.0 if cold else disturbed(room, best, temperature, found.depth, documents)
    if bound > SURE:
        copies = alike(rows, head.places[head.similarities == best])
        at = 0.0 if cold else temperature
        bound = min(bound, separated(head.similarities, question.null, room, at, alike=copies))
    if cold:
        return bound
    mean = error.mean(found.tail, found.tail_square)
    spread = mean / temperature if np.isfinite(mean) else np.inf
    return min(1.0, bound + coarse(error.largest, temperature, found.log_tail, found.tail_depth, spread))
