"""The service that `Client.local` runs inside another program."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softkv_service.configuration import Configuration
from softkv_service.storage.errors import StorageError

if TYPE_CHECKING:
    from fastapi import FastAPI


class LocalService:
    """A service that runs inside another program. `Client.local` finds this class by the entry point `softkv.local`.

    Attributes:
        startup_errors: the exceptions of `lifespan` whose messages are for the caller.

    Raises:
        ValueError: the settings are invalid.
    """

    startup_errors: tuple[type[Exception], ...] = (StorageError,)

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = Configuration(**settings)
        softkv_log = logging.getLogger("softkv")
        if softkv_log.level == logging.NOTSET:  # a line for each request is for programs that ask for it
            softkv_log.setLevel(logging.WARNING)

    @property
    def directory(self) -> Path:
        """The data directory, an absolute path."""
        return self.settings.data_dir

    @cached_property
    def app(self) -> FastAPI:
        """The application. It is imported here, because the program may start the service in a thread."""
        from softkv_service.assembly import assemble

        return assemble(self.settings)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Open the store, so that the application can be called in the block; then close it, and end its threads."""
        from softkv_service.scheduling import end_idle_threads

        try:
            async with self.app.router.lifespan_context(self.app):
                yield
        finally:
            await asyncio.to_thread(end_idle_threads)

    def differences(self, other: LocalService) -> list[str]:
        """Return the names of the settings that differ from those of another service, except for the directory."""
        names = Configuration.model_fields.keys() - {"data_dir"}
        return sorted(name for name in names if getattr(self.settings, name) != getattr(other.settings, name))
