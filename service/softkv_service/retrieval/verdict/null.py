"""The null key, "none of these", and the background from which its similarity follows: the similarities of unrelated
questions and documents.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from softkv_attention.lookup import Background, BoundedBackground
from softkv_service.encoding import EncoderFacts, is_short
from softkv_service.retrieval.calibration import NO_TERMS, Calibration, TextTerms
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.retrieval.projection import read_projection
from softkv_service.retrieval.question import NullChoice
from softkv_service.retrieval.verdict.key_background import KeyBackground, SampledKeys
from softkv_service.storage.records import CollectionRecord

Array = np.ndarray[Any, Any]

FULL_WEIGHT_KEYS = 30
"""With fewer keys than this, their own background counts only in part."""


@dataclass(frozen=True)
class Rule:
    """How `auto` combines the backgrounds of an encoder and of a collection's own keys, in deviations of the encoder's.

    Attributes:
        share: the part of the collection's own background, if it has 30 keys or more; with fewer, of n/30 of it.
        most: how far the null key may lie above the encoder's.
        most_of_short: the same for a query of one to three words, if the keys are as short.
        margin: how far a question's own background begins above itself; with few keys the encoder's counts for the
            rest.
        most_beside_question: how far a question's own background may raise the null key above the encoder's: if all
            keys are copies of each other, every question is near to all of them.
        nearness: the part of a question's mean similarity to the keys, above the encoder's mean, by which the null key
            falls, also with `lenient` and `strict`: a question about the subject is nearer to all keys than another.
        measured: where these numbers were found.
    """

    share: float
    most: float
    most_of_short: float
    margin: float
    most_beside_question: float
    nearness: float
    measured: str


RULES: Mapping[Literal["symmetric", "asymmetric"], Rule] = {
    "symmetric": Rule(
        share=0.3,
        most=0.75,
        most_of_short=1.0,
        margin=2 / 3,
        most_beside_question=3.0,
        nearness=0.25,
        measured="all-MiniLM-L6-v2 on the questions of `benchmarks.shapes`, by hand and of templates",
    ),
    "asymmetric": Rule(
        share=0.8,
        most=0.0,
        most_of_short=1.0,
        margin=0.45,
        most_beside_question=3.0,
        nearness=0.0,
        measured="the encoder of many languages on English and Chinese questions of `benchmarks.languages`",
    ),
}
"""The rules without and with the asymmetry of an encoder (`Measurements`): how much less similar questions are to texts
than texts to each other.

With it, the keys say how similar questions are to them, so they count for more. The margin is the same part of the
distance between related and unrelated topics, which is 5.0 deviations for the one and 3.4 for the other. Up to the
encoder's temperature a question's own background counts in full, and from twice that temperature on not at all. The
null key of an encoder's projection is measured with mapped questions, so its rule is the symmetric one.
"""

CALIBRATED = "calibrated"
"""The null key that was fitted to labelled questions."""


@dataclass(frozen=True)
class QuestionBackground:
    """How the null key changes with a question, by its similarities to the keys.

    Attributes:
        sampled: the keys that the question is compared with.
        encoder: how similar unrelated questions and texts are; with few keys it counts for the rest.
        rule: the numbers of the change.
        raises_from: the temperature from which a question that is near to all keys raises the null key less; None if it
            never raises it.
    """

    sampled: SampledKeys
    encoder: Background
    rule: Rule
    raises_from: float | None = None

    def change(self, background: Background, vector: Array) -> Background:
        """Return the background beside a question with this vector [d]."""
        share, encoder, rule = min(len(self.sampled) / FULL_WEIGHT_KEYS, 1.0), self.encoder, self.rule
        mean, deviation = self.sampled.measure(vector)
        mean = (1 - share) * encoder.mean + share * mean
        falls = rule.nearness * (mean - encoder.mean)
        fallen = background.shift(-falls)
        if self.raises_from is None or not isinstance(fallen, BoundedBackground):
            return fallen
        least = BoundedBackground(
            mean + rule.margin * encoder.deviation - falls,
            (1 - share) * encoder.deviation + share * deviation,
            encoder.shift(rule.most_beside_question * encoder.deviation - falls),
        )
        return replace(fallen, at_least=least, fades_from=self.raises_from)


@dataclass(frozen=True)
class NullBackground:
    """The similarities of unrelated queries and documents, as a normal distribution: the background.

    A collection's null key ("none of these") is computed from it.

    Attributes:
        of: its source: the encoder's measurement on unrelated queries and texts, the collection's own keys, both, or
            labelled questions.
        pairs: the number of compared pairs of keys; 0 for labels.
        short: the background for a query of one to three words, if the keys are as short; None if it is the same.
        question: what changes the null key beside each question, but those with the short background; None if nothing.
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
        return replace(self, background=self.question.change(self.background, vector))


@dataclass(frozen=True)
class ResolvedNull:
    """The source of the null key ("none of these") of each query of a request: a similarity, or a background.

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
            raises it. Its numbers are in `RULES`. `calibrated` uses labelled questions alone.
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
    if choice not in keys.derived or keys.derived[choice][0] != encoder:
        keys.derived[choice] = encoder, _measure_background(choice, record, keys, encoder)
    chosen: NullBackground | None = keys.derived[choice][1]
    return chosen


def _measure_background(
    choice: str, record: CollectionRecord, keys: KeyBackground | None, encoder: EncoderFacts | None
) -> NullBackground | None:
    similarity, dimension = record.settings.similarity, record.settings.dimension
    if encoder is None or not (similarity == "cosine" or keys is None or keys.unit):
        return None if keys is None else NullBackground(keys.background, "keys", keys.pairs)
    asymmetry, projection = encoder.asymmetry, read_projection(record.settings)
    if projection is not None and projection.backgrounds is not None:
        (texts, short), asymmetry = projection.backgrounds, None
    else:
        texts, short = (_convert_background(background, similarity, dimension) for background in encoder.backgrounds)
    if keys is None:
        return NullBackground(texts, "encoder", 0)
    rule, n, of_keys = RULES["symmetric" if asymmetry is None else "asymmetric"], len(keys.sampled), keys.background
    question = QuestionBackground(keys.sampled, texts, rule) if n and rule.nearness else None
    if choice == "lenient":
        return NullBackground(texts, "encoder", 0, short if keys.short else None, question)
    enough = min(keys.keys / FULL_WEIGHT_KEYS, 1.0)
    if choice == "strict":
        of_texts, of_short = (_interpolate(one, of_keys, enough) for one in (texts, short))
        of: Literal["keys", "both"] = "keys" if enough == 1 else "both"
        return NullBackground(of_texts, of, keys.pairs, of_short if keys.short else None, question)
    if asymmetry is not None:
        zero = _convert_background(Background(0.0, 0.0), similarity, dimension).mean
        of_keys = Background(zero + asymmetry * (of_keys.mean - zero), texts.deviation)
    between, of_short = (_interpolate(one, of_keys, enough * rule.share) for one in (texts, short))
    # Meaningless strings are as similar to short keys as words are, so a short query needs as much as with `lenient`.
    of_short = max(short, of_short if asymmetry is None else of_keys, key=lambda one: one.mean)
    scale = math.sqrt(dimension or 1) if similarity == "scaled_dot" else 1.0
    return NullBackground(
        _cap(between, texts, rule.most),
        "both",
        keys.pairs,
        _cap(of_short, short, rule.most_of_short) if keys.short else None,
        QuestionBackground(keys.sampled, texts, rule, encoder.temperature / scale) if n else None,
        in_bytes=asymmetry is not None,
    )


def _cap(background: Background, encoder: Background, deviations: float) -> BoundedBackground:
    """Return a background whose null key is at most as similar as the encoder's, that many deviations higher."""
    return BoundedBackground(background.mean, background.deviation, encoder.shift(deviations * encoder.deviation))


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


def applicable(encoder: EncoderFacts | None, similarity: str) -> EncoderFacts | None:
    """Return the encoder, or None if it is not known, or its cosines tell nothing of this similarity of its vectors."""
    return encoder if encoder is not None and (similarity == "cosine" or encoder.unit_length) else None


def resolve_null(
    record: CollectionRecord,
    measure: Callable[[], KeyBackground | None],
    null: NullChoice | None,
    encoder: EncoderFacts | None,
    terms: TextTerms = NO_TERMS,
) -> ResolvedNull:
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
        facts = applicable(encoder, record.settings.similarity)
        return ResolvedNull(None, choose_background(choice, record, measure(), facts, terms))
    return ResolvedNull(None if choice is False else float(choice), None)


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
    background = choose_background(choice, record, measure(), applicable(encoder, record.settings.similarity))
    if background is None:
        return None, None
    return background, background.background.null_key(temperature, keys).level
