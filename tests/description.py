"""docs/openapi.json: what the service says of itself at /openapi.json, as a file; `make openapi` writes it anew."""

from __future__ import annotations

import json
from pathlib import Path

from service.app import create_app
from service.settings import Settings

FILE = Path(__file__).parents[1] / "docs" / "openapi.json"


def described() -> str:
    """What the file has to say."""
    description = create_app(Settings(encoder="none")).openapi()
    return json.dumps(description, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(described(), encoding="utf-8")
