"""The null key, "none of these": which background the null key stands on, and how it is measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from attention.lookup import Background
from service.encoding import Backgrounds, Encoder, LoadingEncoder, is_short
from service.retrieval.calibration import Calibration
from service.retrieval.collections.settings import get_encoding_queue
from service.retrieval.errors import InvalidContent
from service.storage import CollectionRecord, DocumentDamaged, Reader

NullChoice = float | Literal["auto", "lenient", "strict", "calibrated", False]
Array = np.ndarray[Any, Any]

SAMPLE_DOCUMENTS = 512
"""Documents whose keys are compared: half of them with the other half, or of fewer each with each."""

FULL_WEIGHT_KEYS = 30
"""Keys below which their own background counts in part only."""

MIN_KEYS = 3
"""Keys below which there is no background of theirs at all."""

COPY_COSINE = 0.8
"""The cosine from which on two keys are versions of one thing, and say nothing about unrelated ones."""

SAMPLE_TEXTS = 64
"""Documents whose key texts say whether keys are short."""

CALIBRATED = "calibrated"
"""The null key that labelled questions have fitted."""

UNIT_TOLERANCE = 0.01  # how far from 1 a length may be; bfloat16 needs 4e-3


@dataclass(frozen=True)
class KeyBackground:
    """The collection's own background: how similar the keys of two different documents are.

    Attributes:
        background: in the collection's similarity.
        pairs: how many pairs it was measured on.
        unit: whether all keys have length 1, so that their similarities follow from cosines.
        short: whether most keys are texts of one to three words.
    """

    background: Background
    pairs: int
    unit: bool
    short: bool = False

    @classmethod
    def measure(cls, similarity: str, keys: Array, texts: Sequence[str | None] = ()) -> KeyBackground | None:
        """Of a sample of keys float32[n, d] and the texts of some; None where no pair is left.

        Copies are left out: a thousand of one text would make everything look alike.
        """
        if len(keys) < MIN_KEYS:
            return None
        vectors = keys.astype(np.float64)
        norms = np.linalg.norm(vectors, axis=1)
        half = len(keys) // 2
        if len(keys) < SAMPLE_DOCUMENTS:
            some, others, pairs = slice(None), slice(None), np.tri(len(keys), k=-1, dtype=np.bool_)
        else:
            some, others, pairs = slice(half), slice(half, None), np.ones((half, len(keys) - half), dtype=np.bool_)
        products = vectors[some] @ vectors[others].T
        lengths = norms[some, None] * norms[others]
        cosines = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
        if similarity == "cosine":
            found = cosines
        elif similarity == "gaussian":
            found = products - (norms[some, None] ** 2 + norms[others] ** 2) / 2
        else:
            found = products / math.sqrt(keys.shape[1]) if similarity == "scaled_dot" else products
        unrelated = found[pairs & (cosines < COPY_COSINE)]
        if not unrelated.size:
            return None
        background = Background(float(unrelated.mean()), float(unrelated.std()))
        short = 2 * sum(text is not None and is_short(text) for text in texts) > len(texts)
        return cls(background, unrelated.size, bool((np.abs(norms - 1) <= UNIT_TOLERANCE).all()), short)


class KeySample:
    """The keys of one collection that are compared with one another: measured again where they are others."""

    def __init__(self) -> None:
        self._measured: tuple[int | None, bytes, KeyBackground | None] = (None, b"", None)

    def own(self, record: CollectionRecord, reader: Reader, version: int | None = None) -> KeyBackground | None:
        """The collection's own background, as of what the reader sees.

        Args:
            version: of the collection, as of the reader; nothing is read where it was measured at that version.
        """
        at, sampled, own = self._measured
        if version is not None and version == at:
            return own
        rows = reader.sample(record.id, SAMPLE_DOCUMENTS)
        if rows.tobytes() != sampled:
            texts = _texts(record, reader, rows[:SAMPLE_TEXTS])
            at, own = None, KeyBackground.measure(record.settings.similarity, reader.keys(record.id, rows), texts)
        self._measured = at if version is None else version, rows.tobytes(), own
        return own


def _texts(record: CollectionRecord, reader: Reader, rows: Array) -> list[str | None]:
    """The key texts of documents, as far as they are sound; none of vectors alone."""
    found = list[str | None]()
    if record.settings.encoder is not None:
        for row in rows:
            with suppress(DocumentDamaged):  # which whoever asks for the document is told
                found += [document.key for document in reader.texts(record.id, np.array([row]))]
    return found


@dataclass(frozen=True)
class NullBackground:
    """The background that a collection's null key stands on.

    Attributes:
        of: whose it is: the encoder's, of unrelated questions and texts; the collection's own keys'; of both; or of
            labelled questions.
        pairs: of keys that were compared; 0 of labels.
        short: for a question of one to three words, where the keys are as short; None where there is no other.
    """

    background: Background
    of: Literal["encoder", "keys", "both", "labels"]
    pairs: int
    short: Background | None = None

    def beside(self, query: str | Array) -> NullBackground:
        """Return it with the background that applies to this question: the short one for a short text."""
        if self.short is None or not (isinstance(query, str) and is_short(query)):
            return self
        return replace(self, background=self.short)


@dataclass(frozen=True)
class NullKey:
    """The null key of a request.

    Attributes:
        similarity: where that was chosen; None for no null key, and where it stands on a background.
        standing: what it stands on where it is one with a name.
    """

    similarity: float | None
    standing: NullBackground | None

    def of(self, query: str | Array) -> float | Background | None:
        """What it weighs beside this question: a similarity, or as much as a background; None for no null key."""
        return self.similarity if self.standing is None else self.standing.beside(query).background


def choose_background(
    choice: str,
    record: CollectionRecord,
    own: KeyBackground | None,
    encoder: Backgrounds | None,
    full_text: float = 0.0,
) -> NullBackground | None:
    """What a null key of that name stands on; None where there are too few keys to measure anything.

    Args:
        choice: `strict` stands on the collection's own background, `lenient` on the encoder's, `auto` halfway. Where
            one of the two is missing, all stand on the other. Of short questions `auto` stands no lower than `lenient`:
            strings that mean nothing are as similar to short keys as words are. `calibrated` stands on labelled
            questions alone.
        own: of fewer than 30 keys it counts for keys/30, and the encoder's for the rest.
        full_text: what words weigh, of which labelled questions say how heavy the null key is beside them.
        encoder: of cosines; None without an encoder. It says nothing of keys that are compared by their lengths too and
            have others than 1.
    """
    similarity = record.settings.similarity
    if choice == CALIBRATED:
        found = require_calibration(record, "/null")
        return NullBackground(Background((found.variant(full_text) or found.plain).level, 0.0), "labels", 0)
    if encoder is None or not (similarity == "cosine" or own is None or own.unit):
        return None if own is None else NullBackground(own.background, "keys", own.pairs)
    texts, short = (_convert_background(each, similarity, record.settings.dimension) for each in encoder)
    if own is None:
        return NullBackground(texts, "encoder", 0)
    if choice == "lenient":
        return NullBackground(texts, "encoder", 0, short if own.short else None)
    share = min(record.attendable / FULL_WEIGHT_KEYS, 1.0) * (0.5 if choice == "auto" else 1.0)
    between = partial(_interpolate, own=own.background, share=share)
    of_short = between(short)
    if choice == "auto":
        of_short = max(short, of_short, key=lambda each: each.mean)
    return NullBackground(between(texts), "keys" if share == 1 else "both", own.pairs, of_short if own.short else None)


def require_calibration(record: CollectionRecord, pointer: str) -> Calibration:
    """What labelled questions said of the collection.

    Raises:
        InvalidContent: nothing, or it is of another version of softkv; at the pointer of what needs it.
    """
    found = Calibration.read(record.settings.calibration)
    if found is None:
        raise InvalidContent.at(
            pointer,
            f"{pointer.removeprefix('/')} needs a calibration, and collection {record.name!r} has none: send labelled "
            'questions to /calibrate with "apply": true, or ask without it',
        )
    return found


def _convert_background(cosines: Background, similarity: str, dimension: int | None) -> Background:
    """A background of cosines in another similarity, for vectors of length 1."""
    if similarity == "scaled_dot":
        return Background(cosines.mean / math.sqrt(dimension or 1), cosines.deviation / math.sqrt(dimension or 1))
    return Background(cosines.mean - 1, cosines.deviation) if similarity == "gaussian" else cosines


def _interpolate(encoder: Background, own: Background, share: float) -> Background:
    return Background(
        (1 - share) * encoder.mean + share * own.mean, (1 - share) * encoder.deviation + share * own.deviation
    )


async def get_encoder_backgrounds(
    encoder: LoadingEncoder | None, record: CollectionRecord, asked: NullChoice | None
) -> Backgrounds | None:
    """The backgrounds of the collection's encoder, where the null key is to stand on them."""
    choice = record.settings.null if asked is None else asked
    if not isinstance(choice, str) or choice == CALIBRATED or record.settings.encoder is None:
        return None
    return _backgrounds((await get_encoding_queue(encoder, record.settings)).encoder, record.settings.similarity)


def _backgrounds(encoder: Encoder | None, similarity: str) -> Backgrounds | None:
    """The encoder's backgrounds, of cosines, where they say how similar its vectors are."""
    if encoder is None or not (similarity == "cosine" or encoder.unit_length):
        return None
    return encoder.backgrounds


def resolve_null(
    record: CollectionRecord,
    own: Callable[[], KeyBackground | None],
    asked: NullChoice | None,
    encoder: Backgrounds | None,
    full_text: float = 0.0,
) -> NullKey:
    """The null key, as asked or else as the collection says.

    Args:
        own: measures the collection's own background.
        encoder: what `get_encoder_backgrounds` gave for the same choice.
        full_text: what words weigh.
    """
    choice = record.settings.null if asked is None else asked
    if isinstance(choice, str):
        return NullKey(None, choose_background(choice, record, own(), encoder, full_text))
    return NullKey(None if choice is False else float(choice), None)


def describe_null(
    record: CollectionRecord, own: Callable[[], KeyBackground | None], encoder: Encoder | None, keys: int
) -> tuple[NullBackground | None, float | None]:
    """The background that the collection's null key stands on, and its similarity at the collection's temperature.

    Args:
        encoder: the collection's, where it is loaded.
        keys: how many there are to attend to.
    """
    choice, temperature = record.settings.null, record.settings.temperature
    if choice is False or not isinstance(choice, str):
        return None, None if choice is False else choice
    if record.settings.encoder is not None and encoder is None and choice != CALIBRATED:
        return None, None
    if choice == CALIBRATED and Calibration.read(record.settings.calibration) is None:
        return None, None
    found = choose_background(choice, record, own(), _backgrounds(encoder, record.settings.similarity))
    if found is None:
        return None, None
    return found, found.background.null_key(temperature, keys).level(temperature)
