"""The workshop page and the documentation, as files; open to everyone, from here and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.routing import Match, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from service.api.middleware.access import is_call

WEB = Path(__file__).parents[2] / "web"
PAGES = {"/docs": "docs.html"}


class Files(StaticFiles):
    """Files that a browser asks after each time, and keeps where they are the same."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        """The file, or 304 where the browser has it."""
        answer = super().file_response(*arguments, **options)
        answer.headers["Cache-Control"] = "no-cache"
        return answer

    def get_path(self, scope: Scope) -> str:
        """Pages go by their names, without .html."""
        return PAGES.get(scope["path"]) or super().get_path(scope)


class PageMount(Mount):
    """Everything outside `/v1`: an unknown call there is the API's to refuse."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As any mount, but for the API's paths."""
        if is_call(scope["path"]):
            return Match.NONE, {}
        return super().matches(scope)


def mount(app: Starlette) -> None:
    """Serve the page at `/`, after every other route."""
    files = GZipMiddleware(Files(directory=WEB, html=True), minimum_size=1024)
    app.router.routes.append(PageMount("/", app=files, name="page"))
