"""The store, opened: the first thing that a service does, before most of it is imported."""

from __future__ import annotations

from service import logs
from service.settings import Settings
from service.storage import Store


def open_store(settings: Settings) -> Store:
    """The settings' store; where it is written anew, the log says how far that is. Blocks, mostly outside of Python."""
    return Store.open(settings.data_dir, logs.progress("the store is written anew"))
