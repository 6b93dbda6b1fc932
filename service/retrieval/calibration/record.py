"""The calibration that a collection stores."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from service.retrieval.calibration.confidence import Curve
from service.retrieval.calibration.fit import Variant

VERSION = 2
"""The version of the stored format; other versions are ignored."""

OUTGROWN_FACTOR = 2.0
"""A collection outgrows its calibration if its number of documents grows or shrinks by more than this factor."""


@dataclass(frozen=True)
class Calibration:
    """The calibration of a collection.

    Attributes:
        documents: the number of documents at that time.
        encoder: that of its vectors at that time.
        temperature: the fitted T; everything else holds only at it.
        full_text: the fitted λ; 0 if full text gains nothing.
        present, absent: the number of questions with an answer, and without.
        plain, words: the variants without full text, and with λ; the latter None if λ is 0.
        was: temperature and null of the collection before it was applied.
    """

    documents: int
    encoder: str | None
    temperature: float
    full_text: float
    present: int
    absent: int
    plain: Variant
    words: Variant | None
    was: tuple[float, Any]

    def variant(self, full_text: float) -> Variant | None:
        """Return the variant for that λ; None if nothing was fitted for it."""
        if full_text == 0:
            return self.plain
        return self.words if full_text == self.full_text else None

    def outgrown(self, documents: int, encoder: str | None, temperature: float) -> bool:
        """Return whether the collection has changed too much: its size, its encoder or its temperature."""
        same_size = documents <= OUTGROWN_FACTOR * self.documents and self.documents <= OUTGROWN_FACTOR * documents
        return not (same_size and encoder == self.encoder and temperature == self.temperature)

    def text(self) -> str:
        """Return it as JSON."""
        fields = asdict(self) | {
            "plain": _encode_variant(self.plain),
            "words": self.words and _encode_variant(self.words),
        }
        return json.dumps({"version": VERSION} | fields, separators=(",", ":"))

    @classmethod
    def read(cls, text: str | None) -> Calibration | None:
        """Parse such JSON; return None for None or another version."""
        fields = {} if text is None else json.loads(text)
        if fields.pop("version", None) != VERSION:
            return None
        plain, words, was = (fields.pop(name) for name in ("plain", "words", "was"))
        return cls(**fields, plain=_decode_variant(plain), words=words and _decode_variant(words), was=tuple(was))


def _encode_variant(variant: Variant) -> dict[str, Any]:
    return asdict(variant) | {"thresholds": list(variant.thresholds.items())}


def _decode_variant(fields: dict[str, Any]) -> Variant:
    return Variant(fields["level"], Curve(**fields["curve"]), dict(map(tuple, fields["thresholds"])))
