"""Models of aliases."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from service.schemas.wire import AliasName, CollectionName, Wire


class AliasTarget(Wire):
    """The collection for which an alias is to stand."""

    collection: CollectionName = Field(description="The collection's own name, not an alias.")

    model_config = ConfigDict(json_schema_extra={"examples": [{"collection": "library"}]})


class AliasAnswer(Wire):
    """An alias, and the collection for which it stands."""

    alias: AliasName
    collection: CollectionName

    model_config = ConfigDict(json_schema_extra={"examples": [{"alias": "current", "collection": "library"}]})


class AliasList(Wire):
    """A list of aliases, ordered by name: all of them, or one page."""

    aliases: list[AliasAnswer]
    next_cursor: str | None = Field(
        description="The position of the next page; null at the end, and with a limit of 0."
    )
