"""Every answer in the tests of this folder is held against /openapi.json, as in the tests of the API."""

from __future__ import annotations

from tests.service.api.conftest import client, contract

__all__ = ["client", "contract"]
