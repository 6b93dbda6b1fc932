"""Models of the defaults of a collection: options that its questions have unless they send their own."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, field_serializer, field_validator
from pydantic_core import PydanticCustomError

from softkv_service.encoding import LATE
from softkv_service.schemas.document import Include, MatchInclude
from softkv_service.schemas.filter import FilterField
from softkv_service.schemas.terms import BiasField, FullTextField, Rerank, StoredBias
from softkv_service.schemas.wire import MAX_TOP_K, DocumentedAs, InParts, NullHasMeaning, Wire


class Defaults(Wire):
    """Options of questions to a collection, for questions that do not send their own.

    They protect nothing: every caller may send `null` instead. The `filter` of an API key protects.
    """

    filter: FilterField = Field(None, description="The documents that may be attended to; joined to a question's own.")
    bias: StoredBias | None = Field(
        None, description="Terms added to the logits, unless the temperature or the normaliser allows none."
    )
    full_text: FullTextField = Field(
        None,
        description='λ of full text, if every query is a text; or an object with a text of its own. `"auto"`: the λ '
        "of the calibration, if there is one.",
    )
    rerank: Rerank | None = Field(
        None,
        description="A reranker, if every query is a text that it reads, and the temperature and the normaliser allow "
        "it. It has no effect on other questions. Late interaction is `late` of the collection.",
    )
    top_k: int | None = Field(
        None, ge=0, le=MAX_TOP_K, description="Matches to return, unless the question has `top_p`."
    )
    include: Annotated[list[MatchInclude], InParts] | None = Field(
        None, description="Fields of a match to return, as far as the call has them."
    )

    @field_validator("rerank")
    @classmethod
    def _check_rerank(cls, rerank: Rerank | None) -> Rerank | None:
        if rerank is not None and rerank.model == LATE:
            raise PydanticCustomError(
                "late",
                'wanted a reranker, got "late", which is no default: send "late": true beside defaults, not in them',
            )
        return rerank

    @field_serializer("rerank")
    def _as_sent(self, rerank: Rerank | None) -> dict[str, Any] | None:
        return None if rerank is None else rerank.model_dump(exclude_unset=True)

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"filter": {"field": "metadata.draft", "operator": "!=", "value": True}, "top_k": 5},
                {"bias": {"field": "metadata.year", "half_life": 20}, "full_text": 0.5, "include": ["value"]},
            ]
        }
    )


# In a question, null takes the default of the collection away.
FilterOrNull = Annotated[
    FilterField,
    NullHasMeaning(),
    Field(
        description="The documents that may be attended to; the collection's default filter holds, too. Left out: that "
        "default, or all documents. null: without the default."
    ),
]
BiasOrNull = Annotated[
    BiasField,
    NullHasMeaning(),
    Field(
        description="Terms added to the logits: one term, or at most 8. Needs softmax, and a temperature that is a "
        "number. Left out: the collection's default, or none. null: none."
    ),
]
FullTextOrNull = Annotated[
    FullTextField,
    NullHasMeaning(),
    Field(
        description="λ: adds λ times the full-text rank to the logit of each document whose key contains words of the "
        "query. Needs a query that is a text, softmax, and a temperature that is a number. 0 has no effect. "
        '`"auto"` uses the λ of the calibration. An object ranks a text of its own, also for a vector. Left out: the '
        "collection's default, or 0. null: 0."
    ),
]
RerankOrNull = Annotated[
    Rerank | None,
    NullHasMeaning(),
    Field(
        description="A reranker reads the best documents, and adds weight · its logit to their logits, inside the "
        "softmax; or late interaction does, with their words. Needs a query that is a text, softmax, and a temperature "
        "that is a number. Left out: the collection's default; without one, late interaction if the collection has "
        "`late`, and the question and the calibration allow it. null: none."
    ),
]
MATCH_FIELDS: list[MatchInclude] = ["value", "key", "metadata"]
DEFAULT_FIELDS: Any = tuple(MATCH_FIELDS)
"""`MATCH_FIELDS` as the default of a field: pydantic would copy a list for each request."""
SWEPT_FIELDS: list[Include] = ["key", "value", "metadata"]
IncludeOrNull = Annotated[
    list[MatchInclude],
    InParts,
    BeforeValidator(lambda sent: MATCH_FIELDS if sent is None else sent),
    DocumentedAs(list[MatchInclude] | None),
    NullHasMeaning(),
]
SweptIncludeOrNull = Annotated[
    list[Include],
    InParts,
    BeforeValidator(lambda sent: SWEPT_FIELDS if sent is None else sent),
    DocumentedAs(list[Include] | None),
    NullHasMeaning(),
]
