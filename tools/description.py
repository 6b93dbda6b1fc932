"""The API as a file, openapi.json of the service: `make openapi` writes it and the tables of docs/reference."""

from __future__ import annotations

import json

from softkv_service.api.routes import page
from softkv_service.app import create_app
from softkv_service.settings import Settings
from tools import reference_tables, settings_tables

FILE = page.DESCRIPTION


def described() -> str:
    """Return the text of the file."""
    description = create_app(Settings(encoder="none")).openapi()
    return json.dumps(description, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(described(), encoding="utf-8")
    settings_tables.write()
    reference_tables.write()
