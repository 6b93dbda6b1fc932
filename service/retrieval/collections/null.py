"""The null key, "none of these", and the background from which its similarity follows: the similarities of unrelated
questions and documents.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from attention.lookup import Background
from service.encoding import Backgrounds, EncoderFacts, Encoders, is_short
from service.retrieval.calibration import Calibration
from service.retrieval.collections.settings import get_encoder_facts
from service.retrieval.errors import InvalidContent
from service.storage import CollectionRecord, DocumentDamaged, Reader

NullChoice = float | Literal["auto", "lenient", "strict", "calibrated", False]
Array = np.ndarray[Any, Any]

SAMPLE_DOCUMENTS = 512
"""The number of documents whose keys are compared: one half with the other half, or, of fewer, each with each."""

FULL_WEIGHT_KEYS = 30
"""With fewer keys than this, their own background counts only in part."""

MIN_KEYS = 3
"""With fewer keys than this, they have no background of their own."""

COPY_COSINE = 0.8
"""From this cosine on, two keys are versions of the same thing, and say nothing about unrelated keys."""

SAMPLE_TEXTS = 64
"""The number of documents whose key texts decide whether keys are short."""

CALIBRATED = "calibrated"
"""The null key that was fitted to labelled questions."""

UNIT_TOLERANCE = 0.01  # the largest distance of a length from 1; bfloat16 needs 4e-3


@dataclass(frozen=True)
class KeyBackground:
    """A collection's own background: how similar the keys of two different documents are to each other.

    Unrelated questions and documents are about as similar, so the null key ("none of these") is computed from it.

    Attributes:
        background: mean and standard deviation of these similarities.
        pairs: the number of pairs of keys that were compared.
        unit: whether all keys have length 1, so that their similarities follow from cosines.
        short: whether most keys are texts of one to three words.
    """

    background: Background
    pairs: int
    unit: bool
    short: bool = False

    @classmethod
    def measure(cls, similarity: str, keys: Array, texts: Sequence[str | None] = ()) -> KeyBackground | None:
        """Measure how similar keys of different documents are to each other; None if no two keys are left to compare.

        Copies of a key are left out, because a thousand copies of one text would make all keys look alike.

        Args:
            similarity: the similarity by which the collection compares queries and keys.
            keys: float32[n, d], a sample of the collection's keys.
            texts: the key texts of some of their documents, which show whether keys are short.
        """
        if len(keys) < MIN_KEYS:
            return None
        vectors = keys.astype(np.float64)
        norms = np.linalg.norm(vectors, axis=1)
        half = len(keys) // 2
        if len(keys) < SAMPLE_DOCUMENTS:
            left, right, pairs = slice(None), slice(None), np.tri(len(keys), k=-1, dtype=np.bool_)
        else:
            left, right, pairs = slice(half), slice(half, None), np.ones((half, len(keys) - half), dtype=np.bool_)
        products = vectors[left] @ vectors[right].T
        lengths = norms[left, None] * norms[right]
        cosines = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
        if similarity == "cosine":
            similarities = cosines
        elif similarity == "gaussian":
            similarities = products - (norms[left, None] ** 2 + norms[right] ** 2) / 2
        else:
            similarities = products / math.sqrt(keys.shape[1]) if similarity == "scaled_dot" else products
        unrelated = similarities[pairs & (cosines < COPY_COSINE)]
        if not unrelated.size:
            return None
        background = Background(float(unrelated.mean()), float(unrelated.std()))
        short = 2 * sum(text is not None and is_short(text) for text in texts) > len(texts)
        return cls(background, unrelated.size, bool((np.abs(norms - 1) <= UNIT_TOLERANCE).all()), short)


class KeySample:
    """A sample of a collection's keys, whose similarities to each other are measured: the collection's own background.

    The background is measured again if the sample changes.
    """

    def __init__(self) -> None:
        self._measured: tuple[Hashable, bytes, KeyBackground | None] = (None, b"", None)

    def own(self, record: CollectionRecord, reader: Reader, version: Hashable = None) -> KeyBackground | None:
        """Return the collection's own background (the similarities between keys of different documents).

        Args:
            record: the collection's record.
            reader: the version of the collection to measure.
            version: a name of that version, if known. If the background of this version was measured already,
                nothing is read.
        """
        measured_version, sampled, background = self._measured
        if version is not None and version == measured_version:
            return background
        rows = reader.sample(record.id, SAMPLE_DOCUMENTS)
        if rows.tobytes() != sampled:
            texts = _texts(record, reader, rows[:SAMPLE_TEXTS])
            measured_version, background = (
                None,
                KeyBackground.measure(record.settings.similarity, reader.keys(record.id, rows), texts),
            )
        self._measured = measured_version if version is None else version, rows.tobytes(), background
        return background


def _texts(record: CollectionRecord, reader: Reader, rows: Array) -> list[str | None]:
    """Return the undamaged key texts of documents; empty if the collection has only vectors."""
    texts = list[str | None]()
    if record.settings.encoder is not None:
        for row in rows:
            with suppress(DocumentDamaged):  # reported to callers that read the document
                texts += [document.key for document in reader.texts(record.id, np.array([row]))]
    return texts


@dataclass(frozen=True)
class NullBackground:
    """The similarities of unrelated queries and documents, as a normal distribution: the background.

    A collection's null key ("none of these") is computed from it.

    Attributes:
        of: its source: the encoder's measurement on unrelated queries and texts, the collection's own keys, both, or
            labelled questions.
        pairs: the number of compared pairs of keys; 0 for labels.
        short: the background for a query of one to three words, if the keys are as short; None if it is the same.
    """

    background: Background
    of: Literal["encoder", "keys", "both", "labels"]
    pairs: int
    short: Background | None = None

    def beside(self, query: str | Array) -> NullBackground:
        """Return a copy with the mean and deviation for this query: those of short texts if it is a short text."""
        if self.short is None or not (isinstance(query, str) and is_short(query)):
            return self
        return replace(self, background=self.short)


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

    def of(self, query: str | Array) -> float | Background | None:
        """Return the null key for this query; None without one.

        It is a similarity, or the background (similarities of unrelated queries and documents) from which one follows.
        """
        return self.similarity if self.standing is None else self.standing.beside(query).background


def choose_background(
    choice: str,
    record: CollectionRecord,
    keys: KeyBackground | None,
    encoder: Backgrounds | None,
    full_text: float = 0.0,
) -> NullBackground | None:
    """Return the background of a null choice: the similarities that unrelated queries and documents have.

    Return None if there are too few keys to measure one.

    Args:
        choice: `strict` uses the collection's own background, `lenient` the encoder's, and `auto` the middle. If one of
            the two is missing, all use the other. For short queries `auto` is at least as high as `lenient`:
            meaningless strings are as similar to short keys as words are. `calibrated` uses labelled questions alone.
        record: the collection's record.
        keys: the collection's own background; with fewer than 30 keys it counts for keys/30, and the encoder's for the
            rest.
        encoder: the encoder's backgrounds, of cosines; None without an encoder. They do not apply if keys are compared
            by their lengths, too, and have other lengths than 1.
        full_text: the weight of full text, which selects the null key that labelled questions gave for it.
    """
    similarity = record.settings.similarity
    if choice == CALIBRATED:
        calibration = require_calibration(record, "/null")
        return NullBackground(Background((calibration.variant(full_text) or calibration.plain).level, 0.0), "labels", 0)
    if encoder is None or not (similarity == "cosine" or keys is None or keys.unit):
        return None if keys is None else NullBackground(keys.background, "keys", keys.pairs)
    texts, short = (_convert_background(background, similarity, record.settings.dimension) for background in encoder)
    if keys is None:
        return NullBackground(texts, "encoder", 0)
    if choice == "lenient":
        return NullBackground(texts, "encoder", 0, short if keys.short else None)
    share = min(record.attendable / FULL_WEIGHT_KEYS, 1.0) * (0.5 if choice == "auto" else 1.0)
    of_short = None
    if keys.short:
        of_short = _interpolate(short, keys.background, share)
        if choice == "auto" and short.mean >= of_short.mean:
            of_short = short
    background = _interpolate(texts, keys.background, share)
    return NullBackground(background, "keys" if share == 1 else "both", keys.pairs, of_short)


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


async def get_encoder_backgrounds(
    encoders: Encoders, record: CollectionRecord, null: NullChoice | None
) -> Backgrounds | None:
    """Return how similar unrelated queries and texts are by the collection's encoder: its backgrounds.

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
    return _backgrounds(await get_encoder_facts(encoders, record.settings), record.settings.similarity)


def _backgrounds(encoder: EncoderFacts | None, similarity: str) -> Backgrounds | None:
    """Return the encoder's backgrounds: how similar unrelated queries and texts are, as cosines.

    Return None if they are not known, or do not apply to this similarity of its vectors.
    """
    if encoder is None or not (similarity == "cosine" or encoder.unit_length):
        return None
    return encoder.backgrounds


def resolve_null(
    record: CollectionRecord,
    measure: Callable[[], KeyBackground | None],
    null: NullChoice | None,
    encoder: Backgrounds | None,
    full_text: float = 0.0,
) -> NullKey:
    """Return the null key ("none of these") that a request chooses, or else that of the collection.

    Args:
        record: the collection's record.
        measure: measures how similar the collection's own keys are to each other.
        null: the request's choice; None for the collection's.
        encoder: the result of `get_encoder_backgrounds` for the same choice.
        full_text: the weight of full text.
    """
    choice = record.settings.null if null is None else null
    if isinstance(choice, str):
        return NullKey(None, choose_background(choice, record, measure(), encoder, full_text))
    return NullKey(None if choice is False else float(choice), None)


def describe_null(
    record: CollectionRecord, measure: Callable[[], KeyBackground | None], encoder: EncoderFacts | None, keys: int
) -> tuple[NullBackground | None, float | None]:
    """Return the background of the collection's null key, and the null key's similarity.

    The background is the similarities of unrelated queries and documents. The similarity is that at the collection's
    temperature; both are None if they do not apply.

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
    background = choose_background(choice, record, measure(), _backgrounds(encoder, record.settings.similarity))
    if background is None:
        return None, None
    return background, background.background.null_key(temperature, keys).level(temperature)
