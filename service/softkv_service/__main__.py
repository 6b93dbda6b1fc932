"""Runs the command line: `python -m softkv_service` does the same as `softkv`."""

from __future__ import annotations

from softkv.scripts import softkv

softkv()
