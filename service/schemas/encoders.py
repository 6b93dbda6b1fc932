"""Models of the encoders of a service."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from service.schemas.collection import Spread
from service.schemas.wire import Wire


class EncoderAnswer(Wire):
    """An encoder of the service, and what is known of it."""

    name: str = Field(description="The name by which collections and calls choose it.")
    kind: Literal["core", "library", "static", "remote"] | None = Field(
        description="The kind of its computation: softkv's own Transformer (core), sentence-transformers (library), a "
        "table of token vectors (static), or a service elsewhere (remote). null for a model of this machine that was "
        "never loaded."
    )
    model: str = Field(description="The model behind the name, with settings that change its vectors.")
    dimension: int | None = Field(description="The width of its vectors; null before it has loaded once.")
    state: Literal["unloaded", "loading", "ready", "failed"] = Field(
        description="`unloaded` until a text needs it, and after its memory was released."
    )
    detail: str | None = Field(description="The reason of a failure, or notes for the operator; null without any.")
    temperature: float | None = Field(
        description="The default temperature of its collections; null before it has loaded once."
    )
    background: Spread | None = Field(
        description="The cosines of unrelated questions and texts; null before it has loaded once."
    )
    memory_bytes: int = Field(description="The memory of its parameters in this process; 0 unless it is ready.")
    default: bool = Field(description="Whether it encodes texts for which no encoder is named.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "minilm",
                    "kind": "core",
                    "model": "all-MiniLM-L6-v2",
                    "dimension": 384,
                    "state": "ready",
                    "detail": None,
                    "temperature": 0.05,
                    "background": {"mean": 0.042, "deviation": 0.079},
                    "memory_bytes": 133447680,
                    "default": True,
                }
            ]
        }
    )


class RerankerAnswer(Wire):
    """A reranker of the service, which scores a query and a document together."""

    name: str = Field(description="The name by which calls choose it.")
    kind: Literal["core", "library"] | None = Field(
        description="The kind of its computation: softkv's own Transformer (core) or sentence-transformers (library). "
        "null unless it is in memory."
    )
    model: str = Field(description="The model behind the name.")
    max_tokens: int | None = Field(
        description="The number of tokens of a pair that it reads; null unless it is in memory."
    )
    state: Literal["unloaded", "loading", "ready", "failed"] = Field(description="`unloaded` until a call needs it.")
    detail: str | None = Field(description="The reason of a failure; null without one.")
    memory_bytes: int = Field(description="The memory of its parameters in this process; 0 unless it is ready.")


class EncoderList(Wire):
    """The encoders and the rerankers of this service, in the order of its settings; empty without any."""

    encoders: list[EncoderAnswer]
    rerankers: list[RerankerAnswer]
