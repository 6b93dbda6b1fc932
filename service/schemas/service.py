"""Models of facts about the service itself: its version, its limits, its shards, and whether it is ready."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from service.schemas.wire import Wire


class NetworkRequest(Wire):
    """A request to open the service to the network of its machine, or to close it."""

    open: bool = Field(description="Whether other machines may read, and join rooms.")
    address: str | None = Field(
        None,
        max_length=64,
        description="The address of the machine at which to open the service, one of `addresses`. Left out: the first.",
    )

    model_config = ConfigDict(json_schema_extra={"examples": [{"open": False}]})
