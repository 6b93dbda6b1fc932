"""Models of jobs that move a collection to another encoder."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from service.schemas.wire import Null, Temperature, Text, Wire


class ReEncodeRequest(Wire):
    """The encoder to which a collection is to move."""

    encoder: Text = Field(
        description="The name of the other encoder, see GET /v1/encoders.", examples=["all-MiniLM-L6-v2"]
    )
    temperature: Temperature | None = Field(
        None, description="The default temperature afterwards. Left out: that of the other encoder."
    )
    null: Null | None = Field(
        None,
        description='The default null key afterwards. Left out: "auto", "lenient", "strict" and false stay; a '
        'similarity, which is of the vectors until now, and "calibrated" become "auto".',
    )
    vectors: Literal["keep"] | None = Field(
        None,
        description="The treatment of vectors that no encoder can make from the texts. Left out: the call is refused "
        "if there are any. keep: they stay as they are, which needs an encoder of their width.",
    )

    model_config = ConfigDict(json_schema_extra={"examples": [{"encoder": "all-MiniLM-L6-v2"}]})


class ReEncodeAnswer(Wire):
    """A job that moves a collection to another encoder, and how far it is."""

    collection: str | None = Field(
        None, description="The name of the collection, if the path named it by an alias; otherwise left out."
    )
    state: Literal["running", "paused", "done", "failed", "cancelled"] = Field(
        description="`paused` while it waits, for example for the encoder: it goes on by itself."
    )
    reason: str | None = Field(description="Why it is paused or has failed; null otherwise.")
    from_: str | None = Field(
        alias="from", description="The encoder until now; null for a collection to which callers sent all vectors."
    )
    to: str = Field(description="The other encoder.")
    documents: int = Field(description="The documents of the collection; after the end, those that it had then.")
    done: int = Field(description="The number of those that have vectors of the other encoder.")
    started: str = Field(description="When it began, in UTC (RFC 3339).")
    ended: str | None = Field(description="When it ended; null before.")
    drops: list[Literal["calibration", "projection"]] = Field(
        description="The settings that do not survive: calibration and projection are of the vectors until now."
    )

    model_config = ConfigDict(
        populate_by_name=True,
        json_schema_extra={
            "examples": [
                {
                    "state": "running",
                    "reason": None,
                    "from": "minilm",
                    "to": "nomic",
                    "documents": 100000,
                    "done": 4096,
                    "started": "2026-11-26T08:00:00Z",
                    "ended": None,
                    "drops": ["calibration"],
                }
            ]
        },
    )
