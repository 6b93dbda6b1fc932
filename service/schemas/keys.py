"""A document's keys on the wire, where it has several: parts of a text, and how it is split."""

from __future__ import annotations

from pydantic import Field

from service.schemas.wire import Wire


class Part(Wire):
    """A part of a key text: from character `start` up to `end`."""

    start: int = Field(ge=0, description="Characters before it.")
    end: int = Field(ge=0, description="Characters up to its end.")


class MatchPart(Wire):
    """Which key of a document it is, and of which part of the key text, where it was split."""

    index: int = Field(ge=0, description="From 0, in the order of `key_vectors`.")
    start: int | None = Field(None, ge=0, description="Characters before the part.")
    end: int | None = Field(None, ge=0, description="Characters up to its end.")


class Split(Wire):
    """A long text becomes several keys, one for each part of it."""

    tokens: int | None = Field(
        None,
        ge=1,
        description="Of a part at most, as the encoder counts them, special ones included. Left out: as many as it "
        "reads.",
    )
    overlap: int | None = Field(
        None, ge=0, description="How many of them a part shares with the one before it. Left out: an eighth."
    )
