"""Models of projections: maps of queries that were trained on labelled pairs."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le, Len
from pydantic import ConfigDict, Field

from softkv_service.retrieval.labels import MAX_RANK
from softkv_service.schemas.vector import Vector
from softkv_service.schemas.wire import JSONValue, Number, Text, Wire

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
