"""A tool: what a model reads of it, what it takes and gives, and what it does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp_types import Tool as Listed
from mcp_types import ToolAnnotations

from service.mcp.library import Library
from service.mcp.schema import Schema

Run = Callable[..., Awaitable[dict[str, Any]]]


@dataclass(frozen=True)
class Tool:
    """One tool.

    Attributes:
        run: (library, arguments by name) → what `output` describes.
        writes: whether it is for keys that may write.
        idempotent: whether calling it twice is as calling it once.
        pointers: how its arguments are called, by what they are in the request that the service is sent.
    """

    name: str
    title: str
    description: str
    input: Schema
    output: Schema
    run: Run
    writes: bool = False
    idempotent: bool = True
    pointers: Mapping[str, str] = field(default_factory=dict)

    @property
    def listed(self) -> Listed:
        """As tools/list has it."""
        hints = ToolAnnotations(
            title=self.title,
            read_only_hint=not self.writes,
            destructive_hint=self.writes,
            idempotent_hint=self.idempotent,
            open_world_hint=False,
        )
        return Listed(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=self.input,
            output_schema=self.output,
            annotations=hints,
        )

    async def __call__(self, library: Library, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Do it, with arguments that have been checked."""
        return await self.run(library, **arguments)


def where_filter(where: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Conditions of a call as a filter of the service; always a list of them, so that pointers are found again."""
    return {"operator": "AND", "conditions": where} if where else None


WHERE_POINTERS = {"/filter/conditions/": "/where/"}
