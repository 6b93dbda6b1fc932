"""The null key, "none of these", and the background from which its similarity follows: the similarities of unrelated
questions and documents.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from softkv_attention.lookup import Background, BoundedBackground
from softkv_service.encoding import EncoderFacts, Encoders, is_short
from softkv_service.retrieval.calibration import NO_TERMS, Calibration, TextTerms
from softkv_service.retrieval.collections.key_background import KeyBackground, SampledKeys
from softkv_service.retrieval.collections.projection import read_projection
from softkv_service.retrieval.collections.settings import get_encoder_facts
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.storage.records import CollectionRecord

NullChoice = float | Literal["auto", "lenient", "strict", "calibrated", False]
Array = np.ndarray[Any, Any]

FULL_WEIGHT_KEYS = 30
"""With fewer keys than this, their own background counts only in part."""

MOST_OF_SHORT, MOST_BESIDE_QUESTION = 1.0, 3.0
"""Bounds of `auto`, in deviations of the encoder's background.

The null key of short texts is at most the first above the encoder's. That of a question's own background ends the
second above it: if all keys are copies of each other, every question is near to all of them.
"""


class Bounds(NamedTuple):
    """Where `auto` lies between the backgrounds of an encoder and of a collection's own keys.

    Attributes:
        share: the part of the collection's own background, of 30 keys or more.
        most: how far the null key may lie above the encoder's, in deviations of the encoder's background.
        margin: how far a question's own background begins above itself, in the same unit.
    """

    share: float
    most: float
    margin: float


SYMMETRIC, ASYMMETRIC = Bounds(0.5, 1.0, 2 / 3), Bounds(0.8, 0.0, 0.45)
"""The bounds without and with the asymmetry of an encoder (`Measurements`).

With it, the keys say how similar questions are to them, so they count for more. The share was fitted to English and
Chinese questions of `benchmarks.languages`. The margin is the same part of the distance between related and unrelated
topics, which is 5.0 deviations for all-MiniLM-L6-v2, and 3.4 for the encoder of many languages.
"""

CALIBRATED = "calibrated"
"""The null key that was fitted to labelled questions."""


@dataclass(frozen=True)
class QuestionBackground:
    """A bound that raises the null key beside one question: a question near to all keys needs more to be answered.

    Attributes:
        sampled: the keys that the question is compared with.
        encoder: how similar unrelated questions and texts are; with few keys it counts for the rest.
        margin: how far it begins above itself.
        at_most: the background with the highest null key that a question may have.
        fades_from: the temperature from which this fades.
    """

    sampled: SampledKeys
    encoder: Background
    margin: float
    at_most: Background
    fades_from: float

    def of(self, vector: Array) -> BoundedBackground:
        """Return the least background beside a question with this vector [d]."""
        share = min(len(self.sampled) / FULL_WEIGHT_KEYS, 1.0)
        between = _interpolate(self.encoder, Background(*self.sampled.measure(vector)), share)
        return BoundedBackground(between.mean + self.margin, between.deviation, self.at_most)


@dataclass(frozen=True)
class NullBackground:
    """The similarities of unrelated queries and documents, as a normal distribution: the background.

    A collection's null key ("none of these") is computed from it.

    Attributes:
        of: its source: the encoder's measurement on unrelated queries and texts, the collection's own keys, both, or
            labelled questions.
        pairs: the number of compared pairs of keys; 0 for labels.
        short: the background for a query of one to three words, if the keys are as short; None if it is the same.
        question: what raises the null key beside each question, but those with the short background; None if nothing.
        in_bytes: how short queries are counted; see `is_short`.
    """

    background: Background
    of: Literal["encoder", "keys", "both", "labels"]
    pairs: int
    short: Background | None = None
    question: QuestionBackground | None = None
    in_bytes: bool = False

    def beside(self, query: str | Array, vector: Array) -> NullBackground:
        """Return a copy with the background for this query: that of short texts if it is one, or its own bound.

        Args:
            query: the query as it was sent.
            vector: its vector [d].
        """
        if self.short is not None and isinstance(query, str) and is_short(query, in_bytes=self.in_bytes):
            return replace(self, background=self.short)
        if self.question is None:
            return self
        assert isinstance(self.background, BoundedBackground)
        at_least, fades_from = self.question.of(vector), self.question.fades_from
        return replace(self, background=replace(self.background, at_least=at_least, fades_from=fades_from))


@dataclass(frozen=True)
class NullKey:
    """The null key of a request: a key that means "none of these" and competes with the documents.

    Attributes:
        similarity: the similarity that was chosen as a number; None without a null key, or if the similarity follows
            from a background.
        standing: the background (similarities of unrelated queries and documents) from which its similarity follows;
            None otherwise.
    """

    similarity: float | None
    standing: NullBackground | None

    def of(self, query: str | Array, vector: Array) -> float | Background | None:
        """Return the null key for this query; None without one.

        It is a similarity, or the background (similarities of unrelated queries and documents) from which one follows.

        Args:
            query: the query as it was sent.
            vector: its vector [d].
        """
        return self.similarity if self.standing is None else self.standing.beside(query, vector).background


def choose_background(
    choice: str,
    record: CollectionRecord,
    keys: KeyBackground | None,
    encoder: EncoderFacts | None,
    terms: TextTerms = NO_TERMS,
) -> NullBackground | None:
    """Return the background of a null choice: the similarities that unrelated queries and documents have.

    Return None if there are too few keys to measure one.

    Args:
        choice: `strict` uses the collection's own background, `lenient` the encoder's, and `auto` the middle. If one of
            the two is missing, all use the other. For short queries the middle is at least as high as `lenient`:
            meaningless strings are as similar to short keys as words are. `auto` ends at one deviation above `lenient`,
            because keys on one subject are similar without being unrelated; and a question that is near to all keys
            raises it. With an encoder's asymmetry it follows `ASYMMETRIC`. `calibrated` uses labelled questions alone.
        record: the collection's record.
        keys: the collection's own background; with fewer than 30 keys it counts for keys/30, and the encoder's for the
            rest.
        encoder: the facts of the encoder; None without one. Its backgrounds, of cosines, do not apply if keys are
            compared by their lengths, too, and have other lengths than 1. A projection has backgrounds of its own,
            which were measured with mapped questions.
        terms: the terms that the question's text adds to logits, for which labelled questions gave a null key.
    """
    if choice == CALIBRATED:
        variant = require_calibration(record, "/null").nearest_variant(terms)
        return NullBackground(Background(variant.level, 0.0), "labels", 0)
    if keys is None:
        return _measure_background(choice, record, None, encoder)
    # The collection's own background is measured again if its similarity or projection changes.
    attendable, facts, background = keys.derived.get(choice, (None, None, None))
    if (attendable, facts) != (record.attendable, encoder):
        background = _measure_background(choice, record, keys, encoder)
        keys.derived[choice] = record.attendable, encoder, background
    chosen: NullBackground | None = background
    return chosen


def _measure_background(
    choice: str, record: CollectionRecord, keys: KeyBackground | None, encoder: EncoderFacts | None
) -> NullBackground | None:
    similarity = record.settings.similarity
    if encoder is None or not (similarity == "cosine" or keys is None or keys.unit):
        return None if keys is None else NullBackground(keys.background, "keys", keys.pairs)
    dimension, asymmetry = record.settings.dimension, encoder.asymmetry
    projection = read_projection(record.settings)
    if projection is not None and projection.backgrounds is not None:
        (texts, short), asymmetry = projection.backgrounds, None
    else:
        texts, short = (_convert_background(background, similarity, dimension) for background in encoder.backgrounds)
    if keys is None:
        return NullBackground(texts, "encoder", 0)
    if choice == "lenient":
        return NullBackground(texts, "encoder", 0, short if keys.short else None)
    bounds, of_keys = SYMMETRIC if asymmetry is None else ASYMMETRIC, keys.background
    if choice == "auto" and asymmetry is not None:
        zero = _convert_background(Background(0.0, 0.0), similarity, dimension).mean
        of_keys = Background(zero + asymmetry * (of_keys.mean - zero), texts.deviation)
    share = min(record.attendable / FULL_WEIGHT_KEYS, 1.0) * (bounds.share if choice == "auto" else 1.0)
    background, of_short = (_interpolate(one, of_keys, share) for one in (texts, short))
    if choice == "auto":
        of_short = max(short, of_short if asymmetry is None else of_keys, key=lambda one: one.mean)
        fades_from = encoder.temperature / (math.sqrt(dimension or 1) if similarity == "scaled_dot" else 1.0)
        margin, highest = bounds.margin * texts.deviation, _raise(texts, MOST_BESIDE_QUESTION)
        question = QuestionBackground(keys.sampled, texts, margin, highest, fades_from) if len(keys.sampled) else None
        background = _cap(background, texts, bounds.most)
        capped = _cap(of_short, short, MOST_OF_SHORT) if keys.short else None
        return NullBackground(background, "both", keys.pairs, capped, question, asymmetry is not None)
    of: Literal["keys", "both"] = "keys" if share == 1 else "both"
    return NullBackground(background, of, keys.pairs, of_short if keys.short else None)


def _cap(background: Background, encoder: Background, deviations: float) -> BoundedBackground:
    """Return a background whose null key is at most as similar as the encoder's, that many deviations higher."""
    return BoundedBackground(background.mean, background.deviation, _raise(encoder, deviations))


def _raise(background: Background, deviations: float) -> Background:
    return Background(background.mean + deviations * background.deviation, background.deviation)


def require_calibration(record: CollectionRecord, pointer: str) -> Calibration:
    """Return the stored calibration of a collection, which an option of the request needs.

    Raises:
        InvalidContent: the collection has no calibration, or one of another version of softkv. The error has the
            pointer of the field that needs it.
    """
    calibration = Calibration.read(record.settings.calibration)
    if calibration is None:
        raise InvalidContent.at(
            pointer,
            f"{pointer.removeprefix('/')} needs a calibration, and collection {record.name!r} has none: send labelled "
            'questions to /calibrate with "apply": true, or ask without it',
        )
    return calibration


def _convert_background(cosines: Background, similarity: str, dimension: int | None) -> Background:
    """Convert a mean and deviation of cosines to those of another similarity, for vectors of length 1.

    Args:
        cosines: the background of cosines.
        similarity: the other similarity.
        dimension: the width of the vectors, by which some similarities scale.
    """
    if similarity == "scaled_dot":
        return Background(cosines.mean / math.sqrt(dimension or 1), cosines.deviation / math.sqrt(dimension or 1))
    return Background(cosines.mean - 1, cosines.deviation) if similarity == "gaussian" else cosines


def _interpolate(encoder: Background, keys: Background, share: float) -> Background:
    return Background(
        (1 - share) * encoder.mean + share * keys.mean, (1 - share) * encoder.deviation + share * keys.deviation
    )


async def get_null_encoder(
    encoders: Encoders, record: CollectionRecord, null: NullChoice | None
) -> EncoderFacts | None:
    """Return the facts of the collection's encoder, with how similar unrelated queries and texts are.

    The null key ("none of these") is computed from them, unless its similarity is a number or comes from labelled
    questions. Return None if the null key does not need them, or if the service does not have the encoder: then the
    collection's own keys alone tell what unrelated ones are.

    Args:
        encoders: the encoders of the service, loaded or not.
        record: the collection's record.
        null: the request's choice of a null key; None for the collection's.
    """
    choice = record.settings.null if null is None else null
    if not isinstance(choice, str) or choice == CALIBRATED or record.settings.encoder is None:
        return None
    return _applicable(await get_encoder_facts(encoders, record.settings), record.settings.similarity)


def _applicable(encoder: EncoderFacts | None, similarity: str) -> EncoderFacts | None:
    """Return the encoder, or None if it is not known, or its cosines tell nothing of this similarity of its vectors."""
    return encoder if encoder is not None and (similarity == "cosine" or encoder.unit_length) else None


def resolve_null(
    record: CollectionRecord,
    measure: Callable[[], KeyBackground | None],
    null: NullChoice | None,
    encoder: EncoderFacts | None,
    terms: TextTerms = NO_TERMS,
) -> NullKey:
    """Return the null key ("none of these") that a request chooses, or else that of the collection.

    Args:
        record: the collection's record.
        measure: measures how similar the collection's own keys are to each other.
        null: the request's choice; None for the collection's.
        encoder: the result of `get_null_encoder` for the same choice.
        terms: the terms that the question's text adds to logits.
    """
    choice = record.settings.null if null is None else null
    if isinstance(choice, str):
        return NullKey(None, choose_background(choice, record, measure(), encoder, terms))
    return NullKey(None if choice is False else float(choice), None)


def describe_null(
    record: CollectionRecord, measure: Callable[[], KeyBackground | None], encoder: EncoderFacts | None, keys: int
) -> tuple[NullBackground | None, float | None]:
    """Return the background of the collection's null key, and the null key's similarity.

    The background is the similarities of unrelated queries and documents. The similarity is that at the collection's
    temperature, to which no question has added yet; both are None if they do not apply.

    Args:
        record: the collection's record.
        measure: measures how similar the collection's own keys are to each other.
        encoder: the facts of the collection's encoder, if they are known.
        keys: the number of keys that queries attend to.
    """
    choice, temperature = record.settings.null, record.settings.temperature
    if choice is False or not isinstance(choice, str):
        return None, None if choice is False else choice
    is_known = record.settings.encoder is None or encoder is not None
    if not (is_known if choice != CALIBRATED else Calibration.read(record.settings.calibration)):
        return None, None
    background = choose_background(choice, record, measure(), _applicable(encoder, record.settings.similarity))
    if background is None:
        return None, None
    return background, background.background.null_key(temperature, keys).level
