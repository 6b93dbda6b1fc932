"""The null key, "none of these", and the background from which its similarity follows: the similarities of unrelated
questions and documents.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from attention.lookup import Background, BoundedBackground
from service.encoding import EncoderFacts, Encoders, is_short
from service.retrieval.calibration import NO_TERMS, Calibration, TextTerms
from service.retrieval.collections.key_background import KeyBackground, SampledKeys
from service.retrieval.collections.projection import read_projection
from service.retrieval.collections.settings import get_encoder_facts
from service.retrieval.errors import InvalidContent
from service.storage.records import CollectionRecord

NullChoice = float | Literal["auto", "lenient", "strict", "calibrated", False]
Array = np.ndarray[Any, Any]

FULL_WEIGHT_KEYS = 30
"""With fewer keys than this, their own background counts only in part."""

MOST, MARGIN, MOST_BESIDE_QUESTION = 1.0, 2 / 3, 3.0
"""Bounds of `auto`, in deviations of the encoder's background.

The null key of the collection is at most the first above the encoder's. That of a question's own background begins the
second above itself, and ends the third above the encoder's: if all keys are copies of each other, every question is
near to all of them.
"""

CALIBRATED = "calibrated"
"""The null key that was fitted to labelled questions."""


@dataclass(frozen=True)
class QuestionBackground:
    """A bound that raises the null key beside one question: a question near to all keys needs more to be answered.

    Attributes:
        sampled: the keys that the question is compared with.
        encoder: how similar unrelated questions and texts are; with few keys it counts for the rest, and its deviation
            is the margin.
        at_most: the background with the highest null key that a question may have.
        fades_from: the temperature from which this fades.
    """

    sampled: SampledKeys
    encoder: Background
    at_most: Background
    fades_from: float

    def of(self, vector: Array) -> BoundedBackground:
        """Return the least background beside a question with this vector [d]."""
        mean, deviation = self.sampled.measure(vector)
        share = min(len(self.sampled) / FULL_WEIGHT_KEYS, 1.0)
        between = (1 - share) * self.encoder.mean + share * mean
        return BoundedBackground(
            between + MARGIN * self.encoder.deviation,
            (1 - share) * self.encoder.deviation + share * deviation,
            self.at_most,
        )


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
    """

    background: Background
    of: Literal["encoder", "keys", "both", "labels"]
    pairs: int
    short: Background | None = None
    question: QuestionBackground | None = None

    def beside(self, query: str | Array, vector: Array) -> NullBackground:
        """Return a copy with the background for this query: that of short texts if it is one, or its own bound.

        Args:
            query: the query as it was sent.
            vector: its vector [d].
        """
        if self.short is not None and isinstance(query, str) and is_short(query):
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
            raises it. `calibrated` uses labelled questions alone.
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
    dimension = record.settings.dimension
    projection = read_projection(record.settings)
    if projection is not None and projection.backgrounds is not None:
        texts, short = projection.backgrounds
    else:
        texts, short = (_convert_background(background, similarity, dimension) for background in encoder.backgrounds)
    if keys is None:
        return NullBackground(texts, "encoder", 0)
    if choice == "lenient":
        return NullBackground(texts, "encoder", 0, short if keys.short else None)
    share = min(record.attendable / FULL_WEIGHT_KEYS, 1.0) * (0.5 if choice == "auto" else 1.0)
    background, of_short = (_interpolate(one, keys.background, share) for one in (texts, short))
    if choice == "auto":
        of_short = _cap(short if short.mean >= of_short.mean else of_short, short, MOST)
        scale = math.sqrt(dimension or 1) if similarity == "scaled_dot" else 1.0
        fades_from = encoder.temperature / scale
        highest = _raise(texts, MOST_BESIDE_QUESTION * texts.deviation)
        question = QuestionBackground(keys.sampled, texts, highest, fades_from) if len(keys.sampled) else None
        return NullBackground(
            _cap(background, texts, MOST), "both", keys.pairs, of_short if keys.short else None, question
        )
    of: Literal["keys", "both"] = "keys" if share == 1 else "both"
    return NullBackground(background, of, keys.pairs, of_short if keys.short else None)


def _cap(background: Background, encoder: Background, deviations: float) -> BoundedBackground:
    """Return a background whose null key is at most as similar as the encoder's, that many deviations higher."""
    at_most = _raise(encoder, deviations * encoder.deviation)
    return BoundedBackground(background.mean, background.deviation, at_most)


def _raise(background: Background, by: float) -> Background:
    return Background(background.mean + by, background.deviation)


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
    if record.settings.encoder is not None and encoder is None and choice != CALIBRATED:
        return None, None
    if choice == CALIBRATED and Calibration.read(record.settings.calibration) is None:
        return None, None
    background = choose_background(choice, record, measure(), _applicable(encoder, record.settings.similarity))
    if background is None:
        return None, None
    return background, background.background.null_key(temperature, keys).level
