"""The calibration that a collection stores."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

from softkv_service.encoding import LATE
from softkv_service.retrieval.calibration.abstention import ErrorBound
from softkv_service.retrieval.calibration.confidence import Curve
from softkv_service.retrieval.calibration.fit import Variant
from softkv_service.storage.records import Null

LabelSource: TypeAlias = Literal["labels", "feedback"]
"""The origin of the questions of a calibration: the request, or stored feedback."""

VERSION = 2
"""The version of the stored format; other versions are ignored."""

_FORMER = ("itself", "promised", "refit")
"""Fields that earlier builds stored: a fit to the collection's own texts, and what later feedback said of the fit."""

_FORMER_SETS = "thresholds"
"""The field of a variant in which earlier builds stored the least weights of conformal sets."""

OUTGROWN_FACTOR = 2.0
"""A collection outgrows its calibration if its number of documents grows or shrinks by more than this factor."""


LATE_WEIGHTS = (0.0, 1.0)
RERANKER_WEIGHTS = (0.0, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)
"""The weights that are tried for a reranker: the logit of a document that it read gains weight · its logit."""


@dataclass(frozen=True)
class RerankerSettings:
    """A reranker that reads the best documents of a query, and adds to their logits.

    Attributes:
        model: the name of the reranker, or `LATE`; None for the first of the service.
        depth: how many documents it reads, the best by the logits of the query without it.
        weight: the factor of its logits; "auto" stands for the calibrated one, if there is one.
    """

    model: str | None
    depth: int
    weight: float | Literal["auto"] = "auto"

    @property
    def grid(self) -> tuple[float, ...]:
        """The weights that a calibration tries; late interaction has its weight, or does not count."""
        return LATE_WEIGHTS if self.model == LATE else RERANKER_WEIGHTS

    def reads_as(self, other: RerankerSettings | None) -> bool:
        """Return whether the other one is the same model, which reads as many documents."""
        return other is not None and (self.model, self.depth) == (other.model, other.depth)


USUAL_LATE = RerankerSettings(LATE, 10)
"""Late interaction of questions that do not send their own depth."""


@dataclass(frozen=True)
class TextTerms:
    """The terms that the text of a question adds to logits: its words in full text, and a reranker that reads it.

    Attributes:
        full_text: the weight of full text; 0 for none.
        reranker: the reranker; None for none.
    """

    full_text: float = 0.0
    reranker: RerankerSettings | None = None


NO_TERMS = TextTerms()


@dataclass(frozen=True)
class Calibration:
    """The calibration of a collection: parameters that were fitted to labelled questions, as it is stored.

    Attributes:
        documents: the number of documents when the calibration was fitted.
        encoder: the encoder of the collection's vectors at that time.
        temperature: the fitted T; everything else holds only at it.
        full_text: the fitted λ, the weight of full text; 0 if full text gains nothing.
        present, absent: the number of questions with an answer, and without.
        plain, words: the fitted parameters without full text, and with λ; `words` is None if λ is 0.
        was: the collection's settings `temperature` and `null` before the calibration was applied.
        null: the null key of the collection with this calibration: "calibrated", or its own.
        source: where the questions came from.
        at: the time of the fit, in seconds of Unix time; None in a calibration of an earlier version.
        rerank: the reranker with its fitted weight, 0 if it gains nothing; None if the fit did not ask one.
        reranked: the fitted parameters with that reranker, without full text; None if its weight is 0.
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
    null: Null = "calibrated"
    source: LabelSource = "labels"
    at: float | None = None
    rerank: RerankerSettings | None = None
    reranked: Variant | None = None

    def variant(self, terms: TextTerms = NO_TERMS) -> Variant | None:
        """Return the parameters that were fitted for these terms; None if none were."""
        if terms.reranker is not None:
            return (self.reranked or self.plain) if terms == TextTerms(0, self.rerank) else None
        if terms.full_text == 0:
            return self.plain
        return self.words if terms.full_text == self.full_text else None

    def nearest_variant(self, terms: TextTerms) -> Variant:
        """Return the parameters that were fitted for these terms, or else for those of them that were fitted."""
        return self.variant(terms) or self.variant(replace(terms, reranker=None)) or self.plain

    @property
    def has_late(self) -> bool:
        """Whether it was fitted with late interaction, as questions have it that send no `rerank`, and this counts."""
        return self.reranked is not None and USUAL_LATE.reads_as(self.rerank)

    def describe_other_reranker(self, terms: TextTerms) -> str | None:
        """Return the difference between a question's reranker and the fitted one.

        Return None if they are equal, or if the question has no reranker.
        """
        if terms.reranker is None or terms.reranker == self.rerank:
            return None
        if self.rerank is None:
            return "a reranker adds to the logits"
        one, other = (f"{r.model!r} with depth {r.depth} and weight {r.weight}" for r in (terms.reranker, self.rerank))
        return f"the reranker is {one}, not {other}"

    @property
    def terms(self) -> TextTerms:
        """The fitted terms of a question's text."""
        return TextTerms(self.full_text, self.rerank)

    def outgrown(self, documents: int, encoder: str | None, temperature: float) -> bool:
        """Return whether the collection has changed too much since the fit for the calibration to apply.

        Args:
            documents, encoder, temperature: those of the collection now.
        """
        same_size = documents <= OUTGROWN_FACTOR * self.documents and self.documents <= OUTGROWN_FACTOR * documents
        return not (same_size and encoder == self.encoder and temperature == self.temperature)

    def undo(self, temperature: float, null: Any) -> tuple[float, Any]:
        """Return the collection's temperature and null key without the calibration; settings changed since then stay.

        Args:
            temperature, null: the settings with the calibration.
        """
        return (
            self.was[0] if temperature == self.temperature else temperature,
            self.was[1] if null == self.null else null,
        )

    def text(self) -> str:
        """Return the calibration as JSON text, in the form in which it is stored."""
        return json.dumps({"version": VERSION} | asdict(self), separators=(",", ":"))

    @classmethod
    def read(cls, text: str | None) -> Calibration | None:
        """Parse a stored calibration. Return None for None, or if another version of softkv wrote it."""
        fields = {} if text is None else json.loads(text)
        if fields.pop("version", None) != VERSION:
            return None
        for name in _FORMER:
            fields.pop(name, None)
        variants: dict[str, Any] = {
            name: variant and _decode_variant(variant)
            for name in ("plain", "words", "reranked")
            for variant in [fields.pop(name, None)]
        }
        rerank = fields.pop("rerank", None)
        return cls(
            was=tuple(fields.pop("was")),
            **fields,
            **variants,
            rerank=rerank and RerankerSettings(**rerank),
        )


def has_conformal_sets(text: str | None) -> bool:
    """Return whether a stored calibration has conformal sets, which an earlier build fitted and this one leaves out."""
    return text is not None and f'"{_FORMER_SETS}":' in text


def _decode_variant(fields: dict[str, Any]) -> Variant:
    bounds = tuple(ErrorBound(**bound) for bound in fields.pop("bounds", ()))
    fields.pop(_FORMER_SETS, None)
    return Variant(curve=Curve(**fields.pop("curve")), bounds=bounds, **fields)
