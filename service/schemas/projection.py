"""Models of projections: maps of queries that were trained on labelled pairs."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le, Len
from pydantic import ConfigDict, Field

from service.retrieval.labels import MAX_RANK
from service.schemas.vector import Vector, VectorAnswer
from service.schemas.wire import CollectionBehind, JSONValue, Number, Text, Wire

Pairs = Annotated[int, Gt(0), Le(2**63 - 1)]
Share = Annotated[Number, Ge(0), Le(1)]
REPORT: JSONValue = {"pairs": 280, "held_out": 120, "mrr_before": 0.31, "mrr_after": 0.84, "error": 0.04}


class TrainingReport(Wire):
    """The quality of a projection on labelled pairs."""

    pairs: Pairs = Field(description="The number of pairs that it was trained on.")
    held_out: Pairs = Field(description="The number of other pairs, on which its quality was measured.")
    mrr_before: Share = Field(description="The mean reciprocal rank of the right documents without the projection.")
    mrr_after: Share = Field(description="The mean reciprocal rank with the projection.")
    error: Annotated[Number, Ge(0)] = Field(description="The standard error of their difference, which is paired.")


class KeptProjection(Wire):
    """A projection without its vectors."""

    rank: int = Field(description="The number of directions that it changes.")
    at: str = Field(description="When it was stored, in UTC (RFC 3339).")
    trained: TrainingReport | None = Field(description="The quality on labelled pairs; null if it was not sent.")


Directions = Annotated[list[Vector], Len(1, MAX_RANK)]


class ProjectionRequest(Wire):
    """The map q → q + Σ (q·downᵢ)·upᵢ of every query, which leaves keys as they are."""

    down: Directions = Field(description="Vectors of the keys' width: the directions that are read from a query.")
    up: Directions = Field(description="The directions that are added, one for each of `down`.")
    encoder: Text | None = Field(
        None, description="The encoder whose vectors it is of; with another one it is refused. Left out: not compared."
    )
    trained: TrainingReport | None = Field(
        None, description="The quality on labelled pairs, shown with the projection."
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"down": [[1.0, 0.0, 0.0]], "up": [[0.0, 0.5, 0.0]], "trained": REPORT}],
        }
    )


class ProjectionAnswer(KeptProjection):
    """A projection that was stored."""

    drops: list[str] = Field(
        description="The settings that the collection lost by it: a calibration is of other similarities."
    )
    collection: CollectionBehind = None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"rank": 1, "at": "2026-11-26T08:00:00Z", "trained": REPORT, "drops": ["calibration"]}],
        }
    )


class StoredProjection(KeptProjection):
    """A stored projection."""

    down: list[VectorAnswer]
    up: list[VectorAnswer]


class ProjectionFound(Wire):
    """The projection of a collection."""

    projection: StoredProjection | None = Field(description="null: queries are compared as they are.")
    collection: CollectionBehind = None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "projection": {
                        "rank": 1,
                        "at": "2026-11-26T08:00:00Z",
                        "trained": REPORT,
                        "down": [[1.0, 0.0, 0.0]],
                        "up": [[0.0, 0.5, 0.0]],
                    }
                },
                {"projection": None},
            ]
        }
    )
