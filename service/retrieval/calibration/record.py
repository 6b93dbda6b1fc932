"""The calibration that a collection stores."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from service.retrieval.calibration.confidence import Curve
from service.retrieval.calibration.fit import Variant

VERSION = 2
"""Of what is kept; another one is as if there were none."""

OUTGROWN_FACTOR = 2.0
"""So many times the documents, or as many times fewer: then the collection has outgrown its calibration."""


@dataclass(frozen=True)
class Calibration:
    """What labelled questions said of a collection.

    Attributes:
        documents: how many it had then.
        encoder: of its vectors then.
        temperature: T that was fitted, and that everything else holds at.
        full_text: λ that was fitted; 0 where words gain nothing.
        present, absent: how many questions had an answer, and had none.
        plain, words: what holds without words, and with λ; the latter None where λ is 0.
        was: temperature and null of the collection before it was kept.
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
        """What holds with that λ; None where nothing was fitted for it."""
        if full_text == 0:
            return self.plain
        return self.words if full_text == self.full_text else None

    def outgrown(self, documents: int, encoder: str | None, temperature: float) -> bool:
        """Whether the collection is another one by now: by its size, its encoder or its temperature."""
        alike = documents <= OUTGROWN_FACTOR * self.documents and self.documents <= OUTGROWN_FACTOR * documents
        return not (alike and encoder == self.encoder and temperature == self.temperature)

    def text(self) -> str:
        """As JSON."""
        fields = asdict(self) | {
            "plain": _encode_variant(self.plain),
            "words": self.words and _encode_variant(self.words),
        }
        return json.dumps({"version": VERSION} | fields, separators=(",", ":"))

    @classmethod
    def read(cls, text: str | None) -> Calibration | None:
        """Of such JSON; None where there is none, or it is of another version."""
        fields = {} if text is None else json.loads(text)
        if fields.pop("version", None) != VERSION:
            return None
        plain, words, was = (fields.pop(name) for name in ("plain", "words", "was"))
        return cls(**fields, plain=_decode_variant(plain), words=words and _decode_variant(words), was=tuple(was))


def _encode_variant(variant: Variant) -> dict[str, Any]:
    return asdict(variant) | {"thresholds": list(variant.thresholds.items())}


def _decode_variant(fields: dict[str, Any]) -> Variant:
    return Variant(fields["level"], Curve(**fields["curve"]), dict(map(tuple, fields["thresholds"])))
