"""Models of aliases."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from softkv_service.schemas.wire import CollectionName, Wire


class AliasTarget(Wire):
    """The collection for which an alias is to stand."""

    collection: CollectionName = Field(description="The collection's own name, not an alias.")

    model_config = ConfigDict(json_schema_extra={"examples": [{"collection": "library"}]})
