"""`softkv page`: the page as files that any host can serve, with answers that need no service."""

from __future__ import annotations

from service.commands.page.export import page

__all__ = ["page"]
