"""Errors on the wire: application/problem+json (RFC 9457)."""

from __future__ import annotations

from pydantic import BaseModel, Field


class FieldProblem(BaseModel):
    """One thing that is wrong with the content."""

    pointer: str = Field(description="A JSON pointer (RFC 6901) into the request's body; empty for the whole.")
    detail: str


class Problem(BaseModel):
    """What was wanted, what came, what to do."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldProblem] | None = None
