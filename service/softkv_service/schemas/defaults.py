"""Models of the defaults of a collection: options that its questions have unless they send their own."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from softkv.questions import MAX_TOP_K, MatchField, Rerank
from softkv_service.encoding import LATE
from softkv_service.schemas.filter import FilterField
from softkv_service.schemas.requests import AsJSON
from softkv_service.schemas.terms import FullText, StoredBias
from softkv_service.schemas.wire import InParts, Wire


class Defaults(Wire):
    """Options of questions to a collection, for questions that do not send their own.

    They protect nothing: every caller may send `null` instead. The `filter` of an API key protects.
    """

    filter: FilterField = Field(None, description="The documents that may be attended to; joined to a question's own.")
    bias: StoredBias | None = Field(
        None, description="Terms added to the logits, unless the temperature or the normaliser allows none."
    )
    full_text: FullText | None = Field(
        None,
        description='λ of full text, if every query is a text; or an object with a text of its own. `"auto"`: the λ '
        "of the calibration, if there is one.",
    )
    rerank: Annotated[Rerank, AsJSON()] | None = Field(
        None,
        description="A reranker, if every query is a text that it reads, and the temperature and the normaliser allow "
        "it. It has no effect on other questions. Late interaction is `late` of the collection.",
    )
    top_k: int | None = Field(
        None, ge=0, le=MAX_TOP_K, description="Matches to return, unless the question has `top_p`."
    )
    include: Annotated[list[MatchField], InParts] | None = Field(
        None, description="Fields of a match to return, as far as the call has them."
    )

    @field_validator("rerank")
    @classmethod
    def _check_rerank(cls, rerank: Any) -> Any:
        if rerank is not None and rerank.get("model") == LATE:
            raise PydanticCustomError(
                "late",
                'wanted a reranker, got "late", which is no default: send "late": true beside defaults, not in them',
            )
        return rerank

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"filter": {"field": "metadata.draft", "operator": "!=", "value": True}, "top_k": 5},
                {"bias": {"field": "metadata.year", "half_life": 20}, "full_text": 0.5, "include": ["value"]},
            ]
        }
    )
