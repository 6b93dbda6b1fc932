"""Errors on the wire: application/problem+json (RFC 9457)."""

from __future__ import annotations

from pydantic import BaseModel, Field


class FieldProblem(BaseModel):
    """One thing that is wrong with the content."""

    pointer: str = Field(description="A JSON pointer (RFC 6901) into the request's body; empty for the whole.")
    detail: str


class Problem(BaseModel):
    """What was wanted, what came, what to do."""

    type: str = Field(description="Always `about:blank`: `code` tells problems apart.")
    title: str = Field(description="The status in words.")
    status: int
    detail: str = Field(description="What was wanted, what came, what to do; for people.")
    code: str = Field(
        description="What went wrong in one stable word; for programs.", examples=["collection_not_found"]
    )
    errors: list[FieldProblem] | None = Field(None, description="With a 422: every flaw, at most 100 of them.")
